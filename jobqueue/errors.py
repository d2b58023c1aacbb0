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


class UploadNotFound(QueueError):
    """No upload has this id."""

    def __init__(self, upload_id: str) -> None:
        super().__init__(f"no upload has the id {upload_id!r}")
        self.upload_id = upload_id


class UploadGone(QueueError):
    """The upload has expired, was called off, or was spoilt: begin another."""

    def __init__(self, upload_id: str) -> None:
        super().__init__(f"upload {upload_id!r} is over: begin another")
        self.upload_id = upload_id


class UploadLocked(QueueError):
    """Another request adds to the upload just now."""

    def __init__(self, upload_id: str) -> None:
        super().__init__(f"another request adds to upload {upload_id!r} just now: try again in a moment")
        self.upload_id = upload_id


class OffsetMismatch(QueueError):
    """Bytes were sent for another place than where the upload goes on."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"the upload goes on at byte {offset}")
        self.offset = offset


class UploadTooLong(QueueError):
    """More bytes than the upload may have."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"the upload may have {max_bytes} bytes at most")
        self.max_bytes = max_bytes


class TooManyUploads(QueueError):
    """As many uploads are open as may be."""

    def __init__(self, open_max: int) -> None:
        super().__init__(f"{open_max} uploads are open: finish some, or wait until they expire")


class PieceDamaged(QueueError):
    """The bytes of one request do not amount to the checksum sent with them; none of them was kept."""

    def __init__(self, algorithm: str) -> None:
        super().__init__(f"the bytes that arrived do not match their {algorithm}: send them again")


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


class JobUnreadable(QueueUnwritable):
    """The job's own file cannot be read just now, such as one that belongs to another user."""

    def __init__(self, job_id: str, cause: OSError) -> None:
        super().__init__(f"the file of job {job_id!r} cannot be read: {cause.strerror or cause}")
        self.is_of_the_file = isinstance(cause, PermissionError)
        """Whether it is nothing that a sick disk may bring about."""


class KeyRefused(QueueError, PermanentError):
    """The endpoint does not accept our key; only a person can mend that."""
