"""All errors of the queue, as a tree: a class exists because someone catches it."""

from collections.abc import Mapping


class PermanentError(Exception):
    """Mixed into an error that no retry can cure; anything else means "try again"."""


class QueueError(Exception):
    """Any failure of the queue itself, as opposed to a failure of the work."""


class JobNotFound(QueueError):
    """No job has this id."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"no job has the id {job_id!r}")
        self.job_id = job_id


class JobInvalid(QueueError, PermanentError):
    """A job was offered with fields that are missing or make no sense."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {reason}" for name, reason in fields.items()))
        self.fields = dict(fields)


class JobExists(QueueError):
    """Another job already has this id, and it is not the same job."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"another job already has the id {job_id!r}")
        self.job_id = job_id


class LeaseLost(QueueError):
    """The caller does not (or no longer) hold the job: its lease ran out, or the job went to another."""

    def __init__(self, job_id: str, worker_id: str) -> None:
        super().__init__(f"{worker_id!r} does not hold job {job_id!r}")
        self.job_id = job_id
        self.worker_id = worker_id


class InvalidTransition(QueueError):
    """The job's state does not allow this move, such as cancelling a finished job."""

    def __init__(self, job_id: str, state: str, event: str) -> None:
        super().__init__(f"job {job_id!r} is {state}: it cannot {event}")
        self.job_id = job_id
        self.state = state
        self.event = event


class MediaMissing(QueueError):
    """A file of a job is not in the storage."""

    def __init__(self, path: str) -> None:
        super().__init__(f"there is no file {path!r}")
        self.path = path


class PathRefused(QueueError):
    """A path that leaves its folder, or is malformed."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path!r} is not a path inside the storage")
        self.path = path


class ChecksumMismatch(QueueError):
    """What arrived is not what was sent."""

    def __init__(self, path: str) -> None:
        super().__init__(f"the bytes that arrived for {path!r} do not match their checksum")
        self.path = path


class AlreadyOwned(QueueError):
    """Another process owns the queue's folder."""

    def __init__(self, data_dir: str) -> None:
        super().__init__(
            f"another bot already runs on {data_dir!r}: stop it first, or set DATA_DIR to another folder"
        )
        self.data_dir = data_dir


class QueueUnreachable(QueueError):
    """The bot's endpoint did not answer, or cannot serve just now; the same call may work later."""


class QueueUnwritable(QueueUnreachable):
    """The queue's disk is full, read-only or broken: nothing can be accepted or moved now."""


class KeyRefused(QueueError, PermanentError):
    """The endpoint does not accept our key; only a person can mend that."""
