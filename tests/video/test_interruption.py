"""A render that is called off leaves nothing behind but finished scenes, and those are used again."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.video import media
from tests.video.studio import Studio


def fill(studio: Studio, count: int = 2) -> None:
    """Material whose scenes take long enough to be interrupted."""
    studio.record(count * 2)
    for number in range(count):
        studio.add(f"{number}.png", media.photo((640, 360 + 2 * number)))


def renders(logging_ffmpeg: Path) -> int:
    """How often FFmpeg was started to render a scene."""
    commands = (logging_ffmpeg.parent / "commands.txt").read_text().splitlines()
    return len([each for each in commands if "libx264" in each])


@pytest.mark.parametrize("step", ["preparing pictures", "rendering", "checking"])
async def test_a_cancelled_job_stops_at_once_and_leaves_no_temporary_file(studio: Studio, step: str) -> None:
    fill(studio)
    await studio.interrupt(lambda progress: progress.message == step and progress.percent > 0)
    assert media.all_gone(studio.root)
    finished = ("scene-", "sound-")
    assert [each for each in studio.left_over() if not Path(each).name.startswith(finished)] == []
    assert [each for each in studio.left_over() if each.endswith(".part")] == []
    assert not studio.video.exists()


BOT = """
import asyncio, sys
from pathlib import Path
from tests.video.studio import Studio
studio = Studio.__new__(Studio)
root = Path(sys.argv[1])
studio.root, studio.reports = root, []
async def report(progress):
    print(progress.percent, flush=True)
asyncio.run(studio.stage(program=Path(sys.argv[2]), parallel=1).handle(studio.job(), report))
"""


async def test_after_a_kill_the_next_attempt_goes_on_with_the_finished_scenes(
    studio: Studio, logging_ffmpeg: Path
) -> None:
    fill(studio, 3)
    with subprocess.Popen(
        [sys.executable, "-c", BOT, str(studio.root), str(logging_ffmpeg)], stdout=subprocess.PIPE
    ) as bot:
        assert bot.stdout is not None
        for _ in bot.stdout:
            if len(list(studio.render.glob("scene-*.mp4"))) >= 1:
                bot.kill()
                break
    kept = len(list(studio.render.glob("scene-*.mp4")))
    before = renders(logging_ffmpeg)
    assert 1 <= kept < 3
    await studio.make(program=logging_ffmpeg)
    assert renders(logging_ffmpeg) - before == 3 - kept
    assert media.decoded(studio.video, "v")[0] == 150
    assert studio.left_over() == []


async def test_a_picture_that_was_changed_meanwhile_is_rendered_anew(
    studio: Studio, logging_ffmpeg: Path
) -> None:
    fill(studio)
    await studio.interrupt(lambda progress: progress.message == "joining", program=logging_ffmpeg)
    studio.add("1.png", media.plain(media.BLUE))
    before = renders(logging_ffmpeg)
    await studio.make(program=logging_ffmpeg)
    assert renders(logging_ffmpeg) - before == 1
    assert media.near(media.colour_at(media.frame(studio.video, 3), 960, 540), media.BLUE)


async def test_the_loop_is_never_held_up(studio: Studio) -> None:
    """A large picture and a whole render, with a heartbeat beside them."""
    studio.record(3)
    studio.add("large.png", media.plain(media.RED, (6000, 4000)))
    studio.add("large.jpg", media.plain(media.RED, (6000, 4000)))
    loop = asyncio.get_running_loop()
    delays: list[float] = []

    async def heartbeat() -> None:
        while True:
            due = loop.time() + 0.005
            await asyncio.sleep(0.005)
            delays.append(loop.time() - due)

    beating = asyncio.create_task(heartbeat())
    try:
        await studio.make()
    finally:
        beating.cancel()
    delays.sort()
    # A machine that is busy elsewhere delays a beat or two; work on the loop would delay many.
    assert delays[-10] < 0.05
