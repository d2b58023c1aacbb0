"""What is to be seen when: pure functions from pictures and length to scenes."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from workers.video.preparation import Picture
from workers.video.standard import FPS

SHORTEST_S = 1.5
"""A picture shown for less cannot be taken in."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A stretch of video that shows one picture."""

    picture: Picture
    first_frame: int
    """Frame of the video with which it begins, from 0."""
    frames: int
    """Length in frames, at least 1."""


def room(total_frames: int) -> int:
    """How many pictures a video has room for, at least 1."""
    return max(1, int(total_frames / (SHORTEST_S * FPS)))


def spread(pictures: Sequence[Picture], total_frames: int) -> tuple[Scene, ...]:
    """Show each picture once, in order, all equally long to within a frame.

    Args:
        pictures: at least one and at most `total_frames`.
    """
    # Each boundary is rounded by itself: no error adds up, the last one is the end exactly.
    count = len(pictures)
    boundaries = [(total_frames * number + count // 2) // count for number in range(count + 1)]
    return tuple(
        Scene(picture, first, following - first)
        for picture, (first, following) in zip(pictures, pairwise(boundaries), strict=True)
    )
