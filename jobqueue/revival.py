"""Failed jobs put back by the hundred: one after the other, in portions, while everything else goes on."""

import asyncio
from typing import Protocol

from jobqueue.backend import Filter, JobView
from jobqueue.errors import InvalidTransition, JobNotFound
from jobqueue.job import Kind

TOGETHER = 16
"""Jobs moved at a time: they share the disk's flushes, and leave room for others to."""


class Revivable(Protocol):
    """What is asked of the queue here."""

    async def ids(
        self, wanted: Filter, *, limit: int = 100, cursor: str | None = None, newest_first: bool = False
    ) -> tuple[list[str], str | None]: ...

    async def retry(self, kind: Kind, job_id: str, *, by: str) -> JobView: ...


async def retry_each(queue: Revivable, wanted: Filter, *, by: str) -> int:
    """Put back all jobs that match, their attempts starting anew; returns how many.

    Each is moved by itself: dying in between leaves some moved and some not, and the
    call may be repeated. Raises: QueueUnwritable.
    """
    retried, cursor = 0, None
    while True:
        ids, cursor = await queue.ids(wanted, limit=TOGETHER, cursor=cursor)
        retried += sum(await asyncio.gather(*(_retry(queue, wanted.kind, job_id, by) for job_id in ids)))
        if cursor is None:
            return retried


async def _retry(queue: Revivable, kind: Kind, job_id: str, by: str) -> bool:
    try:
        await queue.retry(kind, job_id, by=by)
    except (JobNotFound, InvalidTransition):
        return False  # somebody was quicker
    return True
