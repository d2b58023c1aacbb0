"""What a start makes of the folders: each job once, in the state that counts."""

import logging
import time
from collections.abc import Callable

from jobqueue import durable
from jobqueue.folders import Found, JobFolders, is_placed
from jobqueue.index import Entry, describe
from jobqueue.job import OF_THE_CLAIM, Job, Kind
from jobqueue.lifecycle import PRECEDENCE, State

log = logging.getLogger(__name__)

ORPHAN_S = 36 * 3600.0
"""Age at which a file in `tmp/` belongs to nobody any more; qmail's figure (INTERNALS, 'cleaning up')."""


def settle(folders: JobFolders, *, now: float, remember: Callable[[Job], None]) -> dict[Kind, list[Entry]]:
    """All jobs, oldest first; of a job that a crash left in two folders the one that counts. Blocking.

    A file dropped or put back into `pending/` by hand while nobody ran is left out: it is an
    arrival, to be admitted like any other.

    Args:
        now: Unix seconds.
        remember: is shown each job; only its index entry is kept.
    """
    jobs: dict[Kind, dict[str, Entry]] = {kind: {} for kind in Kind}
    for found in folders.scan():
        job = found.job
        if found.state is State.PENDING and not is_placed(job):
            continue
        remember(job)
        if _is_put_back(found):
            continue
        entry = describe(job, found.state, now=now, worker_id=found.worker_id)
        other = jobs[job.kind].setdefault(job.id, entry)
        if other is not entry:
            jobs[job.kind][job.id] = _decide(folders, entry, other)
    return {
        kind: sorted(entries.values(), key=lambda entry: (entry.created_at, entry.job_id))
        for kind, entries in jobs.items()
    }


def _decide(folders: JobFolders, one: Entry, other: Entry) -> Entry:
    """Keep the record that counts, and take the other away."""
    winner, loser = (one, other) if rank(one) > rank(other) else (other, one)
    log.warning("job %s: was in %s and in %s: %s counts", one.job_id, other.state, one.state, winner.state)
    path = folders.path(loser.kind, loser.state, loser.job_id, loser.worker_id)
    path.unlink(missing_ok=True)
    durable.sync_folder(path.parent)
    return winner


def _is_put_back(found: Found) -> bool:
    """Whether a person has moved the job into `pending/`: our own moves leave nothing of a claim."""
    return found.state is State.PENDING and not OF_THE_CLAIM.isdisjoint(found.job.fields)


def rank(entry: Entry) -> tuple[int, int]:
    """A later epoch beats an earlier one; within an epoch the state furthest along."""
    return entry.epoch, -PRECEDENCE.index(entry.state)


def clear_orphans(folders: JobFolders) -> None:
    """Delete what crashed writers left in `tmp/`. Blocking."""
    for path in folders.tmp.iterdir():
        if path.is_file() and time.time() - path.stat().st_mtime > ORPHAN_S:
            path.unlink(missing_ok=True)
