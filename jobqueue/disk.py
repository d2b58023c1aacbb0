"""Where blocking file work runs: threads of its own, so that a slow disk holds up nothing but itself."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from jobqueue.errors import QueueUnwritable

T = TypeVar("T")

THREADS = ThreadPoolExecutor(8, thread_name_prefix="disk")
"""They start when they are first needed."""


async def in_thread(work: Callable[[], T]) -> T:
    """Run blocking work in a thread; whatever it raises comes out here."""
    # The context goes with it, so that what a thread logs is known to be of this job and request.
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(THREADS, context.run, work)


async def on_disk(work: Callable[[], T], *, missing: type[OSError] | None = None) -> T:
    """As `in_thread`, for file work. Raises: QueueUnwritable for any OSError but `missing`."""
    try:
        return await in_thread(work)
    except OSError as error:
        if missing is not None and isinstance(error, missing):
            raise
        raise QueueUnwritable(f"the queue's disk cannot be written: {error.strerror or error}") from error
