"""The jobs on disk and in the index, kept in step: each move is durable first, then known, then told."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from weakref import WeakValueDictionary

from jobqueue import durable, tracing
from jobqueue.clock import Clock
from jobqueue.commits import Commit, Commits, Put
from jobqueue.disk import in_thread, on_disk
from jobqueue.errors import JobExists, JobInvalid, JobNotFound, JobUnreadable, QueueUnwritable
from jobqueue.feed import Change, Feed
from jobqueue.folders import JobFolders
from jobqueue.index import Entry, JobIndex, describe
from jobqueue.job import Job, Json, Kind, Progress
from jobqueue.joblog import JobLog
from jobqueue.lifecycle import Event, State
from jobqueue.outbox import News, Outbox
from jobqueue.wire import to_record

log = logging.getLogger(__name__)

CHANNEL_MAX = 64
"""Characters of a channel's code that listeners are told; a job dropped by hand may hold anything there."""


class Ledger:
    """Performs moves; who may make which is decided by the queue, under the job's lock."""

    def __init__(
        self,
        folders: JobFolders,
        commits: Commits,
        joblog: JobLog,
        outbox: Outbox,
        feed: Feed,
        clock: Clock,
    ) -> None:
        self._folders = folders
        self._commits = commits
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

    async def read(self, entry: Entry) -> Job:
        """The job's record.

        Raises: JobNotFound if its file has gone or is no job; it is dropped then. JobUnreadable.
        """
        try:
            return await in_thread(lambda: self._read(entry))
        except (FileNotFoundError, ValueError, JobInvalid):
            self.indexes[entry.kind].drop(entry.job_id)
            raise JobNotFound(entry.job_id) from None

    def _read(self, entry: Entry) -> Job:
        """Blocking. Raises: FileNotFoundError, ValueError, JobInvalid, JobUnreadable."""
        try:
            return self._folders.read(entry.kind, entry.state, entry.job_id, entry.worker_id)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise JobUnreadable(entry.job_id, error) from error

    async def accept(self, job: Job, *, dropped: Path | None) -> None:
        """Enter a new job; `dropped`: the file it came as. Raises: QueueUnwritable, JobExists."""

        def check(_: Commit) -> None:
            if self._folders.holds_another(job, but=dropped):
                raise JobExists(job.id)  # put there by hand, and not in the index yet

        with tracing.following(job):
            await self._commits.make(
                Commit(
                    [[self._folders.put(job, State.PENDING)]],
                    instead_of=dropped,
                    prepare=check,
                )
            )
        self._enter(job, State.PENDING, "enqueue")

    async def take(self, entry: Entry, worker_id: str, added: Mapping[str, Json]) -> Job:
        """Move a pending job into processing, and note in its record who has it.

        Raises: JobNotFound if its file has gone or is no job; JobUnreadable, QueueUnwritable.
        """
        taken: list[Job] = []
        move = self._folders.take(entry.kind, entry.job_id, worker_id)

        def prepare(commit: Commit) -> None:
            found = self._read(entry)
            job = replace(found, fields={**found.fields, **added})
            commit.rounds = [[Put(move.target, durable.to_bytes(to_record(job)))]]
            taken.append(job)

        try:
            await self._make_move(Commit(move=move, prepare=prepare), move.source)
        except (FileNotFoundError, ValueError, JobInvalid):
            self.indexes[entry.kind].drop(entry.job_id)
            raise JobNotFound(entry.job_id) from None
        job = taken[-1]
        self._enter(job, State.PROCESSING, "claim", {"worker_id": worker_id, "attempt": job.attempt})
        return job

    async def _make_move(self, commit: Commit, source: Path) -> None:
        """Raises: FileNotFoundError if `source` has gone; QueueUnwritable, also if a folder has for good."""
        try:
            await self._commits.make(commit)
        except FileNotFoundError:
            if not await in_thread(source.exists):
                raise
            await on_disk(self._folders.mend)
            try:
                await self._commits.make(commit)
            except FileNotFoundError as error:
                raise QueueUnwritable(f"{source.name} cannot be moved: {error.strerror}") from error

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
        # Child and news first: dying in between leaves them early, and the move is made again.
        first = [] if offspring is None else [self._folders.put(offspring, State.PENDING)]
        if announce and job.chat_id is not None:
            first.append(self._outbox.put(News(job.kind, job.id, job.epoch, state)))
        record = self._folders.put(job, state)
        old = self._folders.path(job.kind, entry.state, job.id, entry.worker_id)
        with tracing.following(job):
            await self._commits.make(
                Commit(
                    [first, [record]] if first else [[record]],
                    instead_of=old,
                )
            )
        if offspring is not None:
            self._enter(offspring, State.PENDING, "enqueue", {"audio_job_id": job.id})
        self._enter(job, state, what, details)

    def note_progress(self, job: Job, progress: Progress, *, seconds: float) -> None:
        """`seconds`: since the worker told something last, or got the job."""
        details: dict[str, Json] = {"message": progress.message, "percent": progress.percent}
        details |= {"chunk": progress.chunk, "attempt": job.attempt, "seconds": round(seconds, 1)}
        self.note(job, "progress", **details)
        self.tell(job, "progress", State.PROCESSING, progress=progress)

    def tell(
        self,
        job: Job,
        what: str,
        state: State,
        *,
        progress: Progress | None = None,
        worker_id: str | None = None,
    ) -> None:
        """Let the listeners know; `worker_id`: whose doing it was, if not the one's who has the job."""
        # Not the job itself: what listeners keep of it must be small.
        taken_s = job.fields.get("processing_seconds") if what == Event.COMPLETE else None
        self._feed.publish(
            Change(
                job.kind,
                job.id,
                state,
                what,
                progress,
                worker_id or job.text("worker_id"),
                job.text("channel_code")[:CHANNEL_MAX],
                taken_s if isinstance(taken_s, int | float) else None,
            )
        )

    def note(self, job: Job, event: str, **details: Json) -> None:
        """Write it down in the job's log."""
        details["correlation_id"] = tracing.correlation_id_of(job)
        self._joblog.add(job.kind, job.id, self._clock.now(), event, **details)

    def described(self, job: Job, state: State, holder: str | None) -> Entry:
        """The index entry the job would have."""
        return describe(job, state, now=self._clock.now(), worker_id=holder)

    def adopt(self, job: Job, entry: Entry) -> None:
        """Enter a job that a person has moved: its file lies where it says already."""
        self.indexes[job.kind].put(entry)
        self.note(job, "moved by hand", state=entry.state)
        self.tell(job, "moved by hand", entry.state)

    def _enter(self, job: Job, state: State, what: str, details: Mapping[str, Json] | None = None) -> None:
        holder = job.text("worker_id") if state is State.PROCESSING else None
        self.indexes[job.kind].put(self.described(job, state, holder))
        self.note(job, what, **(details or {}))
        with tracing.following(job):
            log.info("%s job %s: %s, now %s", job.kind, job.id, what, state)
        worker_id = (details or {}).get("worker_id")
        self.tell(job, what, state, worker_id=worker_id if isinstance(worker_id, str) else None)
