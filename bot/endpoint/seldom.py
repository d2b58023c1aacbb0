"""Lines of the log that anyone could cause by the thousand: one a minute, with a count of the others."""

import errno
import logging
import time
from collections.abc import Callable

PAUSE_S = 60.0
SCARCE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""What accepting a connection fails with when there is nothing left to accept it with."""


class Seldom:
    """A log that writes the first line at once, and then one a minute."""

    def __init__(self, log: logging.Logger, now: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._now = now
        self._last_at: float | None = None
        self._held_back = 0

    def write(self, level: int, message: str, *values: object) -> None:
        """Write the line, or count it."""
        count = self.turn()
        if count is not None:
            self._log.log(level, message + (f" (and {count} more like it before)" if count else ""), *values)

    def turn(self) -> int | None:
        """How many were held back since the last line; None: this one is, too."""
        now = self._now()
        if self._last_at is not None and now - self._last_at < PAUSE_S:
            self._held_back += 1
            return None
        self._last_at, count, self._held_back = now, self._held_back, 0
        return count


class FewAcceptErrors(logging.Filter):
    """For asyncio's log: without descriptors it tries to accept on and on, and tells of every failure."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._seldom = Seldom(logging.getLogger(__name__), now)

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, OSError) or error.errno not in SCARCE:
            return True
        return self._seldom.turn() is not None
