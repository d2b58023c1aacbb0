"""Taking finished jobs off the disk, in an order that a crash can be resumed from.

Blocking; call from a thread. Media first, the record last: as long as the record is there,
the next round finds the job and finishes.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobqueue import durable
from jobqueue.errors import PathRefused
from jobqueue.folders import JobFolders
from jobqueue.job import Job
from jobqueue.joblog import JobLog
from jobqueue.lifecycle import State
from jobqueue.storage import DirectoryStorage
from jobqueue.wire import moment

ENDED_AT = {
    State.COMPLETED: "completed_at",
    State.FAILED: "last_failed_at",
    State.CANCELLED: "cancelled_at",
}
GONE = "-gone"
"""Ends the names of folders that only wait to be deleted."""
WORKING = ("chunks", "render")
"""What the workers leave beside a recording and a video so that another attempt finds it."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A job in which nothing happens any more."""

    job: Job
    state: State


class Disposal:
    """Deletes jobs, their media, and what the workers needed on the way."""

    def __init__(self, folders: JobFolders, storage: DirectoryStorage, joblog: JobLog) -> None:
        self._folders = folders
        self._storage = storage
        self._joblog = joblog

    def ended_at(self, finished: Finished) -> float:
        """When the job ended, Unix s: as its record says, else when its file was written."""
        told = _told_end(finished)
        return self._place(finished).stat().st_mtime if told is None else told

    def holds_another(self, job: Job, is_used: Callable[[str], bool]) -> bool:
        """Whether a folder that is some job's lies within this job's."""
        media = self._media(job)
        if media is None:
            return False
        paths = (os.path.relpath(folder, media) for folder, _, _ in os.walk(media))
        return any(path != "." and is_used(f"{job.organized_path}/{path}") for path in paths)

    def remove(self, jobs: Sequence[Finished], *, folders: Iterable[Job], logs: Iterable[str]) -> None:
        """Delete jobs, in the order given, after the media folders and the logs that are theirs alone."""
        for job in folders:
            self._drop_media(job)
        for job_id in logs:
            self._joblog.remove(job_id)
        for finished in jobs:
            self._place(finished).unlink(missing_ok=True)

    def remove_working_files(self, jobs: Iterable[Job]) -> None:
        """Delete what the workers left in the folders of these."""
        for job in jobs:
            media = self._media(job)
            for name in WORKING:
                if media is not None:
                    self._discard(media / name)

    def clear(self) -> None:
        """Finish deleting what a crash interrupted."""
        for path in self._folders.tmp.glob(f"*{GONE}"):
            shutil.rmtree(path, ignore_errors=True)

    def remove_files(self, folder: Path, before: float) -> int:
        """Delete the files in a folder last changed or moved before then, Unix s; returns how many."""
        removed = 0
        with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                facts = entry.stat(follow_symlinks=False)
                if not entry.is_dir(follow_symlinks=False) and max(facts.st_mtime, facts.st_ctime) < before:
                    with contextlib.suppress(FileNotFoundError):
                        Path(entry.path).unlink()
                        removed += 1
        return removed

    def _place(self, finished: Finished) -> Path:
        return self._folders.path(finished.job.kind, finished.state, finished.job.id)

    def _media(self, job: Job) -> Path | None:
        """The folder of the job's media, if it is there and where it belongs."""
        try:
            place = self._storage.locate(job.organized_path)
        except PathRefused:
            return None
        return place if place.is_dir() and not place.is_symlink() else None

    def _drop_media(self, job: Job) -> None:
        media = self._media(job)
        if media is None:
            return
        self._discard(media)
        # The folders of its channel and its day, if it was the last in them.
        for above in list(media.parents)[: job.organized_path.count("/")]:
            try:
                above.rmdir()
            except OSError:
                return

    def _discard(self, folder: Path) -> None:
        """Delete a folder: at once for all who look, however long it takes."""
        gone = self._folders.tmp / (durable.aside(self._folders.tmp, folder.name).name + GONE)
        try:
            folder.rename(gone)
        except FileNotFoundError:
            return
        shutil.rmtree(gone, ignore_errors=True)


def _told_end(finished: Finished) -> float | None:
    """None if the record does not say: somebody has moved the file by hand."""
    try:
        return moment(finished.job.text(ENDED_AT[finished.state]))
    except (ValueError, OverflowError):
        return None
