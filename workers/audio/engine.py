"""SpeechEngine: segments of text and a voice in, samples out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from workers.audio.chunking import Segment

Samples: TypeAlias = npt.NDArray[np.float32]
"""Mono sound, float32 [samples], full scale ±1.0."""


@dataclass(frozen=True, slots=True)
class ReferenceVoice:
    """A recording to imitate plus the words spoken in it."""

    path: Path
    """The recording, a local file."""
    text: str
    sha256: str
    """Hex digest of the recording: the same digest is the same voice, wherever the file lies."""


@dataclass(frozen=True, slots=True)
class Voice:
    """How a job is to be spoken."""

    language: str
    """`hi` or `en`: the language of the job; single segments may be in the other one."""
    reference: ReferenceVoice | None = None
    """None: the engine's own voice."""
    speed: float = 1.0
    """Factor on the engine's natural rate of speech, 0.5 to 2; above 1 is faster."""

    @property
    def identity(self) -> str:
        """The same text of two voices with one identity sounds the same."""
        imitated = f"{self.reference.sha256} {self.reference.text}" if self.reference else "own"
        return f"{self.language} {self.speed:.3f} {imitated}"


class SpeechEngine(Protocol):
    """Turns text into speech. One caller at a time: it may own a GPU."""

    @property
    def name(self) -> str:
        """Such as `espeak-ng` or `f5-tts`."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever the same text in the same voice would sound different: code, model, parameters."""
        ...

    @property
    def rate_hz(self) -> int:
        """Sample rate of everything it speaks, Hz."""
        ...

    @property
    def imitates(self) -> bool:
        """Whether it speaks in the reference voice. If not, it has one voice of its own and ignores it."""
        ...

    async def speak(self, segments: Sequence[Segment], voice: Voice) -> list[Samples]:
        """Speak a batch of segments; the engine may run them together.

        Args:
            segments: 1 or more, each at most 200 characters; none of their pauses is spoken.
        Returns: one array per segment, in order, at `rate_hz`; silence at the edges is welcome and is
        trimmed. Empty where a segment cannot be spoken at all, such as a lone emoji: that is no error.
        Raises: VoiceUnusable for a language or reference it cannot speak with; EngineOutOfMemory if fewer
        segments at once could do; EngineFailed for anything that another attempt may cure. When cancelled,
        no computing and no process is left behind.
        """
        ...
