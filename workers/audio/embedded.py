"""EmbeddedVoice: a SpeechEngine that needs no GPU and no download; robotic, and quick on any CPU."""

import asyncio
import importlib.metadata
import json
import os
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from workers.audio.chunking import Segment
from workers.audio.engine import Samples, Voice
from workers.audio.errors import EngineFailed, VoiceUnusable
from workers.audio.language import ENGLISH, HINDI, has_devanagari
from workers.audio.wording import readable

RATE_HZ = 22_050
COUNT = struct.Struct("<I")

WORDS_PER_MINUTE = {HINDI: 150, ENGLISH: 165}
"""Natural rates for a narration; the program's own 175 sounds hurried."""
SLOWEST, FASTEST = 80, 450
"""What espeak-ng can do, words per minute."""

PATIENCE_S = 30.0
PATIENCE_PER_BYTE_S = 0.01
"""Some 100 times what it takes on an idle core: 500 Hindi characters (3,000 bytes of JSON) take 0.15 s."""

READING = "1"
"""Counts up when `wording` or the rates change, so that no old chunk is taken for a new one."""

ROOT = Path(__file__).parents[2]
PROGRAM = (sys.executable, "-m", "workers.audio.espeak_child")


class EmbeddedVoice:
    """espeak-ng in a child process, one per batch, killed when the batch is cancelled or takes too long."""

    name = "espeak-ng"
    rate_hz = RATE_HZ
    imitates = False

    def __init__(self, *, program: Sequence[str] = PROGRAM, patience_s: float = PATIENCE_S) -> None:
        """
        Args:
            program: what to start; it gets our process id as one more argument.
            patience_s: how long a batch may take before its length is counted, s.
        """
        self._program = tuple(program)
        self._patience_s = patience_s

    @property
    def version(self) -> str:
        return f"{importlib.metadata.version('espeakng-loader')}+{READING}"

    async def speak(self, segments: Sequence[Segment], voice: Voice) -> list[Samples]:
        if voice.language not in WORDS_PER_MINUTE:
            raise VoiceUnusable("The built-in voice speaks Hindi and English only.")
        texts = [readable(segment.text) for segment in segments]
        wanted = [_request(text, voice) for text in texts if text]
        spoken = iter(_sounds(await self._run(json.dumps(wanted).encode()), len(wanted)) if wanted else [])
        return [next(spoken) if text else np.zeros(0, np.float32) for text in texts]

    async def _run(self, request: bytes) -> bytes:
        """What the program answers. Raises: EngineFailed."""
        child = await asyncio.create_subprocess_exec(
            *self._program,
            str(os.getpid()),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the worker, which then hands its job back
        )
        patience_s = self._patience_s + PATIENCE_PER_BYTE_S * len(request)
        try:
            async with asyncio.timeout(patience_s):
                answer, complaint = await child.communicate(request)
        except TimeoutError:
            raise EngineFailed(f"it gave no answer for {patience_s:.0f} seconds") from None
        finally:
            if child.returncode is None:
                child.kill()
                await child.communicate()  # waits, and closes the pipes as well
        if child.returncode:
            raise EngineFailed(_last_line(complaint) or _ending(child.returncode))
        return answer


def _request(text: str, voice: Voice) -> dict[str, str | int]:
    # The Hindi voice reads English words, but the English voice spells out Hindi ones.
    language = HINDI if has_devanagari(text) else voice.language
    rate = round(WORDS_PER_MINUTE[language] * voice.speed)
    return {"text": text, "voice": language, "words_per_minute": min(max(rate, SLOWEST), FASTEST)}


def _sounds(answer: bytes, count: int) -> list[Samples]:
    """The program's answer as samples. Raises: EngineFailed if it is not `count` whole recordings."""
    sounds: list[Samples] = []
    at = 0
    while at + COUNT.size <= len(answer):
        (size_bytes,) = COUNT.unpack_from(answer, at)
        at += COUNT.size
        pcm = np.frombuffer(answer[at : at + size_bytes // 2 * 2], "<i2")
        sounds.append(pcm.astype(np.float32) / np.float32(32_768))
        at += size_bytes
    if at != len(answer) or len(sounds) != count:
        raise EngineFailed("its answer was cut short")
    return sounds


def _last_line(complaint: bytes) -> str:
    lines = complaint.decode(errors="replace").split("\n")
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")


def _ending(code: int) -> str:
    return f"it was ended by signal {-code}" if code < 0 else f"it ended with code {code}"
