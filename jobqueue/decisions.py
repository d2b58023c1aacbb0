"""What people decide about a job: to call it off, to try it again, to hurry it."""

from dataclasses import replace

from jobqueue.backend import JobView
from jobqueue.clock import Clock
from jobqueue.errors import InvalidTransition
from jobqueue.job import OF_THE_CLAIM, Job, Kind
from jobqueue.leases import Leases
from jobqueue.ledger import Ledger
from jobqueue.lifecycle import Event, State, next_state
from jobqueue.uninterrupted import uninterrupted
from jobqueue.views import Views
from jobqueue.waiters import Waiters
from jobqueue.wire import timestamp


class Decisions:
    """Each is a move like any other; whoever works on the job hears of it with the next beat."""

    def __init__(self, ledger: Ledger, leases: Leases, waiters: Waiters, views: Views, clock: Clock) -> None:
        self._ledger = ledger
        self._leases = leases
        self._waiters = waiters
        self._views = views
        self._clock = clock

    async def cancel(self, kind: Kind, job_id: str, *, by: str) -> JobView:
        return await uninterrupted(self._decide(kind, job_id, Event.CANCEL, by))

    async def retry(self, kind: Kind, job_id: str, *, by: str) -> JobView:
        view = await uninterrupted(self._decide(kind, job_id, Event.REVIVE, by))
        self._waiters.wake(kind)
        return view

    async def _decide(self, kind: Kind, job_id: str, event: Event, by: str) -> JobView:
        async with self._ledger.lock(kind, job_id):
            entry = self._ledger.entry(kind, job_id)
            state = next_state(job_id, entry.state, event)
            job = await self._ledger.read(entry)
            job = _revived(job) if event is Event.REVIVE else _cancelled(job, self._clock.now())
            await self._ledger.move(job, state, event, details={"by": by})
            self._leases.end(kind, job_id)
            return self._views.seen(job, self._ledger.entry(kind, job_id))

    async def reprioritize(self, kind: Kind, job_id: str, priority: int) -> JobView:
        async with self._ledger.lock(kind, job_id):
            entry = self._ledger.entry(kind, job_id)
            if entry.state is not State.PENDING:
                raise InvalidTransition(job_id, entry.state, "change its priority")
            job = replace(await self._ledger.read(entry), priority=priority)
            await uninterrupted(
                self._ledger.move(job, State.PENDING, "priority", details={"priority": priority})
            )
            self._waiters.wake(kind)
            return self._views.seen(job, self._ledger.entry(kind, job_id))


def _cancelled(job: Job, now: float) -> Job:
    return replace(job, fields={**job.fields, "cancelled_at": timestamp(now)})


def _revived(job: Job) -> Job:
    """The job as it starts anew: all attempts ahead of it, a new epoch, no worker."""
    of_before = OF_THE_CLAIM | {"cancelled_at"}
    fields = {name: value for name, value in job.fields.items() if name not in of_before}
    return replace(job, retry_count=0, epoch=job.epoch + 1, not_before=None, fields=fields)
