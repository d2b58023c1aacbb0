"""How this stage waits for threads and for several tasks at once."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def to_the_end(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run blocking work in a thread; if cancelled meanwhile, wait for it before passing that on.

    asyncio.to_thread alone would let the thread go on writing into a folder that its
    cancelled caller is just clearing.
    """
    thread = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        await asyncio.wait({thread})
        if not thread.cancelled():
            thread.exception()  # seen, so that asyncio does not report it as forgotten
        raise


@contextlib.contextmanager
def first_error() -> Iterator[None]:
    """Raise the first error of a task group as itself: callers ask whether it is a PermanentError."""
    current = asyncio.current_task()
    requests = current.cancelling() if current else 0
    try:
        yield
    except BaseExceptionGroup as group:
        # Before Python 3.13 a group that fails leaves its parent marked as being cancelled.
        while current is not None and current.cancelling() > requests:
            current.uncancel()
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from first.__cause__
