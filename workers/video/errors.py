"""All errors of the video stage, as a tree: a class exists because someone catches it."""

import re

from jobqueue.errors import PermanentError

INVALID_DATA = 183
"""FFmpeg's exit code (AVERROR_INVALIDDATA, its low byte) for input that is cut short or damaged."""
NO_SPACE = 228
"""FFmpeg's exit code (-ENOSPC, its low byte) on a full disk."""

_FOLDERS = re.compile(r"(?<![\w.])(?:/[^/\s:'\"]+)*/(?=[^/\s])")
_ADDRESS = re.compile(r" @ 0x[0-9a-f]+")


class MediaError(Exception):
    """Making the video failed; unless it is a PermanentError too, another attempt may succeed."""


class EncodeFailed(MediaError):
    """FFmpeg ended with an error.

    Its exit code tells callers whether the input was to blame (INVALID_DATA) or the machine.
    """

    def __init__(self, exit_code: int, log: str) -> None:
        """`log`: the end of what FFmpeg wrote to stderr."""
        super().__init__(_what_ffmpeg_said(exit_code, log))
        self.exit_code = exit_code


class EncodeStalled(MediaError):
    """FFmpeg was still running, but made no progress or took far too long; it was killed."""

    def __init__(self, limit_s: float, *, total: bool) -> None:
        what = "did not finish within" if total else "made no progress for"
        super().__init__(f"FFmpeg {what} {limit_s:g} s and was stopped")


class ProbeFailed(MediaError):
    """The finished file is not what it should be; the parts it was joined from are not trusted either."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(f"the finished video did not pass its check: {'; '.join(faults)}")
        self.faults = faults


class RecordingUnusable(MediaError, PermanentError):
    """There is no recording, or it cannot be played to its end; only a new upload helps."""


class PictureUnusable(MediaError):
    """One picture cannot be shown; it is left out and the reason goes to the user."""

    def __init__(self, reason: str) -> None:
        """`reason`: continues the sentence "sunset.jpg was left out: ..."."""
        super().__init__(reason)
        self.reason = reason


def _what_ffmpeg_said(exit_code: int, log: str) -> str:
    """A sentence for people: no folders of this machine, no memory addresses."""
    if exit_code == NO_SPACE or "No space left on device" in log:
        return "the disk is full: make room, then try again"
    lines = [_FOLDERS.sub("", _ADDRESS.sub("", line)).strip() for line in log.splitlines() if line.strip()]
    said = " / ".join(lines[-3:])[-500:] or "it gave no reason"
    how = f"was killed by signal {-exit_code}" if exit_code < 0 else f"ended with code {exit_code}"
    return f"FFmpeg {how}: {said}"
