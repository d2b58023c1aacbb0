"""Looks at a finished video before anyone else does: FFmpeg's exit code is no proof."""

from collections.abc import Callable, Iterator
from pathlib import Path

from workers.video import probe
from workers.video.errors import INVALID_DATA, EncodeFailed, ProbeFailed
from workers.video.ffmpeg import FFmpeg
from workers.video.standard import FPS, HEIGHT, RATE_HZ, TOLERANCE_S, WIDTH
from workers.video.tasks import to_the_end

LISTING = "packets.txt"
VIDEO = {"media_type": "video", "codec_id": "h264", "dimensions": f"{WIDTH}x{HEIGHT}", "sar": "1/1"}
AUDIO = {
    "media_type": "audio",
    "codec_id": "aac",
    "sample_rate": str(RATE_HZ),
    "channel_layout_name": "stereo",
}


async def check(
    ffmpeg: FFmpeg, place: Path, total_frames: int, length_s: float, on_share: Callable[[float], None]
) -> None:
    """Hold the file against what was to be made.

    Counts every packet and decodes all sound and each key frame; decoding all frames
    would take as long as rendering them.

    Args:
        length_s: of the recording, s.
        on_share: called with the share done, 0 to 1.
    Raises: ProbeFailed with all faults found; EncodeFailed, EncodeStalled when this machine is to blame.
    """
    strict = ["-xerror", "-err_detect", "explode", "-skip_frame:v", "nokey"]
    listed = ["-map", "0", "-c", "copy", "-f", "framecrc", LISTING]
    decoded = ["-map", "0:v?", "-map", "0:a?", "-fps_mode", "passthrough", "-f", "null", "-"]
    try:
        await ffmpeg.run(
            [*strict, "-i", place.name, *listed, *decoded],
            cwd=place.parent,
            media_s=length_s,
            step="checking the video",
            on_frames=lambda frames: on_share(frames / total_frames),
        )
    except EncodeFailed as error:
        if error.exit_code == INVALID_DATA:
            raise ProbeFailed(["it cannot be decoded to its end"]) from error
        raise
    faults = await to_the_end(_faults, place, total_frames, length_s)
    if faults:
        raise ProbeFailed(faults)


def _faults(place: Path, total_frames: int, length_s: float) -> list[str]:
    found = probe.tracks(place.with_name(LISTING))
    if len(found) != 2:
        return [f"it has {len(found)} streams, not a picture and a sound"]
    return [
        *_wrong_facts(found[0], VIDEO),
        *_wrong_facts(found[1], AUDIO),
        *_wrong_frames(found[0], total_frames),
        *_wrong_header(probe.header(place), length_s),
        *_wrong_length("sound", found[1].ends_s, length_s),
        *_wrong_length("picture", found[0].ends_s, length_s),
        *([] if _index_first(place) else ["its index does not come first"]),
    ]


def _wrong_facts(track: probe.Track, wanted: dict[str, str]) -> Iterator[str]:
    for name, value in wanted.items():
        if track.facts.get(name) != value:
            yield f"{wanted['media_type']} {name} is {track.facts.get(name)}, not {value}"


def _wrong_frames(video: probe.Track, total_frames: int) -> Iterator[str]:
    if video.packets != total_frames:
        yield f"it has {video.packets} frames, not {total_frames}"
    if not video.even:
        yield "its frames do not follow each other evenly"


def _wrong_header(header: probe.Header | None, length_s: float) -> Iterator[str]:
    if header is None:
        yield "its header cannot be read"
        return
    if header.size != (WIDTH, HEIGHT) or header.fps != FPS:
        yield f"its header says {header.size[0]}x{header.size[1]} at {header.fps:g} frames a second"
    yield from _wrong_length("header", header.length_s, length_s)


def _wrong_length(what: str, found_s: float, wanted_s: float) -> Iterator[str]:
    if abs(found_s - wanted_s) > TOLERANCE_S:
        yield f"its {what} ends at {found_s:.2f} s, the recording at {wanted_s:.2f} s"


def _index_first(place: Path) -> bool:
    """Whether the box `moov` (the index) comes before `mdat` (the media), so that it plays while it loads."""
    with place.open("rb") as file:
        while len(head := file.read(8)) == 8:
            size, kind = int.from_bytes(head[:4], "big"), head[4:]
            if kind in (b"moov", b"mdat"):
                return kind == b"moov"
            if size < 8:
                return False
            file.seek(size - 8, 1)
    return False
