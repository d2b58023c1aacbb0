"""Work that runs to its end even when whoever waits for it is cancelled."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Await `work`; a cancellation takes effect once it has ended.

    A move of a job is file work in a thread followed by the same change in memory. A thread
    cannot be cancelled, so a caller that vanished in between would leave the two apart.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancelled = error  # and again, if the caller is cancelled again meanwhile
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # seen, so that asyncio does not report it as forgotten
        raise cancelled
    return task.result()
