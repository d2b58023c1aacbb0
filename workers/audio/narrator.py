"""Narrator: does an audio job, from the script in it to one recording in the storage."""

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from jobqueue.job import Job, Json, Progress, Result
from jobqueue.storage import Storage
from jobqueue.worker import Report, insist
from workers.audio import assembly
from workers.audio.chunking import Chunk, Segment, split
from workers.audio.engine import ReferenceVoice, Samples, SpeechEngine, Voice
from workers.audio.errors import EngineFailed, EngineOutOfMemory, NothingToSpeak
from workers.audio.finished_chunks import FinishedChunks, chunk_name
from workers.audio.language import language_of

SPEAKING_PERCENT = 97.0
"""Share of the work that is speaking; the rest is joining and storing, which must not show as 100 %."""
MAX_NOTES = 5
QUOTE_CHARS = 60


class ReferenceSource(Protocol):
    """Where the reference voice of a job comes from."""

    async def reference_for(self, job: Job, folder: Path) -> ReferenceVoice | None:
        """The voice the job asks for, its recording put into `folder`; None for the engine's own voice.

        Raises: VoiceUnusable.
        """
        ...


@dataclass(slots=True)
class _Narration:
    """What is known while one job is done."""

    job: Job
    report: Report
    chunks: Sequence[Chunk]
    voice: Voice
    folder: Path
    finished: FinishedChunks
    parts: list[Path] = field(default_factory=list)
    unspoken: list[str] = field(default_factory=list)
    heard: bool = False


class Narrator:
    """Speaks the scripts of audio jobs, chunk by chunk.

    Each finished chunk is stored at once: when this machine vanishes, the next one begins where it was.
    """

    def __init__(
        self,
        engine: SpeechEngine,
        storage: Storage,
        work_dir: Path,
        *,
        chunk_size: int = 500,
        speed: float = 1.0,
        references: ReferenceSource | None = None,
    ) -> None:
        """
        Args:
            work_dir: local folder for the files of the job in hand; made if it is missing.
            chunk_size: longest chunk, characters.
            speed: factor on the natural rate of speech, 0.5 to 2.
            references: needed by an engine that imitates.
        """
        self._engine = engine
        self._storage = storage
        self._work_dir = work_dir
        self._chunk_size = chunk_size
        self._speed = speed
        self._references = references

    async def handle(self, job: Job, report: Report) -> Result:
        """Narrate the job's `script_text`; a `jobqueue.worker.Handler`.

        Returns: `audio_path`, `duration_s`, `sample_rate_hz`, `characters`, `chunks`, and `notes`: sentences
        for the user about what is not as they may expect.
        Raises: SpeechError; whatever the storage raises but QueueUnreachable, which is waited out.
        """
        script = job.text("script_text")
        chunks = await asyncio.to_thread(split, script, self._chunk_size)
        audible = [chunk for chunk in chunks if chunk.speakable]
        if not audible:
            raise NothingToSpeak
        self._work_dir.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{job.id}.", dir=self._work_dir))
        try:
            return await self._narrate(job, report, audible, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    async def _narrate(self, job: Job, report: Report, chunks: Sequence[Chunk], folder: Path) -> Result:
        finished = FinishedChunks(self._storage, f"{job.organized_path}/chunks", self._engine.rate_hz)
        voice = await self._voice(job, folder)
        narration = _Narration(job, report, chunks, voice, folder, finished)
        await finished.look()
        await self._tell(narration, "speaking")
        for chunk in chunks:
            narration.parts.append(await self._part(narration, chunk))
            await self._tell(narration, "speaking")
        if not narration.heard:
            raise NothingToSpeak
        await self._tell(narration, "joining")
        return await self._deliver(narration)

    async def _voice(self, job: Job, folder: Path) -> Voice:
        language = language_of(job.text("script_text"), job.profile)
        reference = None
        if self._references is not None and self._engine.imitates:
            reference = await self._references.reference_for(job, folder)
        return Voice(language, reference, self._speed)

    async def _part(self, narration: _Narration, chunk: Chunk) -> Path:
        """The chunk as a local WAV file: fetched if it was spoken before, else spoken and stored."""
        name = chunk_name(len(narration.parts) + 1, chunk, self._engine, narration.voice)
        part = narration.folder / name
        if await narration.finished.fetch(name, part):
            narration.heard = True
            return part
        spoken = await self._speak(chunk.segments, narration.voice)
        silent = await asyncio.to_thread(self._write, chunk, spoken, part)
        unspoken = [segment.text for segment in silent if segment.speakable]
        narration.unspoken += unspoken
        narration.heard = narration.heard or len(silent) < len(chunk.segments)
        # A chunk with a gap is not kept: should the job run again, the gap gets another chance.
        if not unspoken:
            await narration.finished.keep(name, part)
        return part

    async def _speak(self, segments: Sequence[Segment], voice: Voice) -> list[Samples]:
        """All segments in one batch, or in smaller ones if the engine's memory does not suffice."""
        try:
            spoken = await self._engine.speak(segments, voice)
        except EngineOutOfMemory:
            if len(segments) == 1:
                raise
            half = len(segments) // 2
            return await self._speak(segments[:half], voice) + await self._speak(segments[half:], voice)
        if len(spoken) != len(segments):
            raise EngineFailed(f"it spoke {len(spoken)} of {len(segments)} sentences")
        return spoken

    def _write(self, chunk: Chunk, spoken: Sequence[Samples], part: Path) -> list[Segment]:
        """Write the chunk's WAV file and return the segments that left no sound in it. Blocks."""
        pauses = [segment.pause for segment in chunk.segments]
        samples, silent = assembly.join(spoken, pauses, self._engine.rate_hz)
        assembly.write_wav(samples, part, self._engine.rate_hz)
        return [chunk.segments[index] for index in silent]

    async def _tell(self, narration: _Narration, message: str) -> None:
        done, total = len(narration.parts), len(narration.chunks)
        spoken = sum(len(chunk.text) for chunk in narration.chunks[:done])
        percent = SPEAKING_PERCENT * spoken / sum(len(chunk.text) for chunk in narration.chunks)
        await narration.report(Progress(round(percent, 1), message, chunk=done, chunks=total))

    async def _deliver(self, narration: _Narration) -> Result:
        """Join the parts, store the recording, and say what was made."""
        job, rate_hz = narration.job, self._engine.rate_hz
        recording = narration.folder / "audio.wav"
        duration_s = await asyncio.to_thread(assembly.concatenate, narration.parts, recording, rate_hz)
        audio_path = f"{job.organized_path}/audio.wav"
        await insist(lambda: self._storage.put(audio_path, recording), f"storing {audio_path}")
        return {
            "audio_path": audio_path,
            "duration_s": round(duration_s, 2),
            "sample_rate_hz": rate_hz,
            "characters": len(job.text("script_text")),
            "chunks": len(narration.parts),
            "notes": self._notes(narration),
        }

    def _notes(self, narration: _Narration) -> list[Json]:
        notes: list[Json] = []
        if narration.job.profile.get("voice") and not self._engine.imitates:
            notes.append("The built-in voice was used: this machine cannot imitate the channel's voice.")
        for text in narration.unspoken[:MAX_NOTES]:
            quote = text if len(text) <= QUOTE_CHARS else f"{text[:QUOTE_CHARS]}…"
            notes.append(f"This part could not be spoken: “{quote}”")
        if (more := len(narration.unspoken) - MAX_NOTES) > 0:
            notes.append(f"{more} more parts could not be spoken.")
        return notes
