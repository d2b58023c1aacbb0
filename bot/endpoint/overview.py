"""What the dashboard shows: a little of every list, small enough for a phone on a bad line."""

from jobqueue.backend import Filter, JobView
from jobqueue.directory import DirectoryQueue
from jobqueue.errors import JobNotFound
from jobqueue.job import Job, Json, Kind
from jobqueue.lifecycle import State

WORKING_MAX = 20
WAITING_MAX = 20
FAILED_MAX = 10
WORKERS_MAX = 50
TITLE_MAX = 90
REASON_MAX = 600


async def overview(queue: DirectoryQueue) -> dict[str, Json]:
    """How things stand now; its cost does not grow with the queue."""
    return {kind.value: await _of_kind(queue, kind) for kind in Kind}


async def _of_kind(queue: DirectoryQueue, kind: Kind) -> dict[str, Json]:
    working = sorted(
        (lease for lease in queue.leases() if lease.kind is kind), key=lambda lease: lease.granted_at
    )
    failed = await queue.jobs(
        Filter(kind, states=frozenset({State.FAILED})), limit=FAILED_MAX, newest_first=True
    )
    return {
        "stats": queue.stats(kind),
        "working": await _rows(queue, kind, [lease.job.id for lease in working[:WORKING_MAX]]),
        "waiting": await _rows(queue, kind, queue.next_in_line(kind, limit=WAITING_MAX)),
        "failed": [row(view) for view in failed.jobs],
        "workers": list(queue.roster.members(kind)[:WORKERS_MAX]),
    }


async def _rows(queue: DirectoryQueue, kind: Kind, job_ids: list[str]) -> list[Json]:
    rows: list[Json] = []
    for job_id in job_ids:
        try:
            rows.append(row(await queue.get(kind, job_id)))
        except JobNotFound:
            continue  # removed meanwhile
    return rows


def row(view: JobView) -> dict[str, Json]:
    """A job in a line or two; what is not known is left out."""
    job, progress = view.job, view.progress
    shown: dict[str, Json | None] = {
        "kind": job.kind,
        "job_id": job.id,
        "state": view.state,
        "title": _title(job),
        "channel": job.text("channel_code")[:TITLE_MAX] or None,
        "video_number": job.number("video_number"),
        "date": job.text("date")[:TITLE_MAX] or None,
        "worker_id": job.text("worker_id") or None,
        "retry_count": job.retry_count or None,
        "position": view.position,
        "eta_s": None if view.eta_s is None else round(view.eta_s, 1),
        "percent": None if progress is None else progress.percent,
        "message": None if progress is None else progress.message,
        "chunk": None if progress is None else progress.chunk,
        "chunks": None if progress is None else progress.chunks,
        "reason": job.text("error_message")[:REASON_MAX] or None,
        "failed_at": job.text("last_failed_at") or None,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _title(job: Job) -> str | None:
    """How the script begins."""
    title = " ".join(job.text("script_text")[: 4 * TITLE_MAX].split())
    if len(title) <= TITLE_MAX:
        return title or None
    whole, _, _ = title[:TITLE_MAX].rpartition(" ")
    return f"{whole or title[:TITLE_MAX]}…"
