"""Time that this process missed: paused with its machine, stopped by a signal, or starved of processor."""

import time
from collections.abc import Callable

TICK_S = 1.0
"""How often a process that runs says so."""
SLACK_S = 1.0
"""A tick may be as late as this on a busy machine."""


class Stalls:
    """Learns from ticks that did not come that nobody could be heard meanwhile.

    Whoever judges others by their silence asks here first: what they said in a stall still waits to be read.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """`now`: monotonic s of real time, also where a test turns the queue's clock."""
        self._now = now
        self._ticked_at: float | None = None

    def tick(self) -> None:
        """The process runs; to be called every `TICK_S`."""
        self._ticked_at = self._now()

    def lost_s(self) -> float:
        """Seconds lost that have not been told yet; 0 if there were none, and as long as nobody ticks."""
        if self._ticked_at is None:
            return 0.0
        now = self._now()
        silent_s = now - self._ticked_at
        if silent_s <= TICK_S + SLACK_S:
            return 0.0
        self._ticked_at = now
        return silent_s
