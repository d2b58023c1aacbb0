"""The folder `render/` beside a video in the making; gone once the video is in place."""

import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from jobqueue import durable
from workers.video.errors import ProbeFailed
from workers.video.tasks import to_the_end

NAME = "render"
KEPT = ("scene-*.mp4", "sound-*.m4a")
"""What a later attempt may use again; their names tell what is in them."""


@contextlib.asynccontextmanager
async def workshop(folder: Path) -> AsyncIterator[Path]:
    """A folder to work in; it may hold finished scenes of an earlier attempt.

    After an error or a cancellation only finished scenes stay in it, for the next attempt;
    after a video that did not pass its check not even those.
    """
    work = folder / NAME
    await to_the_end(durable.make_folder, work)
    try:
        yield work
    except ProbeFailed:
        await to_the_end(_remove, work)
        raise
    except BaseException:
        await to_the_end(_sweep, work)
        raise
    await to_the_end(_remove, work)


def _sweep(work: Path) -> None:
    """Remove all but finished scenes, and the folder with the last of them."""
    for entry in work.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif not any(entry.match(pattern) for pattern in KEPT):
            entry.unlink()
    with contextlib.suppress(OSError):  # not empty
        work.rmdir()


def _remove(work: Path) -> None:
    shutil.rmtree(work, ignore_errors=True)
