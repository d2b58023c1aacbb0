"""How a process ends: asked to by a signal, or giving up with one sentence for a person."""

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn

EXIT_CONFIG = os.EX_CONFIG
"""Exit status for what only a person can mend: systemd need not restart it."""


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set; call on a running loop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


class PartEnded(Exception):
    """A part of the process ended that must run until the end."""


async def until_stop(part: Coroutine[Any, Any, None], stop: asyncio.Event, name: str) -> None:
    """Run a part of the process. Raises: PartEnded if it ends before `stop`, in whatever way."""
    try:
        await part
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if current is not None and current.cancelling():
            raise
    if not stop.is_set():
        raise PartEnded(f"the {name} has ended on its own")


def give_up(sentence: str) -> NoReturn:
    """Say what a person must mend, and exit."""
    print(sentence, file=sys.stderr)  # noqa: T201
    raise SystemExit(EXIT_CONFIG)


def give_up_if(group: ExceptionGroup[Exception], mendable: type[Exception]) -> NoReturn:
    """Give up with the sentence of a `mendable` error in the group; raise the group if there is none."""
    found, _ = group.split(mendable)
    error: Exception | None = found
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if error is None:
        raise group
    give_up(str(error))
