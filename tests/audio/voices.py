"""A voice for the narrator's own tests: it speaks one sine per segment, and does what a test asks of it."""

import asyncio
from collections.abc import Sequence

import numpy as np

from workers.audio.chunking import Segment
from workers.audio.engine import Samples, Voice

RATE_HZ = 8_000


def tone(seconds: float, *, level: float = 0.5, rate_hz: int = RATE_HZ) -> Samples:
    """A sine of 440 Hz, as loud from its first sample to its last."""
    moments = np.arange(round(seconds * rate_hz)) / rate_hz
    return (level * np.sin(2 * np.pi * 440 * moments)).astype(np.float32)


class ToneVoice:
    """A SpeechEngine without speech: a tenth of a second of sine per segment."""

    name = "tone"
    rate_hz = RATE_HZ
    imitates = False

    def __init__(self, *, version: str = "1") -> None:
        self.version = version
        self.batches: list[list[str]] = []
        self.voices: list[Voice] = []
        self.sounds: dict[str, Samples] = {}
        """What to give back for a segment that holds this word, in place of a tone."""
        self.errors: dict[str, Exception] = {}
        """What to raise for a batch that holds this word."""
        self.hangs_at: str | None = None
        self.hanging = asyncio.Event()
        self.memory_segments = 1_000

    @property
    def spoken(self) -> str:
        """All text it was given, in order."""
        return " ".join(text for batch in self.batches for text in batch)

    async def speak(self, segments: Sequence[Segment], voice: Voice) -> list[Samples]:
        texts = [segment.text for segment in segments]
        self.batches.append(texts)
        self.voices.append(voice)
        if self.hangs_at is not None and self.hangs_at in " ".join(texts):
            self.hanging.set()
            await asyncio.Event().wait()
        for word, error in self.errors.items():
            if word in " ".join(texts):
                raise error
        return [self._sound(text) for text in texts]

    def _sound(self, text: str) -> Samples:
        return next((sound for word, sound in self.sounds.items() if word in text), tone(0.1))
