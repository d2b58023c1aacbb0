"""`/files`: media in and out, whole or not at all."""

import base64
import binascii
import re
from collections.abc import AsyncIterator
from functools import partial
from http import HTTPStatus

from aiohttp import web

from bot.endpoint.answers import Stored
from bot.endpoint.callers import require_file
from bot.endpoint.calls import Access, Answer, Call, Parameter
from bot.endpoint.downloads import download
from bot.endpoint.problems import Problem
from jobqueue.errors import QueueUnwritable
from jobqueue.storage import FILE_MAX_BYTES, MAX_PATH_BYTES, DirectoryStorage

PIECE_BYTES = 1 << 18
DIGEST = re.compile(r"(?:^|,\s*)sha-256=:([A-Za-z0-9+/=]{44}):")

PATH = Parameter(
    "path",
    "where it lies below files/; a folder with a / at its end: the answer is the sizes of its files",
    {"type": "string", "format": "media-path", "minLength": 1, "maxLength": MAX_PATH_BYTES},
    "path",
)
DIGESTS = (
    Parameter(
        "X-Content-SHA256",
        "what the bytes must come to, in hexadecimal",
        {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"},
        "header",
    ),
    Parameter("Content-Digest", "the same as RFC 9530 has it, as sha-256", {"type": "string"}, "header"),
)
SIGNATURE = (
    Parameter("expires", "of a signed link, in place of a key", {"type": "string"}),
    Parameter("signature", "of a signed link, in place of a key", {"type": "string"}),
)
PARTS = (
    Answer(HTTPStatus.PARTIAL_CONTENT, "the Range that was asked for", "*/*"),
    Answer(HTTPStatus.NOT_MODIFIED, "it is as If-None-Match or If-Modified-Since has it"),
)


class FileRoutes:
    """Uploads and downloads below `files/`; a path that ends in `/` lists a folder."""

    def __init__(self, storage: DirectoryStorage) -> None:
        self._storage = storage

    def calls(self) -> list[Call]:
        return [
            Call(
                "PUT",
                "/files/{path:.+}",
                self.store,
                "Upload a file",
                Access.WORKER,
                body_type="*/*",
                answer=Stored,
                status=HTTPStatus.CREATED,
                refusals=[
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                    HTTPStatus.UNPROCESSABLE_ENTITY,
                ],
                parameters=[PATH, *DIGESTS],
            ),
            Call(
                "GET",
                "/files/{path:.+}",
                self.fetch,
                "Download a file, or list a folder",
                Access.WORKER,
                answer_type="*/*",
                refusals=[HTTPStatus.PRECONDITION_FAILED, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE],
                others=PARTS,
                parameters=[PATH, *SIGNATURE],
            ),
        ]

    async def store(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        self._storage.locate(path)  # refuse a bad path before a byte is read
        require_file(request, path, writing=True)
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the file as it is, not encoded")
        if (request.content_length or 0) > FILE_MAX_BYTES:
            raise _too_large()
        self._storage.admit(request.content_length or 0)
        try:
            size_bytes, digest = await self._storage.receive(
                path,
                _pieces(request),
                sha256=_expected_digest(request),
                # Asked again when the last byte is there: the job may be another's by then.
                confirm=partial(require_file, request, path, writing=True),
            )
        except OSError as error:
            if isinstance(error, ConnectionError):
                raise
            raise QueueUnwritable(f"the file cannot be written: {error.strerror or error}") from error
        return web.json_response(
            {"path": path, "size_bytes": size_bytes, "sha256": digest.hex()}, status=HTTPStatus.CREATED
        )

    async def fetch(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        require_file(request, path.removesuffix("/"), writing=False)
        if path.endswith("/"):
            return web.json_response({"files": await self._storage.listing(path.removesuffix("/"))})
        return await download(request, self._storage.locate(path), path)


async def _pieces(request: web.Request) -> AsyncIterator[bytes]:
    """The body as it arrives, bounded: aiohttp's own limit does not hold for streams."""
    received = 0
    try:
        async for piece in request.content.iter_chunked(PIECE_BYTES):
            received += len(piece)
            if received > FILE_MAX_BYTES:
                raise _too_large()
            yield piece
    except web.RequestPayloadError as error:
        raise ConnectionResetError("the upload broke off") from error
    if request.content_length is not None and received != request.content_length:
        raise Problem(HTTPStatus.BAD_REQUEST, "fewer bytes arrived than Content-Length announced")


def _expected_digest(request: web.Request) -> bytes | None:
    """The SHA-256 the caller names: RFC 9530 `Content-Digest`, or `X-Content-SHA256` in hexadecimal."""
    plain, standard = request.headers.get("X-Content-SHA256"), request.headers.get("Content-Digest")
    try:
        if plain is not None:
            digest = bytes.fromhex(plain.strip())
        elif standard is not None and "sha-256" in standard:
            found = DIGEST.search(standard)
            digest = base64.b64decode(found[1], validate=True) if found else b""
        else:
            return None
    except (ValueError, binascii.Error):
        digest = b""
    if len(digest) != 32:
        raise Problem(HTTPStatus.BAD_REQUEST, "the SHA-256 of the upload is malformed")
    return digest


def _too_large() -> Problem:
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a file may have {FILE_MAX_BYTES} bytes at most")
