"""A name for each request, so that what a caller saw can be found in the log."""

import re
import uuid

from aiohttp import web

from bot.endpoint.problems import Handler
from jobqueue import tracing

HEADER = "X-Request-ID"
TAKEN_OVER = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""Anything else a caller sends is replaced: it goes into logs."""
REQUEST_ID = web.RequestKey("request_id", str)


@web.middleware
async def with_request_id(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request the id it came with, else a new one."""
    token = tracing.request_id.set(request_id(request))
    try:
        return await handler(request)
    finally:
        tracing.request_id.reset(token)


async def put_request_id(request: web.Request, response: web.StreamResponse) -> None:
    """Signal handler: every response carries the id, also those that never passed a middleware."""
    response.headers[HEADER] = request_id(request)


def request_id(request: web.BaseRequest) -> str:
    """The id of the request."""
    known: str | None = request.get(REQUEST_ID)
    if known is None:
        given = request.headers.get(HEADER, "")
        known = request[REQUEST_ID] = given if TAKEN_OVER.fullmatch(given) else uuid.uuid4().hex
    return known
