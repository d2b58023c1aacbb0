"""The queue's folders: one file per job, one folder per state, and the moves between them.

Blocking; call from a thread. The order of the steps in each move is the queue's promise:
whatever instant the process or the machine dies at, a start finds each job whole and once.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from jobqueue import durable
from jobqueue.errors import JobInvalid
from jobqueue.job import JOB_ID, WORKER_ID, Job, Json, Kind
from jobqueue.lifecycle import FINAL, State
from jobqueue.wire import from_record, to_record

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """A job as it lies on disk."""

    job: Job
    state: State
    path: Path
    worker_id: str | None = None


class JobFolders:
    """`audio-queue/` and `video-queue/` below DATA_DIR."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self.tmp = data_dir / "tmp"
        self._corrupt = data_dir / "corrupt"

    def make(self) -> None:
        for kind in Kind:
            for state in State:
                durable.make_folder(self.folder(kind, state))
        for folder in (self.tmp, self._corrupt):
            durable.make_folder(folder)

    def folder(self, kind: Kind, state: State) -> Path:
        return self._data_dir / f"{kind}-queue" / state

    def path(self, kind: Kind, state: State, job_id: str, worker_id: str | None = None) -> Path:
        name = f"{worker_id}_{job_id}.json" if state is State.PROCESSING else f"{job_id}.json"
        return self.folder(kind, state) / name

    def holds(self, kind: Kind, job_id: str) -> bool:
        """Whether a finished job of this id lies on disk."""
        return any(self.path(kind, state, job_id).exists() for state in FINAL)

    def write(self, job: Job, state: State, *, instead_of: Path | None = None) -> None:
        """Put the job's record into the folder of `state`; when this returns, it survives a power cut.

        `instead_of`: where it lay before, removed last: dying in between leaves two files,
        of which a start keeps the right one.
        """
        place = self.path(job.kind, state, job.id)
        part = durable.write_aside(self.tmp, place.name, durable.to_bytes(to_record(job)))
        try:
            part.replace(place)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        durable.sync_folder(place.parent)
        if instead_of is not None and instead_of != place:
            instead_of.unlink(missing_ok=True)

    def take(self, kind: Kind, job_id: str, worker_id: str, added: Mapping[str, Json]) -> Job:
        """Move a pending job into processing and note who has it.

        Raises: FileNotFoundError if somebody took the file away; ValueError or JobInvalid if it
        is unreadable, after setting it aside.
        """
        processing = self.path(kind, State.PROCESSING, job_id, worker_id)
        # One rename decides. It is not synced: after a power cut the job is simply
        # pending again, which costs a second delivery and never the job.
        self.path(kind, State.PENDING, job_id).rename(processing)
        found = self._read(kind, State.PROCESSING, processing, job_id)
        job = replace(found, fields={**found.fields, **added})
        try:
            durable.replace(self.tmp, processing, durable.to_bytes(to_record(job)), durable=False)
        except OSError as error:
            # A full disk: the rename has said all that matters, and work in hand can still be finished.
            log.warning("job %s: claimed, but the claim's details cannot be written: %s", job_id, error)
        return job

    def read(self, kind: Kind, state: State, job_id: str, worker_id: str | None = None) -> Job:
        """Raises: FileNotFoundError; ValueError or JobInvalid if it is unreadable, after setting it aside."""
        return self._read(kind, state, self.path(kind, state, job_id, worker_id), job_id)

    def _read(self, kind: Kind, state: State, path: Path, job_id: str) -> Job:
        try:
            return from_record(
                kind, durable.read_record(path), job_id=job_id, created_at=path.stat().st_mtime
            )
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
                for path in sorted(self.folder(kind, state).glob("*.json")):
                    found = self._identify(kind, state, path)
                    if found is not None:
                        yield found

    def _identify(self, kind: Kind, state: State, path: Path) -> Found | None:
        worker_id, job_id = None, path.stem
        if state is State.PROCESSING:
            worker_id, _, job_id = path.stem.rpartition("_")
        if not JOB_ID.fullmatch(job_id) or (worker_id is not None and not WORKER_ID.fullmatch(worker_id)):
            if state is not State.PENDING:  # in pending it may be a job dropped by hand, still to be admitted
                self.set_aside(kind, state, path, ValueError("its name is no job's"))
            return None
        try:
            return Found(self._read(kind, state, path, job_id), state, path, worker_id)
        except (OSError, ValueError, JobInvalid):
            return None

    def arrivals(self, kind: Kind, is_known: Callable[[str], bool]) -> list[Path]:
        """Files in `pending/` that the queue did not put there; `is_known` tells of a file's stem."""
        with os.scandir(self.folder(kind, State.PENDING)) as entries:
            names = [entry.name for entry in entries if entry.name.endswith(".json") and _is_file(entry)]
        folder = self.folder(kind, State.PENDING)
        return [folder / name for name in names if not is_known(name.removesuffix(".json"))]


def _is_file(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False  # a link that leads round in circles, say
