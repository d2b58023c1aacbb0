"""Jobs as people see them: one, a page of many, and how many there are."""

import asyncio
import contextlib
from collections.abc import Mapping

from jobqueue.backend import Filter, JobView, Page
from jobqueue.clock import Clock
from jobqueue.errors import JobNotFound, JobUnreadable
from jobqueue.index import Entry
from jobqueue.job import Job, Json, Kind
from jobqueue.leases import Leases
from jobqueue.ledger import Ledger
from jobqueue.lifecycle import State
from jobqueue.pace import Pace
from jobqueue.pauses import Pauses
from jobqueue.roster import Roster

LOOKED_AT = 2000
"""Jobs that a search looks at in one go: about a millisecond."""


class Views:
    """Joins a job's record with what is known of it besides: its place, its progress, its time to go."""

    def __init__(
        self,
        ledger: Ledger,
        leases: Leases,
        paces: Mapping[Kind, Pace],
        pauses: Pauses,
        roster: Roster,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._leases = leases
        self._paces = paces
        self._pauses = pauses
        self._roster = roster
        self._clock = clock

    async def get(self, kind: Kind, job_id: str) -> JobView:
        async with self._ledger.lock(kind, job_id):
            return await self.of(self._ledger.entry(kind, job_id))

    async def jobs(
        self, wanted: Filter, *, limit: int = 100, cursor: str | None = None, newest_first: bool = False
    ) -> Page:
        ids, following = await self.ids(wanted, limit=limit, cursor=cursor, newest_first=newest_first)
        views = []
        for job_id in ids:
            with contextlib.suppress(JobNotFound, JobUnreadable):
                views.append(await self.get(wanted.kind, job_id))
        return Page(views, following)

    async def ids(
        self, wanted: Filter, *, limit: int = 100, cursor: str | None = None, newest_first: bool = False
    ) -> tuple[list[str], str | None]:
        """As `jobs`, for a caller that reads them one by one: ids, and the cursor of the next page."""
        index = self._ledger.indexes[wanted.kind]
        after = int(cursor) if cursor is not None else None
        found: list[Entry] = []
        while len(found) <= limit:
            some, after = index.listing(wanted, after=after, newest_first=newest_first, looked_at=LOOKED_AT)
            if after is None:
                break
            found += some
            await asyncio.sleep(0)  # others have their turn, however rare the matches are
        following = str(found[limit - 1].number) if len(found) > limit else None
        return [entry.job_id for entry in found[:limit]], following

    def stats(self, kind: Kind) -> dict[str, Json]:
        index = self._ledger.indexes[kind]
        oldest, average_s = index.oldest_pending(), self._paces[kind].average_s
        return {
            **{state.value: count for state, count in index.counts().items()},
            "oldest_pending_s": None if oldest is None else round(max(self._clock.now() - oldest, 0), 3),
            "avg_seconds": None if average_s is None else round(average_s, 3),
            "paused": self._pauses.is_paused(kind),
        }

    async def of(self, entry: Entry) -> JobView:
        """For one who has the job's lock. Raises: JobNotFound."""
        return self.seen(await self._ledger.read(entry), entry)

    def seen(self, job: Job, entry: Entry) -> JobView:
        """The job with all that is known of it besides its record."""
        pace = self._paces[entry.kind]
        lease = self._leases.get(entry.kind, entry.job_id)
        if entry.state is State.PROCESSING and lease is not None:
            elapsed_s = self._clock.monotonic() - lease.granted_at
            percent = lease.progress.percent if lease.progress else 0.0
            eta_s = pace.remaining_s(job, lease.worker_id, elapsed_s, percent)
            return JobView(job, entry.state, lease.progress, eta_s=eta_s)
        if entry.state is State.PENDING:
            position = self._ledger.indexes[entry.kind].position(entry, self._clock.now())
            return JobView(job, entry.state, position=position, eta_s=self._waiting_s(job, position))
        return JobView(job, entry.state)

    def _waiting_s(self, job: Job, position: int) -> float | None:
        """Seconds until a pending job is done, if that can be told."""
        if self._pauses.is_paused(job.kind):
            return None
        workers = [
            name for name in self._roster.names_online(job.kind) if not self._pauses.is_paused(job.kind, name)
        ]
        busy = self._ledger.indexes[job.kind].counts()[State.PROCESSING]
        # One that finds a free worker waits for nobody; the jobs in work are half done on average.
        ahead = 0.0 if position <= len(workers) - busy else position - 1 + busy / 2
        delay_s = max((job.not_before or 0) - self._clock.now(), 0)
        return self._paces[job.kind].waiting_s(job, ahead, workers, delay_s=delay_s)
