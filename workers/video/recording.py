"""The recording that a video is made for: is it there, is it whole, how long is it."""

import hashlib
import math
import re
from dataclasses import dataclass
from pathlib import Path

from workers.video.errors import INVALID_DATA, EncodeFailed, RecordingUnusable
from workers.video.ffmpeg import FFmpeg
from workers.video.standard import FPS
from workers.video.tasks import to_the_end

NAME = "audio.wav"
UNDECODABLE = {INVALID_DATA, 69}
"""FFmpeg's exit codes for bad input (69: too many errors); any other is trouble of this machine."""
HEAD_BYTES = 4096
SILENCE_LUFS = -70.0
UNKNOWN_LENGTH = b"\xff\xff\xff\xff"


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording that has been played to its end."""

    source: tuple[str, ...]
    """FFmpeg's arguments for reading it."""
    length_s: float
    """s, more than 0."""
    digest: str
    """SHA-256 of the file."""
    level_lufs: float
    """Integrated loudness, EBU R 128; about -70 for silence."""

    @property
    def frames(self) -> int:
        """Video frames needed to cover it; the last may outlast the sound by up to one frame."""
        return max(1, math.ceil(round(self.length_s * FPS, 3)))


async def examine(ffmpeg: FFmpeg, folder: Path, path: str) -> Recording:
    """Decode the recording in `folder` to its end.

    Decoding, because a header lies: that of a file cut short in an upload still tells the full length.

    Args:
        path: the same folder as the user knows it, below DATA_DIR, for the message.
    Raises: RecordingUnusable; EncodeFailed or EncodeStalled when this machine is to blame.
    """
    place = folder / NAME
    size_bytes, length_known = await to_the_end(_look, place, f"{path}/{NAME}")
    strict = ("-xerror", "-err_detect", "explode") if length_known else ()
    # Format and protocol are named: whatever was uploaded as a WAV cannot make FFmpeg open another file.
    source = ("-protocol_whitelist", "file", "-f", "wav", "-i", f"file:{place}")
    try:
        outcome = await ffmpeg.run(
            [*strict, *source, "-map", "0:a:0", "-af", "ebur128=framelog=quiet", "-f", "null", "-"],
            cwd=folder,
            media_s=size_bytes / 16_000,
            step="checking the recording",
            options=("-hide_banner", "-loglevel", "info"),
        )
    except EncodeFailed as error:
        if error.exit_code not in UNDECODABLE:
            raise
        raise RecordingUnusable(
            f"The recording at {path}/{NAME} is cut short or damaged: upload it again and /retry."
        ) from error
    if outcome.length_s <= 0:
        raise RecordingUnusable(f"The recording at {path}/{NAME} holds no sound: upload it again and /retry.")
    return Recording(source, outcome.length_s, await to_the_end(_digest, place), _level_lufs(outcome.log))


def _look(place: Path, path: str) -> tuple[int, bool]:
    """Size in bytes, and whether the header tells a length: one that was written into a pipe does not."""
    try:
        size_bytes = place.stat().st_size
        with place.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except FileNotFoundError:
        raise RecordingUnusable(f"There is no recording at {path}: upload it and /retry.") from None
    if size_bytes == 0:
        raise RecordingUnusable(f"The recording at {path} is empty: upload it again and /retry.")
    where = head.find(b"data")
    return size_bytes, where < 0 or head[where + 4 : where + 8] != UNKNOWN_LENGTH


def _level_lufs(log: str) -> float:
    """What the filter ebur128 sums up at its end."""
    found = re.findall(r"^ *I: +(-?[\d.]+) LUFS", log, re.MULTILINE)
    return float(found[-1]) if found else SILENCE_LUFS


def _digest(place: Path) -> str:
    with place.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
