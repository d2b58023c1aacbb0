"""Every clip has exactly the frames it was asked for."""

import asyncio

import pytest

from tests.video import media
from tests.video.studio import Studio
from workers.video.tasks import first_error

ODD_LENGTHS = (1, 2, 29, 30, 48, 57, 58, 59, 60, 95, 113, 115, 119, 120, 125)
"""Where N / 25 / 0.04 comes out just below N, and some others."""


@pytest.mark.parametrize("frames", ODD_LENGTHS)
async def test_a_clip_of_any_length_is_rendered_whole(studio: Studio, frames: int) -> None:
    studio.record(frames / 25)
    studio.add("a.png", media.plain(media.RED))
    await studio.make()
    assert media.decoded(studio.video, "v")[0] == frames


async def test_the_first_error_of_a_group_leaves_its_task_in_order() -> None:
    """Python before 3.13 leaves the task marked as being cancelled, and every later error with it."""

    async def fail() -> None:
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"), first_error():
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            await asyncio.sleep(10)
    current = asyncio.current_task()
    assert current is not None and current.cancelling() == 0
