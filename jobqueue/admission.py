"""How jobs get in: offered by a caller, or dropped into `pending/` by hand."""

import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from jobqueue.clock import Clock
from jobqueue.counters import Counters
from jobqueue.disk import in_thread, on_disk
from jobqueue.diskguard import DiskGuard
from jobqueue.errors import JobExists, JobInvalid
from jobqueue.folders import JobFolders
from jobqueue.index import Entry
from jobqueue.intake import Intake
from jobqueue.job import JOB_ID, Job, Json, Kind, is_same_work
from jobqueue.leases import Leases
from jobqueue.ledger import Ledger
from jobqueue.lifecycle import State
from jobqueue.uninterrupted import uninterrupted
from jobqueue.wire import LARGEST

log = logging.getLogger(__name__)


class Admission:
    """Accepts jobs; once it has, they survive a power cut."""

    def __init__(
        self,
        ledger: Ledger,
        folders: JobFolders,
        intake: Intake,
        counters: Counters,
        clock: Clock,
        guard: DiskGuard,
        leases: Leases,
        ready: Callable[[Kind], None],
    ) -> None:
        """`ready` is called when a job may be claimed."""
        self._ledger = ledger
        self._folders = folders
        self._intake = intake
        self._counters = counters
        self._clock = clock
        self._guard = guard
        self._leases = leases
        self._ready = ready

    async def offer(self, kind: Kind, record: Mapping[str, Json], idempotency_key: str | None) -> Job:
        """The job that was accepted or was there already. Raises: JobInvalid, JobExists, QueueUnwritable."""
        of_key = None
        if idempotency_key is not None and record.get("job_id") is None:
            of_key = uuid.uuid5(uuid.NAMESPACE_OID, f"{kind}\n{idempotency_key}").hex
            record = {**record, "job_id": of_key}
        job_id, fields = self._intake.check(kind, record, parent=await self._parent(kind, record))
        async with self._ledger.lock(kind, job_id):
            entry = self._ledger.indexes[kind].get(job_id)
            if entry is None:
                self._guard.admit_job()
                return await uninterrupted(self._accept(kind, job_id, fields))
            there = await self._ledger.read(entry)
            if job_id != of_key and not is_same_work(there, fields):
                raise JobExists(job_id)
            return there

    async def offspring(self, parent: Job) -> Job:
        """The video job that grows from a finished audio job; not entered yet."""
        job_id, fields = self._intake.check(Kind.VIDEO, {}, parent=parent)
        job = self._intake.complete(Kind.VIDEO, job_id, fields, now=self._clock.now())
        return self._numbered(job)

    def has_room(self) -> bool:
        """Whether the disk can take more jobs."""
        return self._guard.shortage() is None

    async def readmit(self, kind: Kind, record: Mapping[str, Json], path: Path) -> None:
        """Accept what lies in `pending/` as a file of somebody's. Raises: JobInvalid, QueueUnwritable."""
        if record.get("job_id") is None:
            # The same file gets the same id, also if we die before it is gone.
            named = f"{path.name}\n{path.stat().st_mtime_ns}"
            is_id = JOB_ID.fullmatch(path.stem) is not None
            record = {**record, "job_id": path.stem if is_id else uuid.uuid5(uuid.NAMESPACE_OID, named).hex}
        job_id, fields = self._intake.check(kind, record, parent=await self._parent(kind, record))
        async with self._ledger.lock(kind, job_id):
            entry = self._ledger.indexes[kind].get(job_id)
            place = self._folders.path(kind, State.PENDING, job_id)
            if not path.exists() or (entry is not None and entry.state is State.PENDING and path == place):
                return  # it has been claimed, or was the queue's own, in the meantime
            fields["epoch"] = _epoch_on(record, entry)
            if entry is not None:
                old = self._folders.path(kind, entry.state, job_id, entry.worker_id)
                if entry.state in (State.PENDING, State.PROCESSING) and await in_thread(old.exists):
                    raise JobInvalid({"job_id": "another job has this id"})
                # A person has put the job back: it starts anew; a file in its old folder is history.
                await on_disk(lambda: old.unlink(missing_ok=True))
                fields.pop("not_before", None)
            self._leases.end(kind, job_id)
            try:
                await uninterrupted(self._accept(kind, job_id, fields, path))
            except JobExists:
                raise JobInvalid({"job_id": "another job has this id"}) from None

    async def _accept(
        self, kind: Kind, job_id: str, fields: Mapping[str, Json], dropped: Path | None = None
    ) -> Job:
        """Enter a new job; `dropped`: the file it came as, removed once the job is safe."""
        job = self._numbered(self._intake.complete(kind, job_id, fields, now=self._clock.now()))
        job = self._compared(job)

        try:
            await self._ledger.accept(job, dropped=dropped)
        except (JobExists, JobInvalid):
            self._intake.forget(job)  # after an error of the disk it may lie there: its folder stays its own
            raise
        self._ready(kind)
        return job

    def _compared(self, job: Job) -> Job:
        """The job, naming the latest of those before it with the same script: a warning, no refusal."""
        entries = self._ledger.indexes[job.kind]
        for job_id in reversed(self._intake.duplicates.of(job)):
            entry = entries.get(job_id)
            is_coming = entry is None and self._ledger.lock(job.kind, job_id).locked()
            if is_coming or (entry is not None and entry.state is not State.CANCELLED):
                return replace(job, fields={**job.fields, "duplicate_of": job_id})
        return job

    def _numbered(self, job: Job) -> Job:
        """The job with its running number, if it has none."""
        name = f"{job.kind}_counter"
        if name in job.fields:
            return job
        return replace(job, fields={**job.fields, name: self._counters.next(job.kind)})

    async def _parent(self, kind: Kind, record: Mapping[str, Json]) -> Job | None:
        """The audio job that a video job names, if the queue knows it."""
        if kind is not Kind.VIDEO:
            return None
        job_id = str(record.get("audio_job_id") or "")
        async with self._ledger.lock(Kind.AUDIO, job_id):
            entry = self._ledger.indexes[Kind.AUDIO].get(job_id)
            return None if entry is None else await self._ledger.read(entry)


def _epoch_on(record: Mapping[str, Json], entry: Entry | None) -> int:
    """Epoch of a job that a person put back: later than any it has had, so that its old claims are stale."""
    epoch = entry.epoch if entry is not None else 0
    on_record = record.get("epoch")
    if isinstance(on_record, int) and epoch < on_record < LARGEST:
        epoch = on_record
    return epoch + 1
