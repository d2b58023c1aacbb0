"""Makes of the files in an image folder the clean, frame-sized pictures that are rendered.

FFmpeg gets to see nothing else: a user's file may be damaged, a decompression bomb, or a
playlist in disguise, and FFmpeg would render the first half-green without a word.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from workers.video import framing, pictures
from workers.video.album import natural, shown
from workers.video.errors import EncodeFailed, PictureUnusable
from workers.video.ffmpeg import FFmpeg
from workers.video.tasks import to_the_end

ORIGINAL = "original.part"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture ready to be rendered."""

    place: Path
    """JPEG or PNG of exactly the frame's size, in the work folder."""
    digest: str
    """SHA-256 of that file."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """All pictures of a video, in the order in which they are shown."""

    pictures: tuple[Picture, ...]
    notes: tuple[str, ...]
    """A sentence for the user about each picture that was left out or changed."""


async def prepare(
    ffmpeg: FFmpeg,
    candidates: Sequence[Path],
    wanted: int,
    work: Path,
    on_share: Callable[[float], None],
) -> Prepared:
    """Prepare `wanted` of the candidates, evenly chosen; where one is unusable, another takes its place.

    Args:
        wanted: pictures that the video has room for, at least 1.
        on_share: called with the share done, 0 to 1.
    Raises: OSError when the work folder cannot be written; EncodeFailed, EncodeStalled.
    """
    good: dict[Path, Picture] = {}
    notes: list[str] = []
    chosen = evenly(candidates, wanted)
    reserves = [each for each in candidates if each not in set(chosen)]
    queue = [*chosen, *reserves]
    for number, source in enumerate(queue):
        if len(good) == wanted:
            untried = len(queue) - number
            notes.append(
                f"There are too many pictures for this length: {wanted} are shown, {untried} are not."
            )
            break
        try:
            good[source], remark = await _prepare_one(ffmpeg, source, work / f"picture-{number:04}.jpg")
        except PictureUnusable as error:
            notes.append(f"{shown(source.name)} was left out: {error.reason}.")
        else:
            notes.extend([f"{shown(source.name)} {remark}."] if remark else [])
        on_share((number + 1) / max(len(chosen), number + 2))
    return Prepared(tuple(good[source] for source in sorted(good, key=natural)), tuple(notes))


def evenly(candidates: Sequence[Path], wanted: int) -> list[Path]:
    """At most `wanted` of the candidates, as far apart as can be, the first and the last among them."""
    if len(candidates) <= wanted:
        return list(candidates)
    if wanted == 1:
        return [candidates[0]]
    return [candidates[number * (len(candidates) - 1) // (wanted - 1)] for number in range(wanted)]


async def _prepare_one(ffmpeg: FFmpeg, source: Path, place: Path) -> tuple[Picture, str]:
    data = await to_the_end(pictures.read, source)
    if pictures.is_jpeg(data):
        await _refuse_damaged_jpeg(ffmpeg, data, place.parent)
    return await to_the_end(_frame, data, place)


def _frame(data: bytes, place: Path) -> tuple[Picture, str]:
    image, remark = pictures.decode(data)
    # Quality 95 without chroma subsampling: the loss stays far below that of the video's own coding.
    framing.fill_frame(image).save(place, "JPEG", quality=95, subsampling=0)
    return Picture(place, hashlib.sha256(place.read_bytes()).hexdigest()), remark


async def _refuse_damaged_jpeg(ffmpeg: FFmpeg, data: bytes, work: Path) -> None:
    """Pillow decodes a JPEG with flipped bits without complaint; FFmpeg in strict mode does not.

    Checked is a copy under a name of ours, with the demuxer named, so that FFmpeg neither
    guesses what the file might be nor opens any other. Raises: PictureUnusable.
    """
    copy = work / ORIGINAL
    await to_the_end(copy.write_bytes, data)
    strict = ["-xerror", "-err_detect", "explode", "-protocol_whitelist", "file"]
    try:
        await ffmpeg.run(
            [*strict, "-f", "jpeg_pipe", "-i", f"file:{ORIGINAL}", "-frames:v", "1", "-f", "null", "-"],
            cwd=work,
            media_s=1,
            step="checking a picture",
        )
    except EncodeFailed as error:
        if error.exit_code < 0:  # killed from outside: says nothing about the picture
            raise
        raise PictureUnusable("it is damaged or cut short") from error
    finally:
        await to_the_end(copy.unlink)
