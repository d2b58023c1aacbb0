"""The sound of a video: the recording as AAC, encoded once and kept for later attempts.

Music and its ducking under the voice will find their place in `FILTERS` and the inputs.
"""

import hashlib
from pathlib import Path

from jobqueue import durable
from workers.video.ffmpeg import FFmpeg
from workers.video.recording import Recording
from workers.video.standard import CHANNELS, RATE_HZ
from workers.video.tasks import to_the_end

FILTERS = f"aresample={RATE_HZ},aformat=channel_layouts=stereo"
"""No loudness here: the recording arrives mastered. A mono one goes to both sides 3 dB softer,
which is the same loudness, as two equal channels add up."""
ENCODER = ("-c:a", "aac", "-b:a", "192k", "-ar", str(RATE_HZ), "-ac", str(CHANNELS))


async def render(ffmpeg: FFmpeg, recording: Recording, work: Path) -> Path:
    """Encode the recording into the work folder, unless that was done. Raises: EncodeFailed, OSError."""
    inputs = (await ffmpeg.version(), recording.digest, FILTERS, " ".join(ENCODER))
    place = work / f"sound-{hashlib.sha256(chr(0).join(inputs).encode()).hexdigest()[:32]}.m4a"
    if not await to_the_end(place.exists):
        part = place.with_suffix(".part")
        await ffmpeg.run(
            [*recording.source, "-map", "0:a:0", "-vn", "-af", FILTERS, *ENCODER, "-f", "mp4", part.name],
            cwd=work,
            media_s=recording.length_s,
        )
        await to_the_end(_keep, part, place)
    return place


def _keep(part: Path, place: Path) -> None:
    durable.sync_file(part)
    part.replace(place)
