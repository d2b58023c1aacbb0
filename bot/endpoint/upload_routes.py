"""`/uploads`: tus 1.0, uploads that go on where they broke off."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from functools import partial
from http import HTTPStatus

from aiohttp import web

from bot.endpoint import tus
from bot.endpoint.callers import require_file, share_of
from bot.endpoint.calls import Access, Call, Parameter
from bot.endpoint.problems import Handler, Problem, Status, TusStatus, as_problems
from jobqueue.errors import OffsetMismatch, QueueError
from jobqueue.storage import FILE_MAX_BYTES, Confirm
from jobqueue.uploads.inflow import ALGORITHMS
from jobqueue.uploads.upload import Upload
from jobqueue.uploads.uploads import Uploads

PIECE_BYTES = 1 << 18
UPLOADS = "/uploads/"
UPLOAD = "/uploads/{upload_id}"
VERSION_HEADER = Parameter(
    "Tus-Resumable", "the protocol's version", {"const": tus.VERSION}, "header", required=True
)
NUMBER = {"type": "string", "pattern": "^[0-9]{1,18}$"}
LENGTH = Parameter("Upload-Length", "bytes of the whole file", NUMBER, "header")
DEFERRED = Parameter(
    "Upload-Defer-Length", "instead of Upload-Length: it comes with a later piece", {"const": "1"}, "header"
)
METADATA = Parameter(
    "Upload-Metadata",
    "`path`: where below files/ the file goes (or `filename`); `sha256`: hexadecimal, of the whole; "
    "each a key, a space and the value in base64, joined by commas",
    {"type": "string", "minLength": 6, "maxLength": tus.METADATA_MAX},
    "header",
    required=True,
)
OFFSET = Parameter("Upload-Offset", "where the piece goes", NUMBER, "header", required=True)
CHECKSUM = Parameter(
    "Upload-Checksum",
    f"of the piece: one of {', '.join(ALGORITHMS)}, a space and the digest in base64",
    {"type": "string", "pattern": f"^({'|'.join(ALGORITHMS)}) [A-Za-z0-9+/]+={{0,2}}$"},
    "header",
)
OVERRIDE = Parameter(
    "X-HTTP-Method-Override",
    "the method it stands for",
    {"enum": ["PATCH", "DELETE", "HEAD"]},
    "header",
    required=True,
)
PROGRESS = {"Upload-Offset": "bytes that are safe", "Upload-Expires": "until when the next byte must come"}
OF_BYTES: Sequence[Status] = (
    HTTPStatus.PRECONDITION_FAILED,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    TusStatus.CHECKSUM_MISMATCH,
)
OF_AN_UPLOAD: Sequence[Status] = (HTTPStatus.PRECONDITION_FAILED, HTTPStatus.GONE, HTTPStatus.LOCKED)


class UploadRoutes:
    """Files in pieces, over as many connections as it takes."""

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads

    def calls(self) -> list[Call]:
        add = _spoken(self.add_to_upload)
        return [
            Call(
                "OPTIONS",
                UPLOADS,
                self.tus_options,
                "What this server can do with uploads",
                Access.WORKER,
                status=HTTPStatus.NO_CONTENT,
                answer_headers={"Tus-Version": "", "Tus-Extension": "", "Tus-Max-Size": "bytes"},
            ),
            Call(
                "POST",
                UPLOADS,
                _spoken(self.create_upload),
                "Begin an upload, perhaps with its first bytes",
                Access.WORKER,
                status=HTTPStatus.CREATED,
                refusals=OF_BYTES,
                parameters=[VERSION_HEADER, LENGTH, DEFERRED, METADATA, CHECKSUM],
                answer_headers={"Location": "the upload", **PROGRESS},
            ),
            Call(
                "HEAD",
                UPLOAD,
                _spoken(self.upload_offset),
                "How far an upload is",
                Access.WORKER,
                refusals=OF_AN_UPLOAD,
                parameters=[VERSION_HEADER],
                answer_headers={"Upload-Length": "bytes", "Upload-Metadata": "as it was sent", **PROGRESS},
            ),
            Call(
                "PATCH",
                UPLOAD,
                add,
                "Go on with an upload",
                Access.WORKER,
                status=HTTPStatus.NO_CONTENT,
                refusals=[*OF_BYTES, *OF_AN_UPLOAD, HTTPStatus.CONFLICT],
                parameters=[VERSION_HEADER, OFFSET, LENGTH, CHECKSUM],
                body_type=tus.PIECE_TYPE,
                answer_headers=PROGRESS,
            ),
            Call(
                "DELETE",
                UPLOAD,
                _spoken(self.end_upload),
                "Call an upload off",
                Access.WORKER,
                status=HTTPStatus.NO_CONTENT,
                refusals=OF_AN_UPLOAD,
                parameters=[VERSION_HEADER],
            ),
            Call(
                "POST",
                UPLOAD,
                _spoken(self.upload_by_post),
                "PATCH, HEAD or DELETE for clients that cannot send these",
                Access.WORKER,
                status=HTTPStatus.NO_CONTENT,
                refusals=[*OF_BYTES, *OF_AN_UPLOAD, HTTPStatus.CONFLICT, HTTPStatus.METHOD_NOT_ALLOWED],
                parameters=[VERSION_HEADER, OVERRIDE, OFFSET, LENGTH, CHECKSUM],
                body_type=tus.PIECE_TYPE,
                answer_headers=PROGRESS,
            ),
        ]

    async def tus_options(self, _request: web.Request) -> web.Response:
        return web.Response(
            status=HTTPStatus.NO_CONTENT,
            headers={
                "Tus-Resumable": tus.VERSION,
                "Tus-Version": tus.VERSION,
                "Tus-Extension": ",".join(tus.EXTENSIONS),
                "Tus-Max-Size": str(FILE_MAX_BYTES),
                "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
            },
        )

    async def create_upload(self, request: web.Request) -> web.Response:
        told = tus.announcement(request)
        require_file(request, told.path, writing=True)
        if request.body_exists:
            tus.require_piece(request)
        checksum = tus.checksum(request)
        upload = await self._uploads.create(
            told.path,
            length=told.length,
            metadata=told.metadata,
            sha256=told.sha256,
            sender=share_of(request),
            confirm=_still_may_write(request, told.path),
        )
        if request.body_exists:
            try:
                upload = await self._uploads.append(
                    upload.id,
                    0,
                    _pieces(request),
                    announced=request.content_length,
                    checksum=checksum,
                    confirm=_still_may_write(request, upload.path),
                )
            except BaseException:
                # Its sender never learns the address: nobody could go on with it.
                with contextlib.suppress(QueueError):
                    await self._uploads.end(upload.id)
                raise
        headers = {"Location": f"{UPLOADS}{upload.id}", **tus.headers(upload)}
        return web.Response(status=HTTPStatus.CREATED, headers=headers)

    async def upload_offset(self, request: web.Request) -> web.Response:
        upload = self._addressed(request)
        upload = await self._uploads.look(upload.id, confirm=_still_may_write(request, upload.path))
        return web.Response(
            headers={**tus.headers(upload), **tus.description(upload), "Cache-Control": "no-store"}
        )

    async def add_to_upload(self, request: web.Request) -> web.Response:
        upload = self._addressed(request)
        tus.require_piece(request)
        offset = tus.whole_number(request, "Upload-Offset")
        if offset is None:
            raise Problem(HTTPStatus.BAD_REQUEST, "say in Upload-Offset where the piece goes")
        upload = await self._uploads.append(
            upload.id,
            offset,
            _pieces(request),
            length=tus.whole_number(request, "Upload-Length"),
            announced=request.content_length,
            checksum=tus.checksum(request),
            confirm=_still_may_write(request, upload.path),
        )
        return _progress(upload)

    async def end_upload(self, request: web.Request) -> web.Response:
        await self._uploads.end(self._addressed(request).id)
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def upload_by_post(self, request: web.Request) -> web.Response:
        match request.headers.get("X-HTTP-Method-Override"):
            case "PATCH":
                return await self.add_to_upload(request)
            case "DELETE":
                return await self.end_upload(request)
            case "HEAD":
                answer = await self.upload_offset(request)
                answer.set_status(HTTPStatus.NO_CONTENT)
                return answer
        raise Problem(
            HTTPStatus.METHOD_NOT_ALLOWED,
            "name PATCH, HEAD or DELETE in X-HTTP-Method-Override, or use these methods",
            headers={"Allow": "HEAD, PATCH, DELETE"},
        )

    def _addressed(self, request: web.Request) -> Upload:
        """The upload, which must be one that the caller may write. Raises: Problem, QueueError."""
        upload = self._uploads.find(request.match_info["upload_id"])
        require_file(request, upload.path, writing=True)
        return upload


def _still_may_write(request: web.Request, path: str) -> Confirm:
    """The caller's right, asked for again when the last byte is there: its job may be another's by then."""
    return partial(require_file, request, path, writing=True)


def _progress(upload: Upload) -> web.Response:
    return web.Response(status=HTTPStatus.NO_CONTENT, headers=tus.headers(upload))


def _spoken(handler: Handler) -> Handler:
    """The handler, speaking the protocol: its version is asked for, and named in every answer."""

    async def checked(request: web.Request) -> web.StreamResponse:
        tus.require_version(request)
        try:
            return await handler(request)
        except TimeoutError:
            raise Problem(HTTPStatus.REQUEST_TIMEOUT, "no byte came for too long: go on later") from None
        except OffsetMismatch as error:
            where = {"Upload-Offset": str(error.offset)}
            raise Problem(HTTPStatus.CONFLICT, str(error), headers=where) from None

    async def spoken(request: web.Request) -> web.StreamResponse:
        answer = await as_problems(request, checked)
        answer.headers["Tus-Resumable"] = tus.VERSION
        if request.method in ("GET", "HEAD"):
            answer.headers["Cache-Control"] = "no-store"
        return answer

    spoken.__name__ = handler.__name__
    return spoken


async def _pieces(request: web.Request) -> AsyncIterator[bytes]:
    """The body as it arrives. Raises: ConnectionResetError if it broke off."""
    received = 0
    try:
        async for piece in request.content.iter_chunked(PIECE_BYTES):
            received += len(piece)
            yield piece
    except web.RequestPayloadError as error:
        raise ConnectionResetError("the upload broke off") from error
    if request.content_length is not None and received != request.content_length:
        raise ConnectionResetError("the upload broke off")
