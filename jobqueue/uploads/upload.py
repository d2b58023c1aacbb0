"""Upload: what is known of a file that arrives in pieces, as it lies on disk beside its bytes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from jobqueue.job import Json
from jobqueue.wire import moment, timestamp

UPLOAD_ID = re.compile(r"[0-9a-f]{32}")


class UploadState(StrEnum):
    OPEN = "open"  # bytes are still wanted
    STORED = "stored"  # whole, and in its place below files/
    GONE = "gone"  # expired, called off, or spoilt


@dataclass(frozen=True, slots=True)
class Upload:
    """A file on its way into the storage."""

    id: str
    path: str
    """Where below `files/` it goes."""
    length: int | None
    """Bytes it will have; None: not told yet."""
    offset: int
    """Bytes of it that are on disk, durably. What the part file holds beyond them does not count."""
    metadata: str
    """What its sender said of it, word for word."""
    sha256: str | None
    """Hexadecimal digest the whole must have, if its sender named one."""
    state: UploadState
    expires_at: float
    """Unix seconds after which it is forgotten if no byte comes."""
    sender: str = ""
    """Whose share of the open uploads it counts in; empty: nobody's."""

    @property
    def is_whole(self) -> bool:
        return self.offset == self.length


def to_record(upload: Upload) -> dict[str, Json]:
    """The upload as the JSON object that lies on disk."""
    return {
        "upload_id": upload.id,
        "path": upload.path,
        "length": upload.length,
        "offset": upload.offset,
        "metadata": upload.metadata,
        "sha256": upload.sha256,
        "state": upload.state.value,
        "expires_at": timestamp(upload.expires_at),
        "sender": upload.sender,
    }


def from_record(record: Mapping[str, Json]) -> Upload:
    """The upload in a record. Raises: ValueError if it is no record of ours."""
    upload_id, path, metadata = record.get("upload_id"), record.get("path"), record.get("metadata")
    length, offset, sha256 = record.get("length"), record.get("offset"), record.get("sha256")
    if not isinstance(upload_id, str) or UPLOAD_ID.fullmatch(upload_id) is None:
        raise ValueError("no upload id")
    if not isinstance(path, str) or not isinstance(metadata, str):
        raise ValueError("no path or no metadata")
    if not isinstance(offset, int) or not isinstance(length, int | None):
        raise ValueError("offset and length must be whole numbers")
    if offset < 0 or (length is not None and offset > length):
        raise ValueError("the offset is beyond the length")
    sender = record.get("sender", "")
    if not isinstance(sha256, str | None) or not isinstance(sender, str):
        raise ValueError("sha256 and sender must be texts")
    state, expires_at = UploadState(str(record.get("state"))), moment(str(record.get("expires_at")))
    return Upload(upload_id, path, length, offset, metadata, sha256, state, expires_at, sender)
