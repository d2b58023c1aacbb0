"""The connections of the endpoint: how many, how long one may be silent, and what is said to no HTTP at all.

aiohttp sets no bound to any of these, and logs what it cannot read: scripts, cookies, signatures.
"""

import asyncio
import logging
import traceback
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aiohttp import HttpVersion11, StreamReader, web
from aiohttp.http_exceptions import ContentEncodingError, HttpProcessingError
from aiohttp.web_protocol import ERROR

from bot.endpoint.callers import CALLER
from bot.endpoint.expectations import UNEXPECTED
from bot.endpoint.problems import Handler, Status, problem
from bot.endpoint.request_ids import HEADER, request_id
from bot.endpoint.seldom import Seldom

log = logging.getLogger(__name__)

HEAD_S = 20.0
UNREADABLE = "the request is not HTTP/1.1 as it should be, or its head is too long"
UNKNOWN_ENCODING = "send the body as it is, or with Content-Encoding gzip or deflate"


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one caller may cost."""

    most: int
    """Connections at once."""
    head_s: float = HEAD_S
    """How long a request may take from its first byte (the first one: from the connection) to the end of
    its head, s. Bodies and answers take as long as they take."""


class Connection(web.RequestHandler):
    """One caller's connection."""

    __slots__ = ("_body", "_connections", "_is_answering", "_patience", "_wire")

    def __init__(
        self, connections: "Connections", *, loop: asyncio.AbstractEventLoop, **options: Any
    ) -> None:
        super().__init__(connections, loop=loop, **options)
        self._connections = connections
        self._wire: asyncio.BaseTransport | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._is_answering = False
        self._body: StreamReader | None = None
        """Of the last request."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire = transport
        if not self._connections.admit(self):
            transport.close()
            return
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_waiting()
        self._connections.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        # What follows a whole body, while nothing is being answered, is the beginning of a head.
        is_between = not self._is_answering and (self._body is None or self._body.is_eof())
        if data and is_between and self._patience is None:
            self._wait_for_head()
        super().data_received(data)

    def begin(self, body: StreamReader) -> None:
        """A head is complete."""
        self._stop_waiting()
        self._is_answering = True
        self._body = body

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            self._is_answering = False

    def drop(self) -> None:
        """Hang up at once: what a caller does not fetch must not keep the connection open."""
        if isinstance(self._wire, asyncio.WriteTransport):
            self._wire.abort()

    def keep(self) -> None:
        """Its caller has shown a key: the connection makes room for no other."""
        self._connections.keep(self)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what never reached a handler, or failed outside of all. `message` is not in it."""
        self._tell("a request could not be answered", exc)
        if request.writer.output_size > 0:
            raise ConnectionResetError("the answer broke off")
        if isinstance(exc, ContentEncodingError):
            answer = _refusal(request, HTTPStatus.UNSUPPORTED_MEDIA_TYPE, UNKNOWN_ENCODING)
        elif isinstance(exc, HttpProcessingError):
            answer = _refusal(request, HTTPStatus.BAD_REQUEST, UNREADABLE)
        else:
            answer = _refusal(request, HTTPStatus(status), "the bot failed to answer; its log says why")
        answer.force_close()
        return answer

    def log_exception(self, *args: Any, **kw: Any) -> None:
        self._tell(str(args[0]) if args else "a connection failed", kw.get("exc_info"))

    def _tell(self, what: str, error: object) -> None:
        """Log an error without its text, which may quote what the caller sent."""
        if isinstance(error, HttpProcessingError | web.RequestPayloadError):
            self._connections.tell_unreadable(type(error).__name__)
            return
        trace = "".join(traceback.format_tb(error.__traceback__)) if isinstance(error, BaseException) else ""
        log.error("endpoint: %s: %s\n%s", what, type(error).__name__, trace)

    def _wait_for_head(self) -> None:
        self._patience = self._loop.call_later(self._connections.limits.head_s, self.drop)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


class Connections(web.Server):
    """Makes the connections of an application, and no more than are allowed.

    Of those on which nobody has shown a key yet, the oldest gives way to a new one. So strangers can take
    all places for a moment, but not keep workers out, nor cut off one that is there.
    """

    def __init__(self, application: web.Server, limits: ConnectionLimits, **options: Any) -> None:
        super().__init__(
            _without_exceptions(application.request_handler),
            request_factory=self._request,
            handler_cancellation=application.handler_cancellation,
        )
        self._make = application.request_factory
        self._options = options
        self.limits = limits
        self._open: set[Connection] = set()
        self._strangers: OrderedDict[Connection, None] = OrderedDict()
        self._full, self._unreadable = Seldom(log), Seldom(log)

    def __call__(self) -> Connection:
        return Connection(self, loop=self._loop, **self._options)

    def admit(self, new: Connection) -> bool:
        """Whether there is a place for it, which it then has."""
        if len(self._open) >= self.limits.most:
            self._full.write(
                logging.WARNING,
                "endpoint: %d connections are open, as many as may be: the oldest without a key are closed",
                len(self._open),
            )
            if not self._strangers:
                return False
            oldest, _ = self._strangers.popitem(last=False)
            self._open.discard(oldest)
            oldest.drop()
        self._open.add(new)
        self._strangers[new] = None
        return True

    def keep(self, connection: Connection) -> None:
        """It is of somebody we know."""
        self._strangers.pop(connection, None)

    def forget(self, connection: Connection) -> None:
        """It is closed."""
        self._open.discard(connection)
        self._strangers.pop(connection, None)

    def tell_unreadable(self, why: str) -> None:
        self._unreadable.write(logging.INFO, "endpoint: a request was refused unread: %s", why)

    def _request(
        self, message: Any, payload: StreamReader, protocol: web.RequestHandler, writer: Any, task: Any
    ) -> web.BaseRequest:
        if isinstance(protocol, Connection):
            protocol.begin(payload)
        if message is ERROR:
            message = message._replace(version=HttpVersion11)  # the version we answer in
        return self._make(message, payload, protocol, writer, task)


class ConnectionRunner(web.AppRunner):
    """Runs an application on connections of ours."""

    __slots__ = ("_limits", "_options")

    def __init__(
        self, application: web.Application, limits: ConnectionLimits, *, shutdown_s: float, **options: Any
    ) -> None:
        """`options`: of aiohttp's RequestHandler."""
        # A caller that hangs up in a long wait must not be given a job: its handler is cancelled.
        super().__init__(application, handler_cancellation=True, shutdown_timeout=shutdown_s)
        self._limits = limits
        self._options = options

    async def _make_server(self) -> web.Server:
        return Connections(await super()._make_server(), self._limits, access_log=None, **self._options)


@web.middleware
async def keep_known(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Mark the connections of those the key check knows; stands behind it."""
    if CALLER in request and isinstance(request.protocol, Connection):
        request.protocol.keep()
    return await handler(request)


_Answering = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def _without_exceptions(answer: _Answering) -> _Answering:
    """Paths without a call pass no middleware before aiohttp refuses what they expect, and quotes it."""

    async def answering(request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await answer(request)
        except web.HTTPExpectationFailed:
            return _refusal(request, HTTPStatus.EXPECTATION_FAILED, UNEXPECTED)

    return answering


def _refusal(request: web.BaseRequest, status: Status, detail: str) -> web.Response:
    """Of a request that no middleware has seen."""
    known = request_id(request)
    return problem(status, detail, headers={HEADER: known}, request_id=known)
