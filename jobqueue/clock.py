"""Where the queue gets the time from, so that tests can turn it."""

import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks: one for what is written down, one for how long something may take."""

    def now(self) -> float:
        """Unix time, s. It may jump; use it only for what goes to disk or to people."""
        ...

    def monotonic(self) -> float:
        """Seconds that only ever grow. Leases and timeouts are counted on it."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()
