"""The latest news of jobs, numbered, so that whoever reads them can go on where it stopped."""

import asyncio
import secrets
from collections import deque
from dataclasses import dataclass

from jobqueue.clock import Clock
from jobqueue.feed import Change

KEPT = 10_000
"""Some minutes of a busy queue; a reader that was away for longer has to look at the lists anew."""


@dataclass(slots=True)
class Entry:
    """One piece of news."""

    number: int
    """Counts from 1 in each life of the process."""
    at: float
    """Unix seconds."""
    change: Change
    frame: bytes | None = None
    """As it is sent, once somebody has asked for it: a hundred readers get the same bytes."""


class History:
    """A ring of the last changes. Give `heard` to a Feed.

    Writing costs the same whether nobody reads or many do, and waits for nobody: each
    reader comes for what it lacks, as fast as it likes, and is told when that is gone.
    """

    def __init__(self, clock: Clock, *, kept: int = KEPT) -> None:
        self._clock = clock
        self._ring: deque[Entry] = deque(maxlen=kept)
        self._news: asyncio.Event | None = None
        """There while somebody waits for news."""
        self.boot = secrets.token_hex(4)
        """Which life of the process the numbers belong to."""
        self.last = 0
        """Number of the latest news; 0 if there was none."""

    def heard(self, change: Change) -> None:
        """Listens on the feed."""
        self.last += 1
        self._ring.append(Entry(self.last, self._clock.now(), change))
        self.wake()

    def after(self, number: int, *, limit: int) -> list[Entry] | None:
        """The next news after that number, `limit` at most; None if some of them are gone, or never were."""
        if number > self.last or number < self.last - len(self._ring):
            return None
        missing = self.last - number
        return [self._ring[index] for index in range(-missing, min(limit - missing, 0))]

    async def more(self, number: int) -> None:
        """Wait until there is news after that number, or until `wake`."""
        if self.last > number:
            return
        if self._news is None:
            self._news = asyncio.Event()
        await self._news.wait()

    def wake(self) -> None:
        """Let all who wait look again."""
        if self._news is not None:
            self._news.set()
            self._news = None

    def id_of(self, number: int) -> str:
        return f"{self.boot}-{number}"

    def number_of(self, entry_id: str) -> int | None:
        """The number in an id; None if it is of another life of the process, or no id at all."""
        boot, _, digits = entry_id.partition("-")
        is_ours = boot == self.boot and digits.isascii() and digits.isdigit() and len(digits) < 16
        return int(digits) if is_ours else None
