"""Renders the scenes of a storyboard, several at a time, each to a file that names its inputs.

A file's name is a hash of all that decides what is in it. So a later attempt finds what an
earlier one finished, and two equal stretches are rendered once. Motion, cross-fades and
captions go into `filters`, with what they depend on added to the hash.
"""

import asyncio
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobqueue import durable
from workers.video.errors import EncodeFailed
from workers.video.ffmpeg import FFmpeg
from workers.video.preparation import Picture
from workers.video.standard import FPS, HEIGHT, WIDTH
from workers.video.storyboard import Scene
from workers.video.tasks import first_error, to_the_end

LONGEST_CLIP = 125
"""Frames. A picture that stands still is rendered for at most 5 s, and that clip is repeated:
each clip begins with the key frame that a player needs now and then anyway."""
MOST_PARALLEL = 4

ENCODER = (
    *("-c:v", "libx264", "-preset", "superfast", "-crf", "21", "-x264-params", "mbtree=1:rc-lookahead=10"),
    *("-profile:v", "high", "-pix_fmt", "yuv420p", "-g", str(LONGEST_CLIP), "-bf", "2", "-threads", "1"),
)
"""superfast with mbtree looks like veryfast at 43 % less work. One thread: the clips run side by side."""


@dataclass(frozen=True, slots=True)
class Clip:
    """What one run of FFmpeg renders."""

    picture: Picture
    frames: int

    def name(self, ffmpeg_version: str) -> str:
        """File name that is the same only for the same result."""
        inputs = (ffmpeg_version, self.picture.digest, filters(self.frames), " ".join(ENCODER))
        return f"scene-{hashlib.sha256(chr(0).join(inputs).encode()).hexdigest()[:32]}.mp4"


def clips(scene: Scene) -> list[Clip]:
    """A scene as clips of nearly equal length, of at most two different lengths."""
    count = -(-scene.frames // LONGEST_CLIP)
    short, longer = divmod(scene.frames, count)
    return [Clip(scene.picture, short + (number < longer)) for number in range(count)]


def filters(frames: int) -> str:
    """The filter text for a picture that stands still.

    Converted once and repeated after, not the other way round: a 40 s picture would take 3 GB.
    Range and matrix are set, as a JPEG brings full range and BT.601, which players then show wrong.
    """
    convert = (
        f"scale={WIDTH}:{HEIGHT}:out_range=tv:out_color_matrix=bt709:flags=lanczos,setsar=1,format=yuv420p"
    )
    repeat = f"loop=loop={frames - 1}:size=1:start=0"
    tag = "setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709"
    # The time base first: N/FPS/TB truncates, and for some N the last frame would fall onto the one before.
    return f"{convert},{repeat},{tag},settb=1/{FPS},setpts=N,fps={FPS}"


def parallel_renders() -> int:
    """As many as there are processor cores for us, at most MOST_PARALLEL."""
    return max(1, min(MOST_PARALLEL, len(os.sched_getaffinity(0))))


async def render(
    ffmpeg: FFmpeg,
    storyboard: Sequence[Scene],
    work: Path,
    parallel: int,
    on_share: Callable[[float], None],
) -> list[Path]:
    """Render what is not yet in the work folder.

    Args:
        on_share: called with the share of frames rendered, 0 to 1.
    Returns: files to be joined in this order; one may occur several times.
    Raises: EncodeFailed, EncodeStalled, OSError.
    """
    version = await ffmpeg.version()
    wanted = [clip for scene in storyboard for clip in clips(scene)]
    counter = _Counter(sum(clip.frames for clip in set(wanted)), on_share)
    slots = asyncio.Semaphore(parallel)

    async def make(clip: Clip) -> None:
        async with slots:
            await _render_clip(ffmpeg, clip, work / clip.name(version), counter)

    with first_error():
        async with asyncio.TaskGroup() as group:
            for clip in dict.fromkeys(wanted):
                group.create_task(make(clip))
    return [work / clip.name(version) for clip in wanted]


async def _render_clip(ffmpeg: FFmpeg, clip: Clip, place: Path, counter: "_Counter") -> None:
    if not await to_the_end(place.exists):
        part = place.with_suffix(".part")
        source = ["-i", clip.picture.place.name, "-vf", filters(clip.frames)]
        outcome = await ffmpeg.run(
            [*source, *ENCODER, "-an", "-frames:v", str(clip.frames), "-f", "mp4", part.name],
            cwd=place.parent,
            media_s=clip.frames / FPS,
            step=f"rendering {clip.frames} frames",
            on_frames=lambda frames: counter.at(place, frames),
        )
        # FFmpeg ends with code 0 and a playable, shorter file when it was asked to quit.
        if outcome.frames != clip.frames:
            raise EncodeFailed(0, f"{outcome.frames} of {clip.frames} frames were rendered")
        await to_the_end(_keep, part, place)
    counter.at(place, clip.frames)


def _keep(part: Path, place: Path) -> None:
    # Synced first: after a power cut a name without its bytes would be taken for a finished scene.
    durable.sync_file(part)
    part.replace(place)


class _Counter:
    """Adds up the frames of clips that are rendered side by side."""

    def __init__(self, total: int, on_share: Callable[[float], None]) -> None:
        self._total = total
        self._on_share = on_share
        self._frames: dict[Path, int] = {}

    def at(self, place: Path, frames: int) -> None:
        self._frames[place] = frames
        self._on_share(sum(self._frames.values()) / self._total)
