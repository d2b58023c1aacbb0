"""DirectoryQueue: the queue that is nothing but a directory, owned by this process."""

import asyncio
import contextlib
import gc
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import filelock

from jobqueue import durable, recovery
from jobqueue.admission import Admission
from jobqueue.arrivals import Arrivals
from jobqueue.backend import Filter, JobView, Page, Verdict
from jobqueue.clock import Clock
from jobqueue.commits import Commits
from jobqueue.counters import Counters
from jobqueue.decisions import Decisions
from jobqueue.disk import on_disk
from jobqueue.diskguard import DiskGuard
from jobqueue.errors import AlreadyOwned, JobNotFound, QueueUnwritable
from jobqueue.feed import Feed
from jobqueue.filesystem import REMOTE, file_system_of
from jobqueue.folders import JobFolders
from jobqueue.handover import Handover
from jobqueue.index import Entry
from jobqueue.intake import Intake, Profiles
from jobqueue.job import Claim, Delivery, Job, Json, Kind, Orders, Progress, Result, WorkerReport
from jobqueue.joblog import JobLog
from jobqueue.keyfile import kept_secret
from jobqueue.leases import ClaimTokens, Lease, Leases
from jobqueue.ledger import Ledger
from jobqueue.lifecycle import State
from jobqueue.outbox import Outbox
from jobqueue.outcomes import Outcomes
from jobqueue.ownership import Ownership
from jobqueue.pace import Pace
from jobqueue.pace_file import PaceFile
from jobqueue.pauses import Pauses
from jobqueue.policy import QueuePolicy
from jobqueue.retention.archive import Archive
from jobqueue.retention.clockwatch import ClockWatch
from jobqueue.retention.disposal import Disposal
from jobqueue.retention.rounds import Retention
from jobqueue.roster import Roster
from jobqueue.setbacks import Setbacks
from jobqueue.stalls import TICK_S, Stalls
from jobqueue.storage import DirectoryStorage
from jobqueue.uploads.uploads import Uploads
from jobqueue.views import Views
from jobqueue.waiters import Waiters

log = logging.getLogger(__name__)

TEND_S = 2.0
"""How often `pending/` is looked through for jobs dropped by hand, and the leases for those that are over."""
FLUSH_S = 0.25
"""How far the files that no answer waits for may lag behind: job logs, workers, counters."""
MANY_JOBS = 10_000
COUNTED = {kind: f"{kind}_counter" for kind in Kind}
"""The field of a job that holds its running number."""


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
        self._ownership = Ownership(data_dir)
        self._joblog = JobLog(data_dir / "logs")
        self._intake = Intake(profiles)
        self._waiters = Waiters()
        self._tokens = ClaimTokens()
        self.counters = Counters(data_dir / "counters.json", tmp)
        policy = policy or QueuePolicy()
        self.disk = DiskGuard(data_dir, min_free_bytes=policy.min_free_bytes)
        self.storage = DirectoryStorage(data_dir / "files", tmp, self.disk.admit_media)
        self.uploads = Uploads(data_dir / "uploads", tmp, data_dir / "corrupt", self.storage, clock)
        self.outbox = Outbox(data_dir / "outbox", tmp)
        self.roster = Roster(data_dir / "workers", tmp, clock)
        self._pace_file = PaceFile(data_dir / "paces.json", tmp)
        self.feed = Feed()
        self._commits = Commits(tmp)
        self._ledger = Ledger(self._folders, self._commits, self._joblog, self.outbox, self.feed, clock)
        self._stalls = Stalls()
        self._leases = Leases(policy.stuck_s, self._stalls)
        self._admission = Admission(
            self._ledger,
            self._folders,
            self._intake,
            self.counters,
            clock,
            self.disk,
            self._leases,
            self._waiters.wake,
        )
        self.pauses = Pauses(data_dir / "paused.json", tmp, data_dir / "corrupt", self._waiters.wake_all)
        self._paces = {kind: Pace() for kind in Kind}
        self._outcomes = Outcomes(
            self._ledger,
            self._admission,
            self.storage,
            self._leases,
            self._tokens,
            self.roster,
            self._paces,
            self._waiters,
            clock,
            policy,
        )
        self._setbacks = Setbacks(self._ledger.indexes, clock, retry_cap_s=policy.retry_cap_s)
        self._handover = Handover(
            self._ledger,
            self._outcomes,
            self._leases,
            self._tokens,
            self.roster,
            self._waiters,
            self.pauses,
            self._setbacks,
            clock,
            policy,
        )
        self._views = Views(self._ledger, self._leases, self._paces, self.pauses, self.roster, clock)
        self._decisions = Decisions(self._ledger, self._leases, self._waiters, self._views, clock)
        self._arrivals = Arrivals(self._ledger, self._folders, self._admission, self._handover, self._leases)
        disposal = Disposal(self._folders, self.storage, self._joblog)
        self.retention = Retention(
            Archive(self._ledger, self._intake, self.outbox, disposal),
            disposal,
            self._intake,
            self.counters,
            ClockWatch(data_dir / "clock.json", tmp, clock),
            data_dir=data_dir,
            policy=policy.keep,
        )

    @property
    def data_dir(self) -> Path:
        """Where everything lies."""
        return self._data_dir

    @property
    def write_failure(self) -> str | None:
        """Why the last record could not be written; None if it could."""
        return self._commits.failing

    # --- its life

    async def open(self) -> None:
        """Take possession of the directory and settle what a crash left.

        Raises: AlreadyOwned, QueueUnwritable.
        """
        await on_disk(lambda: durable.make_folder(self._data_dir))
        try:
            self._ownership.take()
            self._lock.acquire()
        except filelock.Timeout:
            self._ownership.release()
            raise AlreadyOwned(str(self._data_dir)) from None
        except OSError as error:
            raise QueueUnwritable(f"{self._data_dir} cannot be written: {error.strerror or error}") from error
        jobs = await on_disk(self._prepare)
        for kind, entries in jobs.items():
            self._ledger.indexes[kind].load(entries)
            for entry in entries:
                if entry.state is State.PROCESSING and entry.worker_id is not None:
                    with contextlib.suppress(JobNotFound):
                        self._handover.regrant(await self._ledger.read(entry), entry.worker_id)
        self._setbacks.mend()
        if sum(map(len, jobs.values())) > MANY_JOBS:
            # They stay. To look through all of them, each time, would hold the loop.
            gc.freeze()
        await self.rescan()

    def _prepare(self) -> dict[Kind, list[Entry]]:
        self._folders.make()
        if (kind := file_system_of(self._data_dir)) in REMOTE:
            log.warning("%s lies on %s: locks and syncs may not hold there", self._data_dir, kind)
        for name in ("logs", "files", "outbox", "images", "voices", *(f"workers/{kind}" for kind in Kind)):
            durable.make_folder(self._data_dir / name)
        recovery.clear_orphans(self._folders)
        self._tokens.sign_with(kept_secret(self._data_dir / "secret", self._folders.tmp).encode())
        self.uploads.load()
        self.roster.load()
        self._pace_file.load(self._paces)
        self.counters.load()
        self.pauses.load()
        self.retention.load()
        # Nothing of this becomes garbage: the collector would only look through all of it, again and again.
        gc.disable()
        try:
            return recovery.settle(self._folders, now=self._clock.now(), remember=self._remember)
        finally:
            gc.enable()

    def _remember(self, job: Job) -> None:
        """A job lies on disk: no new one gets its numbers or its folder."""
        self._intake.remember(job)
        self.counters.at_least(job.kind, job.number(COUNTED[job.kind]) or 0)

    async def close(self) -> None:
        """Let the waiting claims go and give the directory up."""
        self.dismiss_waiting()
        with contextlib.suppress(QueueUnwritable):
            await self.flush()
        self._commits.close()
        self._ownership.release()
        self._lock.release()

    def dismiss_waiting(self) -> None:
        """Let the claims that wait for a job go empty-handed; new ones do not wait any more."""
        self._waiters.dismiss_all()

    async def tend(self, stop: asyncio.Event) -> None:
        """Sweep, look for arrivals and write down what may lag behind, until `stop`."""
        async with asyncio.TaskGroup() as duties:
            for duty, pause_s in (
                (self.sweep, TEND_S),
                (self.rescan, TEND_S),
                (self.uploads.sweep, TEND_S),
                (self.flush, FLUSH_S),
                (self._tick, TICK_S),
            ):
                duties.create_task(_repeat(duty, pause_s, stop))

    async def _tick(self) -> None:
        self._leases.make_up()
        self._stalls.tick()

    async def sweep(self) -> None:
        """Take back the jobs whose lease has run out."""
        self._setbacks.look()
        for kind in Kind:
            await self._outcomes.sweep(kind)
        self.roster.sweep()
        for kind, pace in self._paces.items():
            pace.forget_but(self.roster.names(kind))

    async def flush(self) -> None:
        """Write down what need not be on disk before an answer: job logs, workers, counters."""
        changed, paces = self.roster.changed(), self._pace_file.changed(self._paces)

        def write() -> None:
            self._joblog.flush()
            self.roster.flush(changed)
            if paces is not None:
                self._pace_file.flush(paces)
            self.counters.flush()

        await on_disk(write)

    async def rescan(self) -> None:
        """Take in what somebody put into the folders by hand."""
        for kind in Kind:
            await self._arrivals.collect(kind)

    # --- what anyone may ask

    async def enqueue(
        self, kind: Kind, record: Mapping[str, Json], *, idempotency_key: str | None = None
    ) -> JobView:
        self._setbacks.look()
        job = await self._admission.offer(kind, record, idempotency_key)
        return self._views.seen(job, self._ledger.entry(kind, job.id))

    async def get(self, kind: Kind, job_id: str) -> JobView:
        return await self._views.get(kind, job_id)

    async def jobs(
        self, wanted: Filter, *, limit: int = 100, cursor: str | None = None, newest_first: bool = False
    ) -> Page:
        return await self._views.jobs(wanted, limit=limit, cursor=cursor, newest_first=newest_first)

    async def ids(
        self, wanted: Filter, *, limit: int = 100, cursor: str | None = None, newest_first: bool = False
    ) -> tuple[list[str], str | None]:
        """As `jobs`, for a caller that reads them one by one: ids, and the cursor of the next page."""
        return await self._views.ids(wanted, limit=limit, cursor=cursor, newest_first=newest_first)

    def next_in_line(self, kind: Kind, *, limit: int) -> list[str]:
        """Ids of the pending jobs whose turn is next."""
        return self._ledger.indexes[kind].next_in_line(limit)

    def leases(self) -> list[Lease]:
        """Who holds which job now."""
        return list(self._leases)

    def is_holding(self, kind: Kind, worker_id: str) -> bool:
        """Whether the worker has a job in hand."""
        return bool(self._leases.of_worker(kind, worker_id))

    def matching(self, prefix: str) -> list[tuple[Kind, str]]:
        return [(kind, job_id) for kind in Kind for job_id in self._ledger.indexes[kind].matching(prefix)]

    async def logs(self, kind: Kind, job_id: str) -> list[dict[str, Json]]:
        self._ledger.entry(kind, job_id)
        return await on_disk(lambda: self._joblog.read(kind, job_id))

    def note(self, job: Job, event: str, **details: Json) -> None:
        """Add a line to the job's log."""
        self._ledger.note(job, event, **details)

    def stats(self, kind: Kind) -> dict[str, Json]:
        return self._views.stats(kind)

    # --- what people decide

    async def cancel(self, kind: Kind, job_id: str, *, by: str) -> JobView:
        return await self._decisions.cancel(kind, job_id, by=by)

    async def retry(self, kind: Kind, job_id: str, *, by: str) -> JobView:
        return await self._decisions.retry(kind, job_id, by=by)

    async def reprioritize(self, kind: Kind, job_id: str, priority: int) -> JobView:
        return await self._decisions.reprioritize(kind, job_id, priority)

    async def pause(self, kind: Kind, worker_id: str | None = None) -> None:
        await self.pauses.pause(kind, worker_id)

    async def resume(self, kind: Kind, worker_id: str | None = None) -> None:
        await self.pauses.resume(kind, worker_id)

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
        await self._outcomes.complete(claim, result)

    async def fail(self, claim: Claim, reason: str, *, permanent: bool = False) -> Verdict:
        return await self._outcomes.fail(claim, reason, permanent=permanent)

    async def release(self, claim: Claim) -> None:
        await self._outcomes.release(claim)

    async def take_back(self, kind: Kind, worker_id: str, reason: str) -> None:
        """The worker is known to be dead: its jobs return at once, the delivery counted."""
        await self._outcomes.take_back(kind, worker_id, reason)


async def _repeat(duty: Callable[[], Awaitable[None]], pause_s: float, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            await duty()
        except QueueUnwritable as error:
            log.warning("the queue waits for its disk: %s", error)
        except Exception:
            # One odd file must not stop the rest; what it is stands in the log.
            log.exception("the queue could not be tended to")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await stop.wait()
