"""Measures how late an event loop wakes up: what a person who writes to the bot would have to wait.

python -m bench.queues.watchdog FILE     watches an idle loop until SIGTERM: the machine's own lateness
"""

import asyncio
import json
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BEAT_S = 0.002
WORTH_NOTING_S = 0.005


class Watchdog:
    """Notes each beat that came late: [monotonic s, lateness s, of that busy on the loop's own thread s]."""

    def __init__(self) -> None:
        self._late: list[tuple[float, float, float]] = []

    async def watch(self) -> None:
        while True:
            due, busy = time.monotonic() + BEAT_S, time.thread_time()
            await asyncio.sleep(BEAT_S)
            late_s = time.monotonic() - due
            if late_s >= WORTH_NOTING_S:
                self._late.append((due, late_s, time.thread_time() - busy))

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(self._late))


@dataclass(frozen=True, slots=True)
class Lateness:
    """The worst of some time, s."""

    late_s: float
    """From when the loop should have woken up to when it did."""
    beyond_s: float
    """Of that, the part in which an idle loop in another process was on time: the machine is not to blame."""
    busy_s: float
    """The longest that the loop's own thread worked without a pause."""


def worst(path: Path, idle: Path, begun: float, ended: float) -> Lateness:
    """What a watchdog saw between two moments, beside what the one of an idle loop saw."""
    late = [each for each in json.loads(path.read_text()) if begun <= each[0] <= ended]
    late_idle = [(due, due + late_s) for due, late_s, _ in json.loads(idle.read_text())]
    return Lateness(
        max((late_s for _, late_s, _ in late), default=0.0),
        max((late_s - _shared(due, due + late_s, late_idle) for due, late_s, _ in late), default=0.0),
        max((busy_s for _, _, busy_s in late), default=0.0),
    )


def _shared(begun: float, ended: float, others: Sequence[tuple[float, float]]) -> float:
    """How much of the time from `begun` to `ended` the others cover, s."""
    return sum(max(0.0, min(ended, last) - max(begun, first)) for first, last in others)


async def main(path: Path) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    watchdog = Watchdog()
    watching = asyncio.ensure_future(watchdog.watch())
    await stop.wait()
    watching.cancel()
    watchdog.save(path)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
