"""The jobs by id, by state and in the order of their turn, in memory.

It knows just enough of each job to choose and to list; the records stay on disk.
"""

import heapq
import sys
from dataclasses import dataclass
from itertools import chain, islice
from typing import TypeAlias

from sortedcontainers import SortedDict, SortedList

from jobqueue.backend import Filter
from jobqueue.job import Job, Kind
from jobqueue.lifecycle import State

HOUR_S = 3600.0
NO_DELAY = 0.0
RIPEN_MAX = 1000
"""A millisecond's work."""

Turn: TypeAlias = tuple[float, int]
"""When it is a job's turn, and its number: of two with the same turn the one accepted first."""


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
    backs_off: bool = False
    """Its time is one that we have set, as it could not be done before; not one that its sender asked for."""


def describe(job: Job, state: State, *, now: float, worker_id: str | None = None) -> Entry:
    """The index entry of a job.

    `now`: Unix seconds; a creation time later than this (another machine's clock) counts as this.
    """
    created_at = job.created_at if job.created_at < now else now
    turn = created_at - job.priority * HOUR_S if job.priority else created_at
    # Many jobs share channel and day: one copy of each is kept.
    channel, day = sys.intern(job.text("channel_code")), sys.intern(job.text("date"))
    not_before = job.not_before or NO_DELAY
    entry = Entry(
        job.id, job.kind, state, job.epoch, turn, created_at, not_before, channel, day, job.chat_id, worker_id
    )
    entry.backs_off = job.retry_count > 0
    return entry


class JobIndex:
    """The jobs of one kind. Every call costs O(log n) at most, unless it says otherwise."""

    def __init__(self) -> None:
        self._entries: SortedDict[str, Entry] = SortedDict()
        self._accepted: list[Entry | None] = [None]
        """By number; None where a job is gone."""
        self._numbers: dict[State, SortedList[int]] = {state: SortedList() for state in State}
        self._ready: SortedList[Turn] = SortedList()
        self._delayed: SortedList[Turn] = SortedList()
        """As `_ready`, with the time of waking in place of the turn."""

    def get(self, job_id: str) -> Entry | None:
        return self._entries.get(job_id)

    def load(self, entries: list[Entry]) -> None:
        """Fill the empty index, in the order given; one sort instead of one insertion each. O(n log n)."""
        for entry in entries:
            entry.number = len(self._accepted)
            self._accepted.append(entry)
        self._entries.update((entry.job_id, entry) for entry in entries)
        for state in State:
            self._numbers[state].update(entry.number for entry in entries if entry.state is state)
        waiting = [entry for entry in entries if entry.state is State.PENDING]
        self._ready.update((entry.turn, entry.number) for entry in waiting if not entry.not_before)
        self._delayed.update((entry.not_before, entry.number) for entry in waiting if entry.not_before)

    def put(self, entry: Entry) -> None:
        """Add the entry, or replace the one of that job."""
        known = self._entries.get(entry.job_id)
        if known is None:
            entry.number = len(self._accepted)
            self._accepted.append(entry)
        else:
            self._leave(known)
            entry.number = known.number
            self._accepted[entry.number] = entry
        self._entries[entry.job_id] = entry
        self._numbers[entry.state].add(entry.number)
        if entry.state is State.PENDING:
            line = self._delayed if entry.not_before else self._ready
            line.add((entry.not_before or entry.turn, entry.number))

    def drop(self, job_id: str) -> None:
        entry = self._entries.pop(job_id)
        self._accepted[entry.number] = None
        self._leave(entry)

    def _leave(self, entry: Entry) -> None:
        self._numbers[entry.state].remove(entry.number)
        if entry.state is State.PENDING:
            self._ready.discard((entry.turn, entry.number))
            self._delayed.discard((entry.not_before, entry.number))

    def next_ready(self, now: float) -> Entry | None:
        """Take out the pending job whose turn it is; put it back with `put` in whatever state it is then.

        Until then it is nobody's: still counted and listed, but not handed out again.
        """
        self._ripen(now)
        if not self._ready:
            return None
        _, number = self._ready.pop(0)
        return self._accepted[number]

    def next_due(self, now: float) -> float | None:
        """Unix seconds when the next job may be claimed; None if none is waiting."""
        self._ripen(now)
        if self._ready:
            return now
        return self._delayed[0][0] if self._delayed else None

    def position(self, entry: Entry, now: float) -> int:
        """Place in the queue, from 1; delayed jobs come after the others."""
        self._ripen(now)
        turn = (entry.turn, entry.number)
        if turn in self._ready:
            return self._ready.index(turn) + 1
        return len(self._ready) + self._delayed.bisect_left((entry.not_before, entry.number)) + 1

    def next_in_line(self, limit: int) -> list[str]:
        """Ids of the first pending jobs in the order of their turns; delayed ones come after the others."""
        turns = chain(islice(self._ready, limit), islice(self._delayed, limit))
        entries = (self._accepted[number] for _, number in islice(turns, limit))
        return [entry.job_id for entry in entries if entry is not None]

    def oldest_pending(self) -> float | None:
        """Creation time of the pending job that was accepted first, Unix seconds."""
        numbers = self._numbers[State.PENDING]
        entry = self._accepted[numbers[0]] if numbers else None
        return None if entry is None else entry.created_at

    def counts(self) -> dict[State, int]:
        return {state: len(numbers) for state, numbers in self._numbers.items()}

    def matching(self, prefix: str) -> list[str]:
        return list(self._entries.irange(prefix, prefix + "~"))

    def listing(
        self, wanted: Filter, *, after: int | None, newest_first: bool, looked_at: int
    ) -> tuple[list[Entry], int | None]:
        """The next entries that match, as accepted, of the next `looked_at` jobs in the wanted states.

        Returns: the entries, and the number to go on `after`; None at the end.
        """
        first, last = (None, after) if newest_first else (after, None)
        states = wanted.states if wanted.states is not None else frozenset(State)
        numbers = heapq.merge(
            *(
                self._numbers[state].irange(first, last, inclusive=(False, False), reverse=newest_first)
                for state in states
            ),
            reverse=newest_first,
        )
        found, number = [], None
        for number in islice(numbers, looked_at):
            entry = self._accepted[number]
            if entry is not None and _matches(entry, wanted):
                found.append(entry)
        return found, number

    def set_back(self, now: float, *, retry_cap_s: float) -> None:
        """The clock says `now`, Unix s, and has said more: what came later has come now,
        and what is tried again waits `retry_cap_s` at most. O(n)."""
        latest = now + retry_cap_s
        for line in (self._ready, self._delayed):
            for key in list(line):
                entry = self._accepted[key[1]]
                if entry is None:
                    continue
                is_far = line is self._delayed and entry.backs_off and entry.not_before > latest
                if entry.created_at > now or is_far:
                    line.remove(key)
                    entry.turn -= max(entry.created_at - now, 0)
                    entry.created_at = min(entry.created_at, now)
                    entry.not_before = latest if is_far else entry.not_before
                    line.add((entry.turn if line is self._ready else entry.not_before, entry.number))

    def _ripen(self, now: float) -> None:
        """Let the delayed jobs in whose time has come; a crowd of them not all at once."""
        for _ in range(RIPEN_MAX):
            if not self._delayed or self._delayed[0][0] > now:
                return
            _, number = self._delayed.pop(0)
            entry = self._accepted[number]
            if entry is not None:
                self._ready.add((entry.turn, number))


def _matches(entry: Entry, wanted: Filter) -> bool:
    return (
        (wanted.channel is None or entry.channel == wanted.channel)
        and (wanted.date is None or entry.date == wanted.date)
        and (wanted.chat_id is None or entry.chat_id == wanted.chat_id)
    )
