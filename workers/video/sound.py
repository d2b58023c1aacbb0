"""The sound of a video: the recording as AAC, encoded once and kept for later attempts.

Music and its ducking under the voice will find their place in `_filters` and the inputs.
"""

import hashlib
from pathlib import Path

from jobqueue import durable
from workers.video.ffmpeg import FFmpeg
from workers.video.recording import SILENCE_LUFS, Recording
from workers.video.standard import CHANNELS, RATE_HZ
from workers.video.tasks import to_the_end

LOUDNESS_LUFS = -14.0
"""What YouTube plays back unchanged: it turns louder sound down and never turns quieter sound up."""
GAIN_MAX_DB = 24.0
"""More would make a voice of noise."""
CEILING = 0.84
"""Highest sample, full scale 1: -1.5 dB, which leaves room for peaks between samples and for AAC."""
ENCODER = ("-c:a", "aac", "-b:a", "192k", "-ar", str(RATE_HZ), "-ac", str(CHANNELS))


async def render(ffmpeg: FFmpeg, recording: Recording, work: Path) -> Path:
    """Encode the recording into the work folder, unless that was done. Raises: EncodeFailed, OSError."""
    filters = _filters(recording)
    inputs = (await ffmpeg.version(), recording.digest, filters, " ".join(ENCODER))
    place = work / f"sound-{hashlib.sha256(chr(0).join(inputs).encode()).hexdigest()[:32]}.m4a"
    if not await to_the_end(place.exists):
        part = place.with_suffix(".part")
        await ffmpeg.run(
            [*recording.source, "-map", "0:a:0", "-vn", "-af", filters, *ENCODER, "-f", "mp4", part.name],
            cwd=work,
            media_s=recording.length_s,
            step="encoding the sound",
        )
        await to_the_end(_keep, part, place)
    return place


def _filters(recording: Recording) -> str:
    """One gain for the whole, then a limiter: a voice keeps its own ups and downs."""
    wanted_db = LOUDNESS_LUFS - recording.level_lufs
    gain_db = wanted_db if recording.level_lufs > SILENCE_LUFS else 0.0
    return (
        f"aresample={RATE_HZ},aformat=channel_layouts=stereo,volume={min(gain_db, GAIN_MAX_DB):.2f}dB,"
        f"alimiter=limit={CEILING}:level=false:attack=5:release=50"
    )


def _keep(part: Path, place: Path) -> None:
    durable.sync_file(part)
    part.replace(place)
