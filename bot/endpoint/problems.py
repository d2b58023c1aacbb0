"""Every refusal as RFC 9457 `application/problem+json`: what is wrong, in one sentence."""

import json
import logging
from collections.abc import Awaitable, Callable
from enum import IntEnum
from http import HTTPStatus
from typing import TypeAlias

from aiohttp import web

from jobqueue import tracing
from jobqueue.errors import (
    ChecksumMismatch,
    InvalidTransition,
    JobExists,
    JobInvalid,
    JobNotFound,
    JobUnreadable,
    LeaseLost,
    MediaMissing,
    OffsetMismatch,
    PathRefused,
    PieceDamaged,
    QueueError,
    QueueUnwritable,
    TooManyUploads,
    UploadGone,
    UploadLocked,
    UploadNotFound,
    UploadTooLong,
)
from jobqueue.job import Json

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class TusStatus(IntEnum):
    """What the tus protocol answers with and HTTP does not know."""

    CHECKSUM_MISMATCH = 460

    @property
    def phrase(self) -> str:
        return "Checksum Mismatch"


Status: TypeAlias = HTTPStatus | TusStatus

STATUS: dict[type[QueueError], Status] = {
    JobInvalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    ChecksumMismatch: HTTPStatus.UNPROCESSABLE_ENTITY,
    PathRefused: HTTPStatus.BAD_REQUEST,
    JobNotFound: HTTPStatus.NOT_FOUND,
    MediaMissing: HTTPStatus.NOT_FOUND,
    JobExists: HTTPStatus.CONFLICT,
    LeaseLost: HTTPStatus.CONFLICT,
    InvalidTransition: HTTPStatus.CONFLICT,
    UploadNotFound: HTTPStatus.NOT_FOUND,
    UploadGone: HTTPStatus.GONE,
    UploadLocked: HTTPStatus.LOCKED,
    OffsetMismatch: HTTPStatus.CONFLICT,
    UploadTooLong: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    TooManyUploads: HTTPStatus.TOO_MANY_REQUESTS,
    PieceDamaged: TusStatus.CHECKSUM_MISMATCH,
    QueueUnwritable: HTTPStatus.SERVICE_UNAVAILABLE,
    JobUnreadable: HTTPStatus.SERVICE_UNAVAILABLE,
}
RETRY_AFTER_S = 30
PASSING = (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS)


class Problem(Exception):
    """A request that is refused."""

    def __init__(self, status: Status, detail: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}


def problem(
    status: Status, detail: str, *, headers: dict[str, str] | None = None, **more: Json
) -> web.Response:
    """The answer that says so."""
    body: dict[str, Json] = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "request_id": tracing.request_id.get(),
    }
    return web.Response(
        status=status,
        reason=status.phrase,
        text=json.dumps(body | more),
        content_type="application/problem+json",
        headers=headers,
    )


@web.middleware
async def as_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer errors in words; what nobody foresaw is logged here, and only here."""
    try:
        return await handler(request)
    except ConnectionError:
        raise  # the caller has gone; there is nobody to answer
    except Exception as error:
        refusal = _refusal(error)
        if refusal.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            log.exception("%s %s failed", request.method, request.path)
        if request.writer.output_size:
            # Half of another answer is out. A second one behind it would be read as part of the first.
            raise ConnectionResetError("the answer broke off") from error
        return refusal


def _refusal(error: Exception) -> web.Response:
    """The answer to a request that ended in this error."""
    match error:
        case Problem():
            return problem(error.status, error.detail, headers=error.headers)
        case JobInvalid():
            return problem(STATUS[JobInvalid], str(error), errors=dict(error.fields))
        case QueueError():
            status = STATUS.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR)
            retry = {"Retry-After": str(RETRY_AFTER_S)} if status in PASSING else None
            return problem(status, str(error), headers=retry)
        case web.HTTPException():
            kept = {name: value for name, value in error.headers.items() if name in ("Allow", "Location")}
            return problem(HTTPStatus(error.status), error.text or error.reason, headers=kept)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the bot failed to answer; its log says why")
