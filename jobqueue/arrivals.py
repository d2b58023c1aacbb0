"""Files that people put into the queue's folders by hand: found in seconds, and taken for what they are."""

import logging
import os
import time
from functools import partial
from pathlib import Path

from jobqueue import durable
from jobqueue.admission import Admission
from jobqueue.disk import in_thread, on_disk
from jobqueue.errors import JobInvalid, JobNotFound, QueueUnwritable
from jobqueue.folders import JobFolders, job_of
from jobqueue.handover import Handover
from jobqueue.index import Entry
from jobqueue.job import Kind
from jobqueue.leases import Leases
from jobqueue.ledger import Ledger
from jobqueue.lifecycle import State
from jobqueue.recovery import rank

log = logging.getLogger(__name__)

HALF_WRITTEN_S = 5.0
"""A younger file that is no JSON yet may still be on its way into place."""
TICK_S = 1.0
"""A folder that changed this recently may change again without its time telling."""


class Arrivals:
    """Looks through the folders that have changed. The queue's own moves change them too, and are known."""

    def __init__(
        self, ledger: Ledger, folders: JobFolders, admission: Admission, handover: Handover, leases: Leases
    ) -> None:
        self._ledger = ledger
        self._folders = folders
        self._admission = admission
        self._handover = handover
        self._leases = leases
        self._seen: dict[Path, int] = {}
        """When each folder had changed last as it was looked through, ns."""

    async def collect(self, kind: Kind) -> None:
        """Take in what has come. Raises: QueueUnwritable."""
        for state in State:
            if state is State.PENDING and not self._admission.has_room():
                continue  # there they wait until there is room
            for path in await on_disk(partial(self._unknown, kind, state)):
                try:
                    await self._take_in(kind, state, path)
                except (FileNotFoundError, JobNotFound):
                    continue
                except QueueUnwritable as error:
                    self._look_again(path)
                    log.warning("%s waits to be admitted: %s", path.name, error)

    async def _take_in(self, kind: Kind, state: State, path: Path) -> None:
        try:
            if state is State.PENDING:
                record = await on_disk(lambda: durable.read_record(path), missing=FileNotFoundError)
                await self._admission.readmit(kind, record, path)
            else:
                await self._adopt(kind, state, path)
        except (ValueError, JobInvalid) as error:
            if _is_fresh(path):
                self._look_again(path)
            else:
                await in_thread(partial(self._folders.set_aside, kind, state, path, error))

    async def _adopt(self, kind: Kind, state: State, path: Path) -> None:
        """A person has moved a job: from now on it is what its folder says."""
        names = job_of(state, path.name)
        if names is None:
            raise ValueError("its name is no job's")
        job_id, worker_id = names
        async with self._ledger.lock(kind, job_id):
            before = self._ledger.indexes[kind].get(job_id)
            if _is(before, state, worker_id) or not await in_thread(path.exists):
                return
            job = await on_disk(lambda: self._folders.look_at(kind, path, job_id), missing=FileNotFoundError)
            found = self._ledger.described(job, state, worker_id)
            if before is not None:
                old = self._folders.path(kind, before.state, job_id, before.worker_id)
                if await in_thread(old.exists) and rank(before) >= rank(found):
                    log.warning("job %s: is %s; its copy in %s does not count", job_id, before.state, state)
                    await on_disk(lambda: path.unlink(missing_ok=True))
                    return
                await on_disk(lambda: old.unlink(missing_ok=True))
                self._leases.end(kind, job_id)
            self._ledger.adopt(job, found)
            if worker_id is not None:
                self._handover.regrant(job, worker_id)

    def _unknown(self, kind: Kind, state: State) -> list[Path]:
        """Files in a folder that are not what the index says; blocking."""
        folder = self._folders.folder(kind, state)
        if not folder.is_dir():
            self._folders.mend()
        changed_ns = folder.stat().st_mtime_ns
        if self._seen.get(folder) == changed_ns:
            return []
        is_settled = time.time() - changed_ns / 1e9 > TICK_S
        self._seen[folder] = changed_ns if is_settled else 0
        index = self._ledger.indexes[kind]
        found = []
        for name in os.listdir(folder):  # noqa: PTH208  names are enough
            if name.endswith(".json"):
                names = job_of(state, name)
                if names is None or not _is(index.get(names[0]), state, names[1]):
                    found.append(folder / name)
        return [path for path in found if _is_file(path)]

    def _look_again(self, path: Path) -> None:
        self._seen.pop(path.parent, None)


def _is(entry: Entry | None, state: State, worker_id: str | None) -> bool:
    return entry is not None and entry.state is state and entry.worker_id == worker_id


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False  # a link that leads round in circles, say


def _is_fresh(path: Path) -> bool:
    try:
        return abs(time.time() - path.stat().st_mtime) < HALF_WRITTEN_S
    except FileNotFoundError:
        return True
