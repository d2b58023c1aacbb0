import asyncio
import wave
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from jobqueue.errors import PermanentError, QueueUnreachable
from jobqueue.job import Job, Json, Kind, Progress
from jobqueue.storage import DirectoryStorage
from tests.audio.voices import RATE_HZ, ToneVoice
from workers.audio.chunking import Segment
from workers.audio.embedded import EmbeddedVoice
from workers.audio.engine import ReferenceVoice, Samples, SpeechEngine, Voice
from workers.audio.errors import EngineFailed, EngineOutOfMemory, NothingToSpeak
from workers.audio.narrator import Narrator

FOLDER = "2025-01-27/BI/video_1"
SCRIPT = "Alpha speaks first, and takes its time. Bravo comes second, as always. Charlie is the last of them."
PART_CHARS = 45
"""So that each of the three sentences is a chunk."""


def audio_job(script: str = SCRIPT, **profile: Json) -> Job:
    fields: dict[str, Json] = {"script_text": script, "organized_path": FOLDER, "profile": profile}
    return Job("j1", Kind.AUDIO, created_at=0, fields=fields)


@dataclass
class Studio:
    """A narrator with a real folder as its storage, and what it has told."""

    root: Path
    told: list[Progress] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.root / "tmp").mkdir()
        self.storage: DirectoryStorage = DirectoryStorage(self.root / "files", self.root / "tmp")
        self.work_dir = self.root / "work"

    def narrator(self, engine: SpeechEngine, *, chunk_size: int = PART_CHARS, speed: float = 1.0) -> Narrator:
        return Narrator(engine, self.storage, self.work_dir, chunk_size=chunk_size, speed=speed)

    async def report(self, progress: Progress) -> None:
        self.told.append(progress)

    def stored_chunks(self) -> list[Path]:
        return sorted((self.root / "files" / FOLDER / "chunks").glob("*.wav"))

    def recording(self) -> Path:
        return self.root / "files" / FOLDER / "audio.wav"

    def leftovers(self) -> list[Path]:
        return [*self.work_dir.iterdir(), *(self.root / "tmp").iterdir()]


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Storage that cannot be reached is asked again at once."""
    monkeypatch.setattr("jobqueue.worker.RETRY_BASE_S", 0.001)
    monkeypatch.setattr("jobqueue.worker.RETRY_CAP_S", 0.001)


async def test_a_script_becomes_one_recording_in_the_storage(studio: Studio) -> None:
    engine = ToneVoice()
    result = await studio.narrator(engine).handle(audio_job(), studio.report)
    assert engine.spoken == SCRIPT
    assert result == {
        "audio_path": f"{FOLDER}/audio.wav",
        "duration_s": pytest.approx(3 * 0.1 + 2 * 0.35 + 0.7, abs=0.01),
        "sample_rate_hz": RATE_HZ,
        "characters": len(SCRIPT),
        "chunks": 3,
        "notes": [],
    }
    with wave.open(str(studio.recording()), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE_HZ)
        assert file.getnframes() / RATE_HZ == pytest.approx(result["duration_s"], abs=0.01)
    assert studio.leftovers() == []


async def test_progress_counts_finished_chunks_and_never_says_that_all_is_done(studio: Studio) -> None:
    await studio.narrator(ToneVoice()).handle(audio_job(), studio.report)
    counted = [(progress.message, progress.chunk, progress.chunks) for progress in studio.told]
    assert counted == [("speaking", done, 3) for done in range(4)] + [("joining", 3, 3)]
    percents = [progress.percent for progress in studio.told]
    assert percents == sorted(percents)
    assert percents[0] == 0
    assert percents[-1] < 100


async def test_each_chunk_lies_in_the_storage_before_it_is_reported(studio: Studio) -> None:
    stored: list[int] = []

    async def report(progress: Progress) -> None:
        stored.append(len(studio.stored_chunks()))

    await studio.narrator(ToneVoice()).handle(audio_job(), report)
    assert stored == [0, 1, 2, 3, 3]
    assert [path.name[:5] for path in studio.stored_chunks()] == ["0001-", "0002-", "0003-"]


async def test_what_a_vanished_worker_has_spoken_is_not_spoken_again(studio: Studio) -> None:
    vanishing = ToneVoice()
    vanishing.errors["Charlie"] = EngineFailed("the machine is gone")
    with pytest.raises(EngineFailed):
        await studio.narrator(vanishing).handle(audio_job(), studio.report)
    studio.told.clear()

    heir = ToneVoice()
    result = await studio.narrator(heir).handle(audio_job(), studio.report)
    assert heir.batches == [["Charlie is the last of them."]]
    assert [progress.chunk for progress in studio.told] == [0, 1, 2, 3, 3]
    assert result["duration_s"] == pytest.approx(1.7, abs=0.01)


async def test_a_finished_job_run_again_speaks_nothing_and_sounds_the_same(studio: Studio) -> None:
    await studio.narrator(ToneVoice()).handle(audio_job(), studio.report)
    first = studio.recording().read_bytes()
    again = ToneVoice()
    await studio.narrator(again).handle(audio_job(), studio.report)
    assert again.batches == []
    assert studio.recording().read_bytes() == first


@pytest.mark.parametrize("rubbish", [b"", b"not a recording", b"RIFF\x24\0\0\0WAVEfmt "])
async def test_a_stored_chunk_that_is_damaged_is_spoken_again(studio: Studio, rubbish: bytes) -> None:
    await studio.narrator(ToneVoice()).handle(audio_job(), studio.report)
    whole = studio.recording().read_bytes()
    studio.stored_chunks()[1].write_bytes(rubbish)
    again = ToneVoice()
    await studio.narrator(again).handle(audio_job(), studio.report)
    assert again.batches == [["Bravo comes second, as always."]]
    assert studio.recording().read_bytes() == whole
    assert studio.stored_chunks()[1].stat().st_size > 1_000


async def test_a_stored_chunk_cut_short_is_spoken_again(studio: Studio) -> None:
    await studio.narrator(ToneVoice()).handle(audio_job(), studio.report)
    chunk = studio.stored_chunks()[0]
    chunk.write_bytes(chunk.read_bytes()[:-200])
    again = ToneVoice()
    await studio.narrator(again).handle(audio_job(), studio.report)
    assert len(again.batches) == 1


async def test_another_script_engine_or_speed_takes_nothing_over(studio: Studio) -> None:
    await studio.narrator(ToneVoice()).handle(audio_job(), studio.report)
    for engine, speed, job in (
        (ToneVoice(), 1.0, audio_job(SCRIPT.replace("e", "a"))),
        (ToneVoice(), 1.2, audio_job()),
        (ToneVoice(), 1.0, audio_job(language="hi")),
        (ToneVoice(version="2"), 1.0, audio_job()),
    ):
        await studio.narrator(engine, speed=speed).handle(job, studio.report)
        assert len(engine.batches) == 3


async def test_cancelling_leaves_the_finished_chunks_and_nothing_else(studio: Studio) -> None:
    engine = ToneVoice()
    engine.hangs_at = "Bravo"
    work = asyncio.ensure_future(studio.narrator(engine).handle(audio_job(), studio.report))
    await engine.hanging.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert len(studio.stored_chunks()) == 1
    assert not studio.recording().exists()
    assert studio.leftovers() == []


async def test_an_engine_that_fails_fails_the_job_and_leaves_no_files_behind(studio: Studio) -> None:
    engine = ToneVoice()
    engine.errors["Alpha"] = EngineFailed("it broke")
    with pytest.raises(EngineFailed) as failure:
        await studio.narrator(engine).handle(audio_job(), studio.report)
    assert not isinstance(failure.value, PermanentError)
    assert studio.leftovers() == []


class SmallMemoryVoice(ToneVoice):
    """An engine whose memory holds `memory_segments` at once."""

    async def speak(self, segments: Sequence[Segment], voice: Voice) -> list[Samples]:
        if len(segments) > self.memory_segments:
            raise EngineOutOfMemory(len(segments))
        return await super().speak(segments, voice)


async def test_a_batch_too_large_for_the_memory_is_spoken_in_smaller_ones(studio: Studio) -> None:
    engine = SmallMemoryVoice()
    engine.memory_segments = 1
    script = "\n".join(f"Paragraph {number} stands alone." for number in range(5))
    await studio.narrator(engine, chunk_size=500).handle(audio_job(script), studio.report)
    assert [len(batch) for batch in engine.batches] == [1] * 5
    assert engine.spoken.split() == script.split()


async def test_one_segment_too_large_for_the_memory_is_an_error(studio: Studio) -> None:
    engine = SmallMemoryVoice()
    engine.memory_segments = 0
    with pytest.raises(EngineOutOfMemory):
        await studio.narrator(engine).handle(audio_job(), studio.report)


@pytest.mark.parametrize("sound", [np.full(900, np.nan, np.float32), np.zeros(0, np.float32)])
async def test_a_part_without_sound_is_owned_up_to_and_not_kept(studio: Studio, sound: Samples) -> None:
    engine = ToneVoice()
    engine.sounds["Bravo"] = sound
    result = await studio.narrator(engine).handle(audio_job(), studio.report)
    assert result["notes"] == ["This part could not be spoken: “Bravo comes second, as always.”"]
    assert [path.name[:4] for path in studio.stored_chunks()] == ["0001", "0003"]
    assert result["duration_s"] == pytest.approx(1.6, abs=0.01)


async def test_a_script_full_of_unspoken_parts_is_told_in_few_notes(studio: Studio) -> None:
    engine = ToneVoice()
    engine.sounds["mute"] = np.zeros(0, np.float32)
    script = "Spoken.\n" + "A mute part.\n" * 20
    result = await studio.narrator(engine).handle(audio_job(script), studio.report)
    notes = result["notes"]
    assert isinstance(notes, list)
    assert notes[-1] == "15 more parts could not be spoken."
    assert len(notes) == 6


async def test_signs_that_are_no_words_are_passed_over_without_a_note(studio: Studio) -> None:
    engine = ToneVoice()
    engine.sounds["***"] = np.zeros(0, np.float32)
    result = await studio.narrator(engine).handle(audio_job("Part one.\n***\nPart two."), studio.report)
    assert result["notes"] == []


@pytest.mark.parametrize("script", ["", "  \n ", "!!! … ।", "😀🎉", "\u200d\ufe0f", "." * 5_000])
async def test_a_script_without_words_fails_for_good(studio: Studio, script: str) -> None:
    with pytest.raises(NothingToSpeak) as failure:
        await studio.narrator(ToneVoice()).handle(audio_job(script), studio.report)
    assert isinstance(failure.value, PermanentError)


async def test_a_recording_of_nothing_but_silence_is_never_delivered(studio: Studio) -> None:
    engine = ToneVoice()
    engine.sounds[""] = np.zeros(800, np.float32)
    with pytest.raises(NothingToSpeak):
        await studio.narrator(engine).handle(audio_job(), studio.report)
    assert not studio.recording().exists()


async def test_half_an_emoji_in_the_script_stops_nothing(studio: Studio) -> None:
    await studio.narrator(ToneVoice()).handle(audio_job("Words \ud83d more words."), studio.report)
    assert studio.recording().exists()


class FlakyStorage(DirectoryStorage):
    """Cannot be reached at every second call."""

    calls = 0

    async def put(self, path: str, source: Path) -> None:
        self._answer()
        await super().put(path, source)

    async def listing(self, folder: str) -> dict[str, int]:
        self._answer()
        return await super().listing(folder)

    def _answer(self) -> None:
        self.calls += 1
        if self.calls % 2:
            raise QueueUnreachable("the bot restarts")


@pytest.mark.usefixtures("impatient")
async def test_storage_that_cannot_be_reached_is_waited_for(studio: Studio) -> None:
    studio.storage = FlakyStorage(studio.root / "files", studio.root / "tmp")
    engine = ToneVoice()
    await studio.narrator(engine).handle(audio_job(), studio.report)
    assert engine.spoken == SCRIPT
    assert studio.recording().exists()


async def test_storage_that_is_full_fails_the_attempt(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(path: str, source: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(studio.storage, "put", full)
    with pytest.raises(OSError, match="No space"):
        await studio.narrator(ToneVoice()).handle(audio_job(), studio.report)
    assert studio.leftovers() == []


async def test_the_user_hears_of_it_when_the_channels_voice_could_not_be_used(studio: Studio) -> None:
    result = await studio.narrator(ToneVoice()).handle(audio_job(voice="amit"), studio.report)
    assert result["notes"] == [
        "The built-in voice was used: this machine cannot imitate the channel's voice."
    ]


class ImitatingVoice(ToneVoice):
    imitates = True


class OneReference:
    """The same reference voice for every job."""

    async def reference_for(self, job: Job, folder: Path) -> ReferenceVoice:
        return ReferenceVoice(folder / "amit.wav", "Hello there.", "ab" * 32)


async def test_an_engine_that_imitates_is_given_the_reference_voice(studio: Studio) -> None:
    engine = ImitatingVoice()
    narrator = Narrator(engine, studio.storage, studio.work_dir, speed=1.1, references=OneReference())
    result = await narrator.handle(audio_job(voice="amit", language="hi"), studio.report)
    (voice,) = engine.voices
    assert voice.reference is not None
    assert (voice.language, voice.speed, voice.reference.sha256) == ("hi", 1.1, "ab" * 32)
    assert result["notes"] == []


MIXED = (
    "नमस्ते! आज हम machine learning की बात करेंगे। यह ₹500 की किताब है।\n"
    "Dr. Rao says: “It is simple.” Now listen closely 😀\n***\nअंत।"
)


async def test_a_mixed_script_is_spoken_from_beginning_to_end(studio: Studio) -> None:
    result = await studio.narrator(EmbeddedVoice(), chunk_size=500).handle(audio_job(MIXED), studio.report)
    with wave.open(str(studio.recording()), "rb") as file:
        rate_hz = file.getframerate()
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64) / 32_768
    assert rate_hz == result["sample_rate_hz"] == 22_050
    assert result["notes"] == []
    assert len(MIXED) / 20 < len(pcm) / rate_hz < len(MIXED) / 6
    assert -32 < 20 * np.log10(np.sqrt((pcm**2).mean())) < -12
    thirds = np.array_split(pcm, 3)
    assert all(np.abs(third).max() > 0.1 for third in thirds)
