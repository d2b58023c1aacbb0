"""DirectoryQueue: the queue that is nothing but a directory, owned by this process."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

import filelock

from jobqueue import durable, recovery
from jobqueue.admission import Admission
from jobqueue.backend import Filter, JobView, Page, Verdict
from jobqueue.clock import Clock
from jobqueue.counters import Counters
from jobqueue.errors import AlreadyOwned, InvalidTransition, JobNotFound, QueueUnwritable
from jobqueue.feed import Feed
from jobqueue.folders import Found, JobFolders
from jobqueue.handover import OF_THE_CLAIM, Handover
from jobqueue.index import Entry
from jobqueue.intake import Intake, Profiles
from jobqueue.job import Claim, Delivery, Job, Json, Kind, Orders, Progress, Result, WorkerReport
from jobqueue.joblog import JobLog
from jobqueue.keyfile import kept_secret
from jobqueue.leases import ClaimTokens
from jobqueue.ledger import Ledger, on_disk
from jobqueue.lifecycle import Event, State, next_state
from jobqueue.outbox import Outbox
from jobqueue.policy import QueuePolicy
from jobqueue.roster import Roster
from jobqueue.storage import DirectoryStorage
from jobqueue.uninterrupted import uninterrupted
from jobqueue.waiters import Waiters

log = logging.getLogger(__name__)

TEND_S = 2.0
"""How often `pending/` is looked through for jobs dropped by hand, and the leases for those that are over."""


class DirectoryQueue:
    """The QueueBackend on a directory. `open` before use, `close` after."""

    def __init__(
        self, data_dir: Path, profiles: Profiles, clock: Clock, policy: QueuePolicy | None = None
    ) -> None:
        self._data_dir = data_dir
        self._clock = clock
        self._folders = JobFolders(data_dir)
        tmp = self._folders.tmp
        self._lock = filelock.FileLock(data_dir / "owner.lock", timeout=0)
        self._joblog = JobLog(data_dir / "logs")
        self._intake = Intake(profiles)
        self._waiters = Waiters()
        self._tokens = ClaimTokens()
        self.counters = Counters(data_dir / "counters.json", tmp)
        self.storage = DirectoryStorage(data_dir / "files", tmp)
        self.outbox = Outbox(data_dir / "outbox", tmp)
        self.roster = Roster(data_dir / "workers", tmp, clock)
        self.feed = Feed()
        self._ledger = Ledger(self._folders, self._joblog, self.outbox, self.feed, clock)
        self._admission = Admission(
            self._ledger, self._folders, self._intake, self.counters, clock, self._waiters.wake
        )
        self._handover = Handover(
            self._ledger,
            self._admission,
            self.storage,
            self.roster,
            self._waiters,
            self._tokens,
            clock,
            policy or QueuePolicy(),
        )

    # --- its life

    async def open(self) -> None:
        """Take possession of the directory and settle what a crash left.

        Raises: AlreadyOwned, QueueUnwritable.
        """
        await on_disk(lambda: durable.make_folder(self._data_dir))
        try:
            self._lock.acquire()
        except filelock.Timeout:
            raise AlreadyOwned(str(self._data_dir)) from None
        except OSError as error:
            raise QueueUnwritable(f"{self._data_dir} cannot be written: {error.strerror or error}") from error
        for found in await on_disk(self._prepare):
            self._intake.remember(found.job)
            self._ledger.load(found)
            if found.state is State.PROCESSING and found.worker_id is not None:
                self._handover.regrant(found.job, found.worker_id)
        await self.rescan()

    def _prepare(self) -> list[Found]:
        self._folders.make()
        for name in ("logs", "files", "outbox", "images", "voices", *(f"workers/{kind}" for kind in Kind)):
            durable.make_folder(self._data_dir / name)
        recovery.clear_orphans(self._folders)
        self._tokens.sign_with(kept_secret(self._data_dir / "secret", self._folders.tmp).encode())
        self.roster.load()
        jobs = recovery.settle(self._folders)
        for kind in Kind:
            numbers = (found.job.number(f"{kind}_counter") or 0 for found in jobs if found.job.kind is kind)
            self.counters.at_least(kind, max(numbers, default=0))
        return jobs

    async def close(self) -> None:
        """Let the waiting claims go and give the directory up."""
        self.dismiss_waiting()
        self._lock.release()

    def dismiss_waiting(self) -> None:
        """Let the claims that wait for a job go empty-handed; new ones do not wait any more."""
        self._waiters.dismiss_all()

    async def tend(self, stop: asyncio.Event) -> None:
        """Sweep and look for arrivals until `stop`."""
        while not stop.is_set():
            for duty in (self.sweep, self.rescan):
                try:
                    await duty()
                except QueueUnwritable as error:
                    log.warning("the queue waits for its disk: %s", error)
                except Exception:
                    # One odd file must not stop the rest; what it is stands in the log.
                    log.exception("the queue could not be tended to")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TEND_S):
                    await stop.wait()

    async def sweep(self) -> None:
        """Take back the jobs whose lease has run out."""
        for kind in Kind:
            await self._handover.sweep(kind)
        await self.roster.sweep()

    async def rescan(self) -> None:
        """Admit jobs that somebody dropped into `pending/` by hand."""
        for kind in Kind:
            await self._admission.collect(kind)

    # --- what anyone may ask

    async def enqueue(
        self, kind: Kind, record: Mapping[str, Json], *, idempotency_key: str | None = None
    ) -> JobView:
        job = await self._admission.offer(kind, record, idempotency_key)
        return self._seen(job, self._ledger.entry(kind, job.id))

    async def get(self, kind: Kind, job_id: str) -> JobView:
        async with self._ledger.lock(kind, job_id):
            return await self._view(self._ledger.entry(kind, job_id))

    async def jobs(
        self, wanted: Filter, *, limit: int = 100, cursor: str | None = None, newest_first: bool = False
    ) -> Page:
        after = int(cursor) if cursor is not None else None
        index = self._ledger.indexes[wanted.kind]
        entries = list(islice(index.listing(wanted, after=after, newest_first=newest_first), limit + 1))
        views = []
        for entry in entries[:limit]:
            with contextlib.suppress(JobNotFound):
                views.append(await self.get(entry.kind, entry.job_id))
        return Page(views, str(entries[limit - 1].number) if len(entries) > limit else None)

    def matching(self, prefix: str) -> list[tuple[Kind, str]]:
        return [(kind, job_id) for kind in Kind for job_id in self._ledger.indexes[kind].matching(prefix)]

    async def logs(self, kind: Kind, job_id: str) -> list[dict[str, Json]]:
        self._ledger.entry(kind, job_id)
        return await on_disk(lambda: self._joblog.read(kind, job_id))

    def stats(self, kind: Kind) -> dict[str, Json]:
        index = self._ledger.indexes[kind]
        oldest, average_s = index.oldest_pending(), self._handover.paces[kind].average_s
        return {
            **{state.value: count for state, count in index.counts().items()},
            "oldest_pending_s": None if oldest is None else round(max(self._clock.now() - oldest, 0), 3),
            "avg_seconds": None if average_s is None else round(average_s, 3),
        }

    async def _view(self, entry: Entry) -> JobView:
        return self._seen(await self._ledger.read(entry), entry)

    def _seen(self, job: Job, entry: Entry) -> JobView:
        """The job with all that is known of it besides its record."""
        pace = self._handover.paces[entry.kind]
        lease = self._handover.lease(entry.kind, entry.job_id)
        if entry.state is State.PROCESSING and lease is not None:
            elapsed_s = self._clock.monotonic() - lease.granted_at
            percent = lease.progress.percent if lease.progress else 0.0
            return JobView(job, entry.state, lease.progress, eta_s=pace.remaining_s(job, elapsed_s, percent))
        if entry.state is State.PENDING:
            position = self._ledger.indexes[entry.kind].position(entry, self._clock.now())
            eta_s = pace.waiting_s(job, position - 1, self.roster.online(entry.kind))
            return JobView(job, entry.state, position=position, eta_s=eta_s)
        return JobView(job, entry.state)

    # --- what people decide

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
            job = _revived(job) if event is Event.REVIVE else job
            await self._ledger.move(job, state, event, details={"by": by})
            self._handover.forget(kind, job_id)
            return await self._view(self._ledger.entry(kind, job_id))

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
            return await self._view(self._ledger.entry(kind, job_id))

    # --- what workers ask

    async def claim(
        self, kind: Kind, worker: WorkerReport, *, claim_id: str | None = None, wait_s: float = 0
    ) -> Delivery | None:
        return await self._handover.claim(kind, worker, claim_id, wait_s)

    async def heartbeat(self, kind: Kind, worker: WorkerReport) -> Orders:
        return await self._handover.heartbeat(kind, worker)

    async def progress(self, claim: Claim, progress: Progress) -> bool:
        return await self._handover.progress(claim, progress)

    async def complete(self, claim: Claim, result: Result) -> None:
        await self._handover.complete(claim, result)

    async def fail(self, claim: Claim, reason: str, *, permanent: bool = False) -> Verdict:
        return await self._handover.fail(claim, reason, permanent=permanent)

    async def release(self, claim: Claim) -> None:
        await self._handover.release(claim)

    async def take_back(self, kind: Kind, worker_id: str, reason: str) -> None:
        """The worker is known to be dead: its jobs return at once, the delivery counted."""
        await self._handover.take_back(kind, worker_id, reason)


def _revived(job: Job) -> Job:
    """The job as it starts anew: all attempts ahead of it, a new epoch, no worker."""
    fields = {name: value for name, value in job.fields.items() if name not in OF_THE_CLAIM}
    return replace(job, retry_count=0, epoch=job.epoch + 1, not_before=None, fields=fields)
