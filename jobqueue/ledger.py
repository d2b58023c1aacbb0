"""The jobs on disk and in the index, kept in step: each move is durable first, then known, then told."""

import asyncio
from collections.abc import Callable, Mapping
from typing import TypeVar
from weakref import WeakValueDictionary

from jobqueue.clock import Clock
from jobqueue.errors import JobInvalid, JobNotFound, QueueUnwritable
from jobqueue.feed import Change, Feed
from jobqueue.folders import Found, JobFolders
from jobqueue.index import Entry, JobIndex, describe
from jobqueue.job import Job, Json, Kind
from jobqueue.joblog import JobLog
from jobqueue.lifecycle import State
from jobqueue.outbox import News, Outbox

T = TypeVar("T")


class Ledger:
    """Performs moves; who may make which is decided by the queue, under the job's lock."""

    def __init__(self, folders: JobFolders, joblog: JobLog, outbox: Outbox, feed: Feed, clock: Clock) -> None:
        self._folders = folders
        self._joblog = joblog
        self._outbox = outbox
        self._feed = feed
        self._clock = clock
        self._locks: WeakValueDictionary[tuple[Kind, str], asyncio.Lock] = WeakValueDictionary()
        self.indexes = {kind: JobIndex() for kind in Kind}

    def lock(self, kind: Kind, job_id: str) -> asyncio.Lock:
        """The job's own lock: whoever moves it holds this."""
        return self._locks.setdefault((kind, job_id), asyncio.Lock())

    def entry(self, kind: Kind, job_id: str) -> Entry:
        """Raises: JobNotFound."""
        entry = self.indexes[kind].get(job_id)
        if entry is None:
            raise JobNotFound(job_id)
        return entry

    def load(self, found: Found) -> None:
        """Enter a job that lies on disk already."""
        now = self._clock.now()
        entry = describe(found.job, found.state, now=now, worker_id=found.worker_id)
        self.indexes[found.job.kind].put(entry)

    async def read(self, entry: Entry) -> Job:
        """The job's record. Raises: JobNotFound if its file has gone or is unreadable; it is dropped then."""
        try:
            return await asyncio.to_thread(
                self._folders.read, entry.kind, entry.state, entry.job_id, entry.worker_id
            )
        except (FileNotFoundError, ValueError, JobInvalid):
            self.indexes[entry.kind].drop(entry.job_id)
            raise JobNotFound(entry.job_id) from None

    async def accept(self, write: Callable[[], Job]) -> Job:
        """Enter a new job; `write` puts its file into `pending/`, durably, and returns it as written."""

        def write_and_note() -> Job:
            job = write()
            self._note(job, "enqueue")
            return job

        job = await on_disk(write_and_note)
        self._enter(job, State.PENDING, "enqueue")
        return job

    async def take(self, entry: Entry, worker_id: str, added: Mapping[str, Json]) -> Job:
        """Move a pending job into processing. Raises: JobNotFound if its file has gone or is unreadable."""

        def take_and_note() -> Job:
            job = self._folders.take(entry.kind, entry.job_id, worker_id, added)
            self._note(job, "claim", worker_id=worker_id, attempt=job.attempt)
            return job

        try:
            job = await on_disk(take_and_note, missing=FileNotFoundError)
        except (FileNotFoundError, ValueError, JobInvalid):
            self.indexes[entry.kind].drop(entry.job_id)
            raise JobNotFound(entry.job_id) from None
        self._enter(job, State.PROCESSING, "claim", worker_id)
        return job

    async def move(
        self,
        job: Job,
        state: State,
        what: str,
        *,
        offspring: Job | None = None,
        announce: bool = False,
        details: Mapping[str, Json] | None = None,
    ) -> None:
        """Write the job's new record into the folder of `state` and take away the old one.

        Args:
            what: the event, for the log and for listeners.
            offspring: a job born of this move, written before it.
            announce: whether the job's chat is owed the news.
            details: more for the log.
        """
        entry = self.entry(job.kind, job.id)
        old = self._folders.path(job.kind, entry.state, job.id, entry.worker_id)

        def write() -> None:
            # Child and news first: dying in between leaves them early, and the move is made again.
            if offspring is not None:
                self._folders.write(offspring, State.PENDING)
                self._note(offspring, "enqueue", audio_job_id=job.id)
            if announce and job.chat_id is not None:
                self._outbox.owe(News(job.kind, job.id, job.epoch, state))
            self._folders.write(job, state, instead_of=old)
            self._note(job, what, **(details or {}))

        await on_disk(write)
        if offspring is not None:
            self._enter(offspring, State.PENDING, "enqueue")
        self._enter(job, state, what)

    async def note_progress(self, job: Job, **details: Json) -> None:
        self.tell(job, "progress", State.PROCESSING)
        await on_disk(lambda: self._note(job, "progress", **details))

    def tell(self, job: Job, what: str, state: State) -> None:
        """Let the listeners know."""
        self._feed.publish(Change(job.kind, job.id, state, what))

    def _enter(self, job: Job, state: State, what: str, worker_id: str | None = None) -> None:
        entry = describe(job, state, now=self._clock.now(), worker_id=worker_id)
        self.indexes[job.kind].put(entry)
        self.tell(job, what, state)

    def _note(self, job: Job, event: str, **details: Json) -> None:
        """Write to the job's log; blocking."""
        self._joblog.add(job.kind, job.id, self._clock.now(), event, **details)


async def on_disk(work: Callable[[], T], *, missing: type[OSError] | None = None) -> T:
    """Run blocking file work in a thread. Raises: QueueUnwritable for any OSError but `missing`."""
    try:
        return await asyncio.to_thread(work)
    except OSError as error:
        if missing is not None and isinstance(error, missing):
            raise
        raise QueueUnwritable(f"the queue's disk cannot be written: {error.strerror or error}") from error
