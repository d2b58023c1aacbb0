"""DirectoryQueue: the queue that is nothing but a directory, owned by this process."""

import asyncio
import contextlib
import gc
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path

import filelock

from jobqueue import durable, recovery
from jobqueue.admission import Admission
from jobqueue.archive import Archive
from jobqueue.arrivals import Arrivals
from jobqueue.backend import Filter, JobView, Page, Verdict
from jobqueue.clock import Clock
from jobqueue.clockwatch import ClockWatch
from jobqueue.commits import Commits
from jobqueue.counters import Counters
from jobqueue.disk import on_disk
from jobqueue.diskguard import DiskGuard
from jobqueue.disposal import Disposal
from jobqueue.errors import AlreadyOwned, InvalidTransition, JobNotFound, QueueUnwritable
from jobqueue.feed import Feed
from jobqueue.filesystem import file_system_of
from jobqueue.folders import JobFolders
from jobqueue.handover import Handover
from jobqueue.index import Entry
from jobqueue.intake import Intake, Profiles
from jobqueue.job import Claim, Delivery, Job, Json, Kind, Orders, Progress, Result, WorkerReport
from jobqueue.joblog import JobLog
from jobqueue.keyfile import kept_secret
from jobqueue.leases import ClaimTokens, Lease, Leases
from jobqueue.ledger import Ledger
from jobqueue.lifecycle import Event, State, next_state
from jobqueue.outbox import Outbox
from jobqueue.outcomes import OF_THE_CLAIM, Outcomes
from jobqueue.pace import Pace
from jobqueue.pace_file import PaceFile
from jobqueue.pauses import Pauses
from jobqueue.policy import QueuePolicy
from jobqueue.retention import Retention
from jobqueue.roster import Roster
from jobqueue.storage import DirectoryStorage
from jobqueue.uninterrupted import uninterrupted
from jobqueue.uploads import Uploads
from jobqueue.waiters import Waiters
from jobqueue.wire import timestamp

log = logging.getLogger(__name__)

TEND_S = 2.0
"""How often `pending/` is looked through for jobs dropped by hand, and the leases for those that are over."""
FLUSH_S = 0.25
"""How far the files that no answer waits for may lag behind: job logs, workers, counters."""
LOOKED_AT = 2000
"""Jobs that a search looks at in one go: about a millisecond."""
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
        self._admission = Admission(
            self._ledger, self._folders, self._intake, self.counters, clock, self.disk, self._waiters.wake
        )
        self.pauses = Pauses(data_dir / "paused.json", tmp, data_dir / "corrupt", self._waiters.wake_all)
        self._leases = Leases(policy.stuck_s)
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
        self._handover = Handover(
            self._ledger,
            self._outcomes,
            self._leases,
            self._tokens,
            self.roster,
            self._waiters,
            self.pauses,
            clock,
            policy,
        )
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
        for kind, entries in (await on_disk(self._prepare)).items():
            self._ledger.indexes[kind].load(entries)
            for entry in entries:
                if entry.state is State.PROCESSING and entry.worker_id is not None:
                    with contextlib.suppress(JobNotFound):
                        self._handover.regrant(await self._ledger.read(entry), entry.worker_id)
        await self.rescan()

    def _prepare(self) -> dict[Kind, list[Entry]]:
        self._folders.make()
        if (found := file_system_of(self._data_dir)).is_remote:
            log.warning("%s lies on %s: locks and syncs may not hold there", self._data_dir, found.kind)
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
            ):
                duties.create_task(_repeat(duty, pause_s, stop))

    async def sweep(self) -> None:
        """Take back the jobs whose lease has run out."""
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
        job = await self._admission.offer(kind, record, idempotency_key)
        return self._seen(job, self._ledger.entry(kind, job.id))

    async def get(self, kind: Kind, job_id: str) -> JobView:
        async with self._ledger.lock(kind, job_id):
            return await self._view(self._ledger.entry(kind, job_id))

    async def jobs(
        self, wanted: Filter, *, limit: int = 100, cursor: str | None = None, newest_first: bool = False
    ) -> Page:
        ids, following = await self.ids(wanted, limit=limit, cursor=cursor, newest_first=newest_first)
        views = []
        for job_id in ids:
            with contextlib.suppress(JobNotFound):
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
        index = self._ledger.indexes[kind]
        oldest, average_s = index.oldest_pending(), self._paces[kind].average_s
        return {
            **{state.value: count for state, count in index.counts().items()},
            "oldest_pending_s": None if oldest is None else round(max(self._clock.now() - oldest, 0), 3),
            "avg_seconds": None if average_s is None else round(average_s, 3),
            "paused": self.pauses.is_paused(kind),
        }

    async def _view(self, entry: Entry) -> JobView:
        return self._seen(await self._ledger.read(entry), entry)

    def _seen(self, job: Job, entry: Entry) -> JobView:
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
        if self.pauses.is_paused(job.kind):
            return None
        workers = [
            name for name in self.roster.names_online(job.kind) if not self.pauses.is_paused(job.kind, name)
        ]
        busy = self._ledger.indexes[job.kind].counts()[State.PROCESSING]
        # One that finds a free worker waits for nobody; the jobs in work are half done on average.
        ahead = 0.0 if position <= len(workers) - busy else position - 1 + busy / 2
        delay_s = max((job.not_before or 0) - self._clock.now(), 0)
        return self._paces[job.kind].waiting_s(job, ahead, workers, delay_s=delay_s)

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
            job = _revived(job) if event is Event.REVIVE else _cancelled(job, self._clock.now())
            await self._ledger.move(job, state, event, details={"by": by})
            self._leases.end(kind, job_id)
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


def _cancelled(job: Job, now: float) -> Job:
    return replace(job, fields={**job.fields, "cancelled_at": timestamp(now)})


def _revived(job: Job) -> Job:
    """The job as it starts anew: all attempts ahead of it, a new epoch, no worker."""
    of_before = OF_THE_CLAIM | {"cancelled_at"}
    fields = {name: value for name, value in job.fields.items() if name not in of_before}
    return replace(job, retry_count=0, epoch=job.epoch + 1, not_before=None, fields=fields)


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
