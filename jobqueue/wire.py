"""Job to JSON and back, for disk and for HTTP alike. Fields we do not know survive both ways."""

from collections.abc import Mapping
from datetime import UTC, datetime

from jobqueue.errors import JobInvalid
from jobqueue.job import Job, Json, Kind

OWN_FIELDS = frozenset({"job_id", "priority", "retry_count", "epoch", "created_at", "not_before"})
"""Fields that become attributes of a Job; all others travel in `Job.fields`."""

LARGEST = 2**31
"""Bound of priorities and counts, so that no program on the way stumbles over them."""
MOMENT_MIN, MOMENT_MAX = 0.0, 4102444800.0
"""1970 to 2100, Unix seconds: beyond, some program on the way would stumble."""


def unpointed(value: Json) -> Json:
    """A whole number also if it was written as 7.0, which is the same to JSON."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def timestamp(moment: float) -> str:
    """Unix seconds as ISO 8601 in UTC, to the millisecond, ending in `Z`."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment(text: str) -> float:
    """Unix seconds of an ISO 8601 time, in UTC if it names no zone. Raises: ValueError."""
    when = datetime.fromisoformat(text)
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    seconds = when.timestamp()
    if not MOMENT_MIN <= seconds < MOMENT_MAX:
        raise ValueError(f"{text!r} is not in this age")
    return seconds


def to_record(job: Job) -> dict[str, Json]:
    """The job as the JSON object that lies on disk and goes over HTTP."""
    record: dict[str, Json] = {"job_id": job.id, **job.fields}
    record |= {"priority": job.priority, "retry_count": job.retry_count, "epoch": job.epoch}
    record["created_at"] = timestamp(job.created_at)
    if job.not_before is not None:
        record["not_before"] = timestamp(job.not_before)
    return record


def from_record(kind: Kind, record: Mapping[str, Json], *, job_id: str, created_at: float) -> Job:
    """The job in a record.

    Args:
        job_id: the id it has, whatever the record says.
        created_at: Unix seconds, used if the record does not say.
    Raises: JobInvalid if one of the queue's own fields makes no sense.
    """
    reasons: dict[str, str] = {}
    created = _moment(record, "created_at", reasons)
    not_before = None if record.get("not_before") is None else _moment(record, "not_before", reasons)
    priority = _whole(record, "priority", 0, reasons)
    retry_count = _whole(record, "retry_count", 0, reasons)
    epoch = _whole(record, "epoch", 1, reasons)
    if reasons:
        raise JobInvalid(reasons)
    fields = dict(record)
    for name in OWN_FIELDS & record.keys():  # quicker than to choose the others, of which there are many
        del fields[name]
    created_at = created_at if created is None else created
    return Job(job_id, kind, created_at, priority, retry_count, epoch, not_before, fields)


def _whole(record: Mapping[str, Json], name: str, default: int, reasons: dict[str, str]) -> int:
    value = record.get(name)
    if value is None:
        return default
    if type(value) is not int or not -LARGEST <= value <= LARGEST:  # a bool is an int, and no number here
        reasons[name] = "must be a whole number"
        return default
    return value


def _moment(record: Mapping[str, Json], name: str, reasons: dict[str, str]) -> float | None:
    value = record.get(name)
    if value is None:
        return None
    try:
        if not isinstance(value, str):
            raise ValueError("no text")
        return moment(value)
    except (ValueError, OverflowError):
        reasons[name] = "must be a time such as 2025-01-27T10:30:00Z"
        return None
