"""A wall clock that was set back: no job waits until it says again what it has said before."""

import logging
from collections.abc import Mapping

from jobqueue.clock import Clock
from jobqueue.index import JobIndex
from jobqueue.job import Kind

log = logging.getLogger(__name__)

SLACK_S = 1.0
"""As far as a clock is corrected without being set."""


class Setbacks:
    """Compares the two clocks, and mends the lines of the jobs where they have come apart."""

    def __init__(self, indexes: Mapping[Kind, JobIndex], clock: Clock, *, retry_cap_s: float) -> None:
        """`retry_cap_s`: the longest that a job waits for its next attempt, s."""
        self._indexes = indexes
        self._clock = clock
        self._retry_cap_s = retry_cap_s
        self._ahead_s = self._measured()

    def look(self) -> None:
        """Call it before it is judged whose turn it is."""
        before, self._ahead_s = self._ahead_s, self._measured()
        if before - self._ahead_s > SLACK_S:
            log.warning("the clock was set back by %.0f s", before - self._ahead_s)
            self.mend()

    def mend(self) -> None:
        """Let no job wait for a time that only a wrong clock can have meant. O(n)."""
        for index in self._indexes.values():
            index.set_back(self._clock.now(), retry_cap_s=self._retry_cap_s)

    def _measured(self) -> float:
        return self._clock.now() - self._clock.monotonic()
