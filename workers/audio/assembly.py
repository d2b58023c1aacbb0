"""Joins what the engine spoke into chunks, and chunks into one recording, without clicks.

`s`: samples. Files are WAV, mono, PCM of 16 bit. Everything here blocks: call it from a thread.
"""

import wave
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from workers.audio.engine import Samples
from workers.audio.errors import RecordingTooLong
from workers.audio.sentences import Pause

PAUSE_S = {Pause.SOFT: 0.12, Pause.SENTENCE: 0.35, Pause.PARAGRAPH: 0.70}
KEPT_SILENCE_S = 0.03
FADE_S = 0.008
FRAME_S = 0.01
SPEECH_BELOW_PEAK_DB = 40.0
"""A frame counts as speech if it is at most this far below the loud ones (their 95th percentile)."""
SILENCE_DBFS = -60.0
"""Nothing below this is speech, however quiet the rest is."""

BYTES_PER_SAMPLE = 2
WAV_HEADER_BYTES = 44
WAV_LIMIT_BYTES = 2**32 - 1 - WAV_HEADER_BYTES
"""The sizes in a WAV header have 32 bits."""
COPY_FRAMES = 1 << 16

FINGERPRINT = f"{sorted(PAUSE_S.values())} {KEPT_SILENCE_S} {FADE_S} 1"
"""Changes with whatever here changes how a chunk sounds."""


def join(spoken: Sequence[Samples], pauses: Sequence[Pause], rate_hz: int) -> tuple[Samples, list[int]]:
    """A chunk of speech from its segments: edges trimmed, faded, each followed by its pause.

    Returns: float32 mono [s] within ±1.0, and the indices of segments that could not be used (no sound, or
    numbers that are none); such a segment leaves only its pause.
    """
    pieces: list[Samples] = []
    unusable: list[int] = []
    for index, (samples, pause) in enumerate(zip(spoken, pauses, strict=True)):
        speech = faded(trimmed(samples, rate_hz), rate_hz) if np.isfinite(samples).all() else samples[:0]
        if not speech.size:
            unusable.append(index)
        pieces += [speech, np.zeros(round(PAUSE_S[pause] * rate_hz), np.float32)]
    whole = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    return np.clip(whole, -1.0, 1.0), unusable


def trimmed(samples: Samples, rate_hz: int) -> Samples:
    """The samples without silence at their edges, 30 ms of it kept; empty if there is nothing but silence."""
    frame = round(FRAME_S * rate_hz)
    frames = np.pad(samples, (0, -len(samples) % frame)).reshape(-1, frame).astype(np.float64)
    if not len(frames):
        return samples
    level_db = 10 * np.log10(np.maximum((frames**2).mean(axis=1), 1e-12))
    threshold_db = max(float(np.percentile(level_db, 95)) - SPEECH_BELOW_PEAK_DB, SILENCE_DBFS)
    speech = np.flatnonzero(level_db > threshold_db)
    if not len(speech):
        return samples[:0]
    kept = round(KEPT_SILENCE_S * rate_hz)
    return samples[max(0, int(speech[0]) * frame - kept) : (int(speech[-1]) + 1) * frame + kept]


def faded(samples: Samples, rate_hz: int) -> Samples:
    """The samples rising from and falling to zero within 8 ms.

    Source: raised cosine, whose slope is zero at both ends; a linear ramp has corners that can be heard.
    """
    length = min(round(FADE_S * rate_hz), len(samples) // 2)
    ramp = (0.5 - 0.5 * np.cos(np.pi * np.arange(length) / max(length, 1))).astype(np.float32)
    shaped = samples.copy()
    shaped[:length] *= ramp
    shaped[len(samples) - length :] *= ramp[::-1]
    return shaped


def write_wav(samples: Samples, target: Path, rate_hz: int) -> None:
    """Write float32 mono [s] within ±1.0 as a WAV file."""
    with wave.open(str(target), "wb") as file:
        _describe(file, rate_hz)
        file.writeframes((samples * 32_767).round().astype("<i2").tobytes())


def is_recording(path: Path, rate_hz: int) -> bool:
    """Whether the file is a whole WAV file of ours at this rate, with sound in it."""
    try:
        with wave.open(str(path), "rb") as file:
            form = (file.getnchannels(), file.getsampwidth(), file.getframerate())
            size_bytes = file.getnframes() * BYTES_PER_SAMPLE
    except (OSError, EOFError, wave.Error):
        return False
    return form == (1, BYTES_PER_SAMPLE, rate_hz) and 0 < size_bytes <= path.stat().st_size - WAV_HEADER_BYTES


def concatenate(
    parts: Iterable[Path], target: Path, rate_hz: int, *, limit_bytes: int = WAV_LIMIT_BYTES
) -> float:
    """Join WAV files of one rate into one, a piece at a time: memory does not grow with their length.

    Returns: length of the recording, s.
    Raises: RecordingTooLong if it would not fit into a WAV file of `limit_bytes`.
    """
    frames = 0
    with wave.open(str(target), "wb") as file:
        _describe(file, rate_hz)
        for path in parts:
            with wave.open(str(path), "rb") as part:
                frames += part.getnframes()
                if frames * BYTES_PER_SAMPLE > limit_bytes:
                    raise RecordingTooLong
                while piece := part.readframes(COPY_FRAMES):
                    file.writeframesraw(piece)
    return frames / rate_hz


def _describe(file: wave.Wave_write, rate_hz: int) -> None:
    file.setnchannels(1)
    file.setsampwidth(BYTES_PER_SAMPLE)
    file.setframerate(rate_hz)
