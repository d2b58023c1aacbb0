"""The queue's folders: one file per job, one folder per state, and the moves between them.

Blocking; call from a thread. The order of the steps in each move is the queue's promise:
whatever instant the process or the machine dies at, a start finds each job whole and once.
"""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from jobqueue import durable
from jobqueue.commits import Move, Put
from jobqueue.errors import JobInvalid, PathRefused
from jobqueue.job import JOB_ID, WORKER_ID, Job, Kind, is_same_work
from jobqueue.lifecycle import FINAL, State
from jobqueue.storage import check_path
from jobqueue.wire import from_record, to_record

log = logging.getLogger(__name__)


RECORD_WRITTEN_MAX_BYTES = durable.RECORD_MAX_BYTES // 2
"""Room is left for what later moves add."""
GLANCE_BYTES = 1 << 16
"""Most records are shorter."""


@dataclass(slots=True)
class Found:
    """A job as it lies on disk."""

    job: Job
    state: State
    worker_id: str | None = None


class JobFolders:
    """`audio-queue/` and `video-queue/` below DATA_DIR."""

    def __init__(self, data_dir: Path) -> None:
        self.tmp = data_dir / "tmp"
        self._corrupt = data_dir / "corrupt"
        self._folders = {
            (kind, state): data_dir / f"{kind}-queue" / state for kind in Kind for state in State
        }

    def make(self) -> None:
        for kind in Kind:
            for state in State:
                durable.make_folder(self.folder(kind, state))
        for folder in (self.tmp, self._corrupt):
            durable.make_folder(folder)

    def mend(self) -> None:
        """Make folders anew that somebody has removed while we run."""
        # Their parents are not: without those it is the disk that has gone, with everything on it.
        for folder in (*self._folders.values(), self.tmp, self._corrupt):
            if not folder.is_dir():
                folder.mkdir(durable.PRIVATE_FOLDER, exist_ok=True)
                durable.sync_folder(folder.parent)
                log.error("%s had gone, and is made anew", folder)

    def folder(self, kind: Kind, state: State) -> Path:
        return self._folders[kind, state]

    def path(self, kind: Kind, state: State, job_id: str, worker_id: str | None = None) -> Path:
        name = f"{worker_id}_{job_id}.json" if state is State.PROCESSING else f"{job_id}.json"
        return self.folder(kind, state) / name

    def holds_another(self, job: Job, *, but: Path | None = None) -> bool:
        """Whether another job of this id lies on disk, though the index does not know it.

        `but`: the file that the job came as; what has ended does not count then.
        """
        # Text in place of Path: this is asked for each job that comes.
        name = f"{job.id}.json"
        waiting = self.path(job.kind, State.PENDING, job.id)
        if waiting != but and os.path.lexists(waiting) and not self._is_left_of(job, waiting):
            return True
        ends = () if but is not None else FINAL
        return any(os.path.lexists(f"{self.folder(job.kind, state)}/{name}") for state in ends)

    def _is_left_of(self, job: Job, path: Path) -> bool:
        """Whether the file is what was left of this very job as a failing disk refused it before."""
        try:
            there = self.look_at(job.kind, path, job.id)
        except (ValueError, JobInvalid):
            return False
        return is_placed(there) and is_same_work(there, job.fields)

    def put(self, job: Job, state: State) -> Put:
        """The job's record in the folder of `state`. Raises: JobInvalid if it could not be read again."""
        data = durable.to_bytes(to_record(job))
        if len(data) > RECORD_WRITTEN_MAX_BYTES:
            raise JobInvalid({"job": "is too large"})
        return Put(self.path(job.kind, state, job.id), data)

    def take(self, kind: Kind, job_id: str, worker_id: str) -> Move:
        """The move of a pending job into processing.

        One rename decides. It is not synced: after a power cut the job is simply pending again,
        which costs a second delivery and never the job.
        """
        return Move(
            self.path(kind, State.PENDING, job_id), self.path(kind, State.PROCESSING, job_id, worker_id)
        )

    def read(self, kind: Kind, state: State, job_id: str, worker_id: str | None = None) -> Job:
        """Raises: FileNotFoundError; ValueError or JobInvalid if it is unreadable, after setting it aside."""
        return self._read(kind, state, self.path(kind, state, job_id, worker_id), job_id)

    def look_at(self, kind: Kind, path: Path, job_id: str) -> Job:
        """Raises: FileNotFoundError; ValueError or JobInvalid if it is unreadable."""
        return from_record(kind, durable.read_record(path), job_id=job_id, created_at=path.stat().st_mtime)

    def _read(self, kind: Kind, state: State, path: Path, job_id: str) -> Job:
        try:
            return self.look_at(kind, path, job_id)
        except (ValueError, JobInvalid) as error:
            self.set_aside(kind, state, path, error)
            raise

    def set_aside(self, kind: Kind, state: State, path: Path, reason: Exception) -> None:
        """Move a file that is no job to `corrupt/`, where it stops nobody and a person can look at it."""
        place = self._corrupt / f"{kind}-{state}-{durable.aside(path.parent, path.name).name}"
        try:
            path.rename(place)
        except FileNotFoundError:
            return
        except OSError as error:
            log.error(
                "%s is no readable job (%s), and cannot be moved to corrupt/: %s", path.name, reason, error
            )
        else:
            log.error("%s is no readable job (%s): moved to %s", path.name, reason, place.name)

    def scan(self) -> Iterator[Found]:
        """All jobs on disk, a job that a crash left in two folders twice. Unreadable files are set aside."""
        for kind in Kind:
            for state in State:
                yield from self._scan(kind, state, self.folder(kind, state))

    def _scan(self, kind: Kind, state: State, folder: Path) -> Iterator[Found]:
        names = [name for name in os.listdir(folder) if name.endswith(".json")]  # noqa: PTH208  names are enough
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for name in names:
                found = _glance(kind, state, name, descriptor) or self._identify(kind, state, folder / name)
                if found is not None:
                    yield found
        finally:
            os.close(descriptor)

    def _identify(self, kind: Kind, state: State, path: Path) -> Found | None:
        names = job_of(state, path.name)
        if names is None:
            if state is not State.PENDING:  # in pending it may be a job dropped by hand, still to be admitted
                self.set_aside(kind, state, path, ValueError("its name is no job's"))
            return None
        job_id, worker_id = names
        try:
            return Found(self._read(kind, state, path, job_id), state, worker_id)
        except (OSError, ValueError, JobInvalid):
            return None


def job_of(state: State, name: str) -> tuple[str, str | None] | None:
    """Job and worker that a file's name tells of; None if it is no job's."""
    stem = name.removesuffix(".json")
    if state is not State.PROCESSING:
        return (stem, None) if JOB_ID.fullmatch(stem) else None
    worker_id, _, job_id = stem.rpartition("_")
    return (job_id, worker_id) if JOB_ID.fullmatch(job_id) and WORKER_ID.fullmatch(worker_id) else None


def is_placed(job: Job) -> bool:
    """Whether the job has a proper folder for its media, as every job has that was admitted."""
    try:
        check_path(job.organized_path)
    except PathRefused:
        return False
    return True


def _glance(kind: Kind, state: State, name: str, folder: int) -> Found | None:
    """The job in a file that is as it should be; None if it needs a closer look.

    A start reads every file: this is a third of the time that `_identify` takes.
    """
    names = job_of(state, name)
    if names is None:
        return None
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW, dir_fd=folder)
        try:
            data = os.read(descriptor, GLANCE_BYTES)
        finally:
            os.close(descriptor)
        record = orjson.loads(data)
        if len(data) == GLANCE_BYTES or not isinstance(record, dict) or "created_at" not in record:
            return None
        return Found(from_record(kind, record, job_id=names[0], created_at=0), state, names[1])
    except (OSError, ValueError, JobInvalid):
        return None
