"""What the headers of tus 1.0 say (https://tus.io/protocols/resumable-upload), read strictly."""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

from aiohttp import web

from bot.endpoint.problems import Problem
from jobqueue.uploads.inflow import ALGORITHMS, Checksum
from jobqueue.uploads.upload import Upload, UploadState

VERSION = "1.0.0"
EXTENSIONS = (
    "creation",
    "creation-with-upload",
    "creation-defer-length",
    "checksum",
    "expiration",
    "termination",
)
PIECE_TYPE = "application/offset+octet-stream"
METADATA_MAX = 4096
KEY = re.compile(r"[!-+\--~]+")
"""Of the metadata: visible ASCII but the comma."""
SHA256 = re.compile(r"[0-9a-fA-F]{64}")
WHOLE = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Announcement:
    """What the request that begins an upload says of the file."""

    length: int | None
    path: str
    sha256: str | None
    metadata: str
    """As it was sent: whoever asks later gets it back."""


def announcement(request: web.Request) -> Announcement:
    """Raises: Problem."""
    length, deferred = whole_number(request, "Upload-Length"), request.headers.get("Upload-Defer-Length")
    if (length is None) == (deferred is None) or deferred not in (None, "1"):
        raise _malformed(
            "say how long the file is in Upload-Length, or Upload-Defer-Length: 1 to say it later"
        )
    text = request.headers.get("Upload-Metadata", "").strip()
    told = metadata(text)
    path = told.get("path") or told.get("filename")  # the name that most clients give it
    if not path:
        raise _malformed("name the file's place below files/ as `path` in Upload-Metadata, in base64")
    sha256 = told.get("sha256")
    if sha256 is not None and SHA256.fullmatch(sha256) is None:
        raise _malformed("`sha256` in Upload-Metadata must be 64 hexadecimal digits, in base64")
    return Announcement(length, path, sha256.lower() if sha256 is not None else None, text)


def metadata(text: str) -> dict[str, str]:
    """The pairs in Upload-Metadata; a value that is no text is left out. Raises: Problem."""
    found: dict[str, str] = {}
    if len(text) > METADATA_MAX:
        raise _malformed(f"Upload-Metadata may have {METADATA_MAX} characters at most")
    for pair in text.split(",") if text else ():
        key, _, value = pair.strip().partition(" ")
        if KEY.fullmatch(key) is None or key in found:
            raise _malformed("the keys in Upload-Metadata must be visible ASCII, each used once")
        try:
            found[key] = base64.b64decode(value.strip(), validate=True).decode()
        except UnicodeDecodeError:
            found[key] = ""
        except (binascii.Error, ValueError):
            raise _malformed(f"the value of {key} in Upload-Metadata is not base64") from None
    return found


def checksum(request: web.Request) -> Checksum | None:
    """Raises: Problem."""
    text = request.headers.get("Upload-Checksum")
    if text is None:
        return None
    algorithm, _, digest = text.strip().partition(" ")
    if algorithm not in ALGORITHMS:
        raise _malformed(f"Upload-Checksum may be one of {', '.join(ALGORITHMS)}")
    try:
        given = Checksum(algorithm, base64.b64decode(digest.strip(), validate=True))
    except (binascii.Error, ValueError):
        given = None
    if given is None or len(given.digest) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
        raise _malformed("Upload-Checksum must be the algorithm, a space, and the digest in base64")
    return given


def whole_number(request: web.Request, name: str) -> int | None:
    """Raises: Problem."""
    text = request.headers.get(name)
    if text is None:
        return None
    if WHOLE.fullmatch(text.strip()) is None:
        raise _malformed(f"{name} must be a whole number")
    return int(text)


def require_piece(request: web.Request) -> None:
    """Raises: Problem unless the body is a piece of the file as it is."""
    if request.content_type != PIECE_TYPE or "Content-Encoding" in request.headers:
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send the bytes as they are, with Content-Type: {PIECE_TYPE}"
        )


def require_version(request: web.Request) -> None:
    """Raises: Problem."""
    if request.headers.get("Tus-Resumable") != VERSION:
        raise Problem(
            HTTPStatus.PRECONDITION_FAILED,
            f"this is tus {VERSION}: send the header Tus-Resumable: {VERSION}",
            headers={"Tus-Version": VERSION},
        )


def headers(upload: Upload) -> dict[str, str]:
    """How far the upload is, and until when it waits."""
    told = {"Upload-Offset": str(upload.offset)}
    if upload.state is UploadState.OPEN:
        told["Upload-Expires"] = formatdate(upload.expires_at, usegmt=True)
    return told


def description(upload: Upload) -> dict[str, str]:
    """What was said of the file when the upload began."""
    told = {"Upload-Metadata": upload.metadata} if upload.metadata else {}
    told |= {"Upload-Defer-Length": "1"} if upload.length is None else {"Upload-Length": str(upload.length)}
    return told


def _malformed(detail: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, detail)
