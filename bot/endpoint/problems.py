"""Every refusal as RFC 9457 `application/problem+json`: what is wrong, in one sentence."""

import json
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from jobqueue.errors import (
    ChecksumMismatch,
    InvalidTransition,
    JobExists,
    JobInvalid,
    JobNotFound,
    LeaseLost,
    MediaMissing,
    PathRefused,
    QueueError,
    QueueUnwritable,
)
from jobqueue.job import Json

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

STATUS: dict[type[QueueError], HTTPStatus] = {
    JobInvalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    ChecksumMismatch: HTTPStatus.UNPROCESSABLE_ENTITY,
    PathRefused: HTTPStatus.BAD_REQUEST,
    JobNotFound: HTTPStatus.NOT_FOUND,
    MediaMissing: HTTPStatus.NOT_FOUND,
    JobExists: HTTPStatus.CONFLICT,
    LeaseLost: HTTPStatus.CONFLICT,
    InvalidTransition: HTTPStatus.CONFLICT,
    QueueUnwritable: HTTPStatus.SERVICE_UNAVAILABLE,
}
RETRY_AFTER_S = 30


class Problem(Exception):
    """A request that is refused."""

    def __init__(self, status: HTTPStatus, detail: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}


def problem(
    status: HTTPStatus, detail: str, *, headers: dict[str, str] | None = None, **more: Json
) -> web.Response:
    """The answer that says so."""
    body: dict[str, Json] = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
    }
    return web.Response(
        status=status, text=json.dumps(body | more), content_type="application/problem+json", headers=headers
    )


@web.middleware
async def as_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer errors in words; what nobody foresaw is logged here, and only here."""
    try:
        return await handler(request)
    except Problem as error:
        return problem(error.status, error.detail, headers=error.headers)
    except JobInvalid as error:
        return problem(STATUS[JobInvalid], str(error), errors=dict(error.fields))
    except QueueError as error:
        status = STATUS.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR)
        retry = {"Retry-After": str(RETRY_AFTER_S)} if status is HTTPStatus.SERVICE_UNAVAILABLE else None
        return problem(status, str(error), headers=retry)
    except web.HTTPException as error:
        kept = {name: value for name, value in error.headers.items() if name in ("Allow", "Location")}
        return problem(HTTPStatus(error.status), error.text or error.reason, headers=kept)
    except ConnectionError:
        raise  # the caller has gone; there is nobody to answer
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the bot failed to answer; its log says why")
