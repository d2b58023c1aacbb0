"""How jobs get in: offered by a caller, or dropped into `pending/` by hand."""

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from jobqueue import durable
from jobqueue.clock import Clock
from jobqueue.counters import Counters
from jobqueue.errors import JobExists, JobInvalid, QueueUnwritable
from jobqueue.folders import JobFolders
from jobqueue.intake import Intake
from jobqueue.job import JOB_ID, Job, Json, Kind
from jobqueue.ledger import Ledger, on_disk
from jobqueue.lifecycle import State
from jobqueue.uninterrupted import uninterrupted

log = logging.getLogger(__name__)

HALF_WRITTEN_S = 5.0
"""A younger file that is no JSON yet may still be on its way into place."""


class Admission:
    """Accepts jobs; once it has, they survive a power cut."""

    def __init__(
        self,
        ledger: Ledger,
        folders: JobFolders,
        intake: Intake,
        counters: Counters,
        clock: Clock,
        ready: Callable[[Kind], None],
    ) -> None:
        """`ready` is called when a job may be claimed."""
        self._ledger = ledger
        self._folders = folders
        self._intake = intake
        self._counters = counters
        self._clock = clock
        self._ready = ready

    async def offer(self, kind: Kind, record: Mapping[str, Json], idempotency_key: str | None) -> Job:
        """The job that was accepted, or that was there already. Raises: JobInvalid, JobExists."""
        if idempotency_key is not None and record.get("job_id") is None:
            record = {**record, "job_id": uuid.uuid5(uuid.NAMESPACE_OID, f"{kind}\n{idempotency_key}").hex}
        job_id, fields = self._intake.check(kind, record, parent=await self._parent(kind, record))
        async with self._ledger.lock(kind, job_id):
            entry = self._ledger.indexes[kind].get(job_id)
            if entry is None:
                return await uninterrupted(self._accept(kind, job_id, fields))
            there = await self._ledger.read(entry)
            if idempotency_key is None and not _is_repeat(there, fields):
                raise JobExists(job_id)
            return there

    async def offspring(self, parent: Job) -> Job:
        """The video job that grows from a finished audio job; not entered yet."""
        job_id, fields = self._intake.check(Kind.VIDEO, {}, parent=parent)
        job = self._intake.complete(Kind.VIDEO, job_id, fields, now=self._clock.now())
        return await on_disk(lambda: self._numbered(job))

    async def collect(self, kind: Kind) -> None:
        """Admit what somebody dropped into `pending/`; what is no job is set aside."""
        index = self._ledger.indexes[kind]

        def is_known(job_id: str) -> bool:
            entry = index.get(job_id)
            return entry is not None and entry.state is State.PENDING

        for path in await on_disk(lambda: self._folders.arrivals(kind, is_known)):
            try:
                record = await on_disk(lambda path=path: durable.read_record(path), missing=FileNotFoundError)  # type: ignore[misc]  # mypy cannot type a lambda's default
                await self._readmit(kind, record, path)
            except FileNotFoundError:
                continue
            except (ValueError, JobInvalid) as error:
                if not _is_fresh(path):
                    await asyncio.to_thread(self._folders.set_aside, kind, State.PENDING, path, error)
            except QueueUnwritable as error:
                log.warning("%s waits to be admitted: %s", path.name, error)

    async def _readmit(self, kind: Kind, record: Mapping[str, Json], path: Path) -> None:
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
            if entry is not None:
                old = self._folders.path(kind, entry.state, job_id, entry.worker_id)
                if entry.state in (State.PENDING, State.PROCESSING) and old.exists():
                    raise JobInvalid({"job_id": "another job has this id"})
                # A person has put the job back: it starts anew; a file in its old folder is history.
                fields |= {"epoch": entry.epoch + 1, "retry_count": 0}
                await on_disk(lambda: old.unlink(missing_ok=True))
            await uninterrupted(self._accept(kind, job_id, fields, path))

    async def _accept(
        self, kind: Kind, job_id: str, fields: Mapping[str, Json], dropped: Path | None = None
    ) -> Job:
        """Enter a new job; `dropped`: the file it came as, removed once the job is safe."""
        job = self._intake.complete(kind, job_id, fields, now=self._clock.now())

        def write() -> Job:
            if dropped is None and self._folders.holds(kind, job_id):
                raise JobExists(job_id)  # put there by hand, and not in the index
            written = self._numbered(job)
            self._folders.write(written, State.PENDING, instead_of=dropped)
            return written

        try:
            accepted = await self._ledger.accept(write)
        except (QueueUnwritable, JobExists):
            self._intake.forget(job)
            raise
        self._ready(kind)
        return accepted

    def _numbered(self, job: Job) -> Job:
        """The job with its running number, if it has none; blocking."""
        name = f"{job.kind}_counter"
        if name in job.fields:
            return job
        # Not synced on its own: the job's record, which is, says which number was the last.
        number = self._counters.increment(job.kind, durable_write=False)
        return replace(job, fields={**job.fields, name: number})

    async def _parent(self, kind: Kind, record: Mapping[str, Json]) -> Job | None:
        """The audio job that a video job names, if the queue knows it."""
        if kind is not Kind.VIDEO:
            return None
        job_id = str(record.get("audio_job_id") or "")
        async with self._ledger.lock(Kind.AUDIO, job_id):
            entry = self._ledger.indexes[Kind.AUDIO].get(job_id)
            return None if entry is None else await self._ledger.read(entry)


def _is_repeat(there: Job, fields: Mapping[str, Json]) -> bool:
    """Whether what is offered is the job that is there already."""
    essence = "script_text" if there.kind is Kind.AUDIO else "audio_job_id"
    return fields.get(essence) == there.fields.get(essence)


def _is_fresh(path: Path) -> bool:
    try:
        return abs(time.time() - path.stat().st_mtime) < HALF_WRITTEN_S
    except FileNotFoundError:
        return True
