"""What a start makes of the folders: each job once, in the state that counts."""

import logging
import time

from jobqueue import durable
from jobqueue.errors import PathRefused
from jobqueue.folders import Found, JobFolders
from jobqueue.job import Kind
from jobqueue.lifecycle import PRECEDENCE, State
from jobqueue.storage import check_path

log = logging.getLogger(__name__)

ORPHAN_S = 36 * 3600.0
"""Age at which a file in `tmp/` belongs to nobody any more; qmail's figure (INTERNALS, 'cleaning up')."""


def settle(folders: JobFolders) -> list[Found]:
    """All jobs, oldest first; of a job that a crash left in two folders the one that counts. Blocking.

    A file dropped into `pending/` by hand while nobody ran is left out: it is an arrival,
    to be admitted like any other.
    """
    jobs: dict[tuple[Kind, str], Found] = {}
    for found in folders.scan():
        if found.state is State.PENDING and not _is_placed(found):
            continue
        key = found.job.kind, found.job.id
        other = jobs.get(key)
        if other is None:
            jobs[key] = found
            continue
        winner, loser = (found, other) if _rank(found) > _rank(other) else (other, found)
        log.warning("job %s: was in %s and in %s: %s counts", key[1], other.state, found.state, winner.state)
        jobs[key] = winner
        loser.path.unlink(missing_ok=True)
        durable.sync_folder(loser.path.parent)
    return sorted(jobs.values(), key=lambda found: (found.job.created_at, found.job.id))


def _is_placed(found: Found) -> bool:
    """Whether the job has a proper folder for its media, as every job has that was admitted."""
    try:
        check_path(found.job.organized_path)
    except PathRefused:
        return False
    return True


def _rank(found: Found) -> tuple[int, int]:
    """A later epoch beats an earlier one; within an epoch the state furthest along."""
    return found.job.epoch, -PRECEDENCE.index(found.state)


def clear_orphans(folders: JobFolders) -> None:
    """Delete what crashed writers left in `tmp/`. Blocking."""
    for path in folders.tmp.iterdir():
        if path.is_file() and time.time() - path.stat().st_mtime > ORPHAN_S:
            path.unlink(missing_ok=True)
