"""How a process ends: asked to by a signal, or giving up with one sentence for a person."""

import asyncio
import os
import signal
import sys
from typing import NoReturn

EXIT_CONFIG = os.EX_CONFIG
"""Exit status for what only a person can mend: systemd need not restart it."""


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set; call on a running loop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


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
