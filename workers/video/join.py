"""Joins rendered scenes and sound into one file, without coding anything anew."""

from collections.abc import Callable, Sequence
from pathlib import Path

from workers.video.errors import INVALID_DATA, EncodeFailed, ProbeFailed
from workers.video.ffmpeg import FFmpeg
from workers.video.standard import FPS
from workers.video.tasks import to_the_end

PART = "video.mp4.part"
LIST = "scenes.txt"


async def join(
    ffmpeg: FFmpeg,
    scenes: Sequence[Path],
    sound: Path,
    total_frames: int,
    on_share: Callable[[float], None],
) -> Path:
    """Join files that lie in one folder; the result lies there too.

    Args:
        scenes: in the order of showing; all of the same size, rate and coding.
        on_share: called with the share done, 0 to 1.
    Raises: ProbeFailed when a part is damaged; EncodeFailed, EncodeStalled, OSError.
    """
    work = sound.parent
    lines = "".join(f"file '{scene.name}'\n" for scene in scenes)
    await to_the_end((work / LIST).write_text, lines)
    tracks = ["-f", "concat", "-i", LIST, "-i", sound.name, "-map", "0:v:0", "-map", "1:a:0", "-c", "copy"]
    index_first = ["-movflags", "+faststart"]  # so that it plays while it loads
    try:
        await ffmpeg.run(
            ["-xerror", *tracks, *index_first, "-f", "mp4", PART],
            cwd=work,
            media_s=total_frames / FPS,
            step="joining",
            on_frames=lambda frames: on_share(frames / total_frames),
        )
    except EncodeFailed as error:
        if error.exit_code == INVALID_DATA:
            raise ProbeFailed(["a part that an earlier attempt left cannot be read"]) from error
        raise
    return work / PART
