"""`Expect`: what a caller wants to know before it sends the body."""

from http import HTTPStatus

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.typedefs import Middleware

from bot.endpoint.bodies import refuse_too_long
from bot.endpoint.keys import ServedCalls
from bot.endpoint.problems import Handler, Problem

UNEXPECTED = "of what can be expected, only 100-continue is known"


def expectations(calls: ServedCalls) -> Middleware:
    """Answer it behind the key check, so that nobody sends a body which is refused anyway."""

    @web.middleware
    async def checked(request: web.Request, handler: Handler) -> web.StreamResponse:
        expected = request.headers.get(hdrs.EXPECT)
        call = calls.of(request)
        if not expected or call is None:  # without a call aiohttp has answered already
            return await handler(request)
        if expected.lower() != "100-continue":
            raise Problem(HTTPStatus.EXPECTATION_FAILED, UNEXPECTED)
        if call.body is not None or call.body_by_kind:
            refuse_too_long(request)
        if request.version >= HttpVersion11:
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # else the answer would be taken for begun
        return await handler(request)

    return checked
