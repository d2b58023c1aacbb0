"""How far a video has come, told to the queue in plain words and not too often."""

import asyncio

from jobqueue.job import Progress
from jobqueue.worker import Report

SHARES = {
    "preparing pictures": (0.0, 10.0),
    "rendering": (10.0, 88.0),
    "joining": (88.0, 93.0),
    "checking": (93.0, 99.0),
}
"""From which to which percent each step goes. The queue tells 100, once all is in place."""

INTERVAL_S = 1.0


class Meter:
    """The percentage of one job. Steps move it, a task of its own reports it: a slow queue slows no step."""

    def __init__(self, interval_s: float = INTERVAL_S) -> None:
        """`interval_s`: shortest time between two reports, s."""
        self._interval_s = interval_s
        self._changed = asyncio.Event()
        self._progress = Progress(0.0)

    def at(self, step: str, share: float) -> None:
        """`share` (0 to 1) of a step is done. The percentage never falls."""
        first, last = SHARES[step]
        percent = round(first + (last - first) * min(max(share, 0.0), 1.0), 1)
        new = Progress(max(percent, self._progress.percent), step)
        if new != self._progress:
            self._progress = new
            self._changed.set()

    async def tell(self, report: Report) -> None:
        """Report each change, the newest only, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            await report(self._progress)
            await asyncio.sleep(self._interval_s)
