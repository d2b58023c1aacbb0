"""The jobs by id, by state and in the order of their turn, in memory.

It knows just enough of each job to choose and to list; the records stay on disk.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sortedcontainers import SortedDict, SortedList

from jobqueue.backend import Filter
from jobqueue.job import Job, Kind
from jobqueue.lifecycle import State

HOUR_S = 3600.0


@dataclass(slots=True)
class Entry:
    """What the index knows of a job."""

    job_id: str
    kind: Kind
    state: State
    epoch: int
    turn: float
    """Smaller goes first: when it was created, s, less an hour for each point of priority.
    Written so, age raises priority by itself, and the order of two jobs never changes."""
    created_at: float
    not_before: float
    """Unix seconds; 0 if it may be claimed at once."""
    channel: str
    date: str
    chat_id: int | None
    worker_id: str | None = None
    number: int = 0
    """Counts the jobs as they were accepted."""


def describe(job: Job, state: State, *, now: float, worker_id: str | None = None) -> Entry:
    """The index entry of a job.

    `now`: Unix seconds; a creation time later than this (another machine's clock) counts as this.
    """
    created_at = min(job.created_at, now)
    return Entry(
        job_id=job.id,
        kind=job.kind,
        state=state,
        epoch=job.epoch,
        turn=created_at - job.priority * HOUR_S,
        created_at=created_at,
        not_before=job.not_before or 0,
        channel=job.text("channel_code"),
        date=job.text("date"),
        chat_id=job.chat_id,
        worker_id=worker_id,
    )


class JobIndex:
    """The jobs of one kind. Every call costs O(log n) at most, unless it says otherwise."""

    def __init__(self) -> None:
        self._entries: SortedDict[str, Entry] = SortedDict()
        self._accepted: SortedDict[int, Entry] = SortedDict()
        self._ready: SortedList[tuple[float, int, str]] = SortedList()
        self._delayed: SortedList[tuple[float, int, str]] = SortedList()
        self._counts = dict.fromkeys(State, 0)
        self._last_number = 0

    def get(self, job_id: str) -> Entry | None:
        return self._entries.get(job_id)

    def put(self, entry: Entry) -> None:
        """Add the entry, or replace the one of that job."""
        known = self._entries.get(entry.job_id)
        if known is None:
            self._last_number += 1
            entry.number = self._last_number
        else:
            self.drop(entry.job_id)
            entry.number = known.number
        self._entries[entry.job_id] = entry
        self._accepted[entry.number] = entry
        self._counts[entry.state] += 1
        if entry.state is State.PENDING:
            self._delayed.add((entry.not_before, entry.number, entry.job_id))

    def drop(self, job_id: str) -> None:
        entry = self._entries.pop(job_id)
        del self._accepted[entry.number]
        self._counts[entry.state] -= 1
        self._ready.discard((entry.turn, entry.number, job_id))
        self._delayed.discard((entry.not_before, entry.number, job_id))

    def next_ready(self, now: float) -> Entry | None:
        """Take out the pending job whose turn it is; put it back with `put` in whatever state it is then.

        Until then it is nobody's: still counted and listed, but not handed out again.
        """
        self._ripen(now)
        if not self._ready:
            return None
        _, _, job_id = self._ready.pop(0)
        return self._entries[job_id]

    def next_due(self, now: float) -> float | None:
        """Unix seconds when the next job may be claimed; None if none is waiting."""
        self._ripen(now)
        if self._ready:
            return now
        return self._delayed[0][0] if self._delayed else None

    def position(self, entry: Entry, now: float) -> int:
        """Place in the queue, from 1; delayed jobs come after the others."""
        self._ripen(now)
        turn = (entry.turn, entry.number, entry.job_id)
        if turn in self._ready:
            return self._ready.index(turn) + 1
        return (
            len(self._ready) + self._delayed.bisect_left((entry.not_before, entry.number, entry.job_id)) + 1
        )

    def oldest_pending(self) -> float | None:
        """Creation time of the pending job whose turn is next, Unix seconds."""
        for waiting in (self._ready, self._delayed):
            if waiting:
                return self._entries[waiting[0][2]].created_at
        return None

    def counts(self) -> dict[State, int]:
        return dict(self._counts)

    def matching(self, prefix: str) -> list[str]:
        return list(self._entries.irange(prefix, prefix + "~"))

    def listing(self, wanted: Filter, *, after: int | None, newest_first: bool) -> Iterator[Entry]:
        """The entries that match, as accepted; O(n) where few match. Do not change the index meanwhile."""
        first, last = (None, after) if newest_first else (after, None)
        for number in self._accepted.irange(first, last, inclusive=(False, False), reverse=newest_first):
            entry = self._accepted[number]
            if (
                (wanted.states is None or entry.state in wanted.states)
                and (wanted.channel is None or entry.channel == wanted.channel)
                and (wanted.date is None or entry.date == wanted.date)
                and (wanted.chat_id is None or entry.chat_id == wanted.chat_id)
            ):
                yield entry

    def _ripen(self, now: float) -> None:
        while self._delayed and self._delayed[0][0] <= now:
            _, number, job_id = self._delayed.pop(0)
            self._ready.add((self._entries[job_id].turn, number, job_id))
