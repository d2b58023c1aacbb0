"""`/events`: every move of every job as server-sent events, at each reader's own pace."""

import asyncio
import contextlib
import json
import logging
import socket
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from bot.endpoint.calls import Call, Parameter
from bot.endpoint.problems import Problem
from jobqueue.feed import Change
from jobqueue.history import Entry, History
from jobqueue.job import JOB_ID, Json, Kind
from jobqueue.wire import timestamp

log = logging.getLogger(__name__)

RETRY_MS = 3000
"""How long a reader whose stream broke waits before it comes again."""
BATCH = 100
"""Events written at once; between two batches all others have their turn."""
UNSENT_MAX_BYTES = 1 << 16
"""What the process, and again what the kernel, keeps for a reader that does not take it."""
FULL_RETRY_S = 30
HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # nginx would keep events back until it has a bufferful
}


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """How much a reader may cost."""

    readers: int = 100
    keep_alive_s: float = 15
    """A stream is never silent for longer, so that proxies keep it open."""
    patience_s: float = 30
    """A reader that takes nothing for so long is cut off."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which changes a reader asked for; None means any."""

    kind: Kind | None
    job_id: str | None

    def has(self, change: Change) -> bool:
        return self.kind in (None, change.kind) and self.job_id in (None, change.job_id)


class ReaderStuck(Exception):
    """A reader does not take what it is sent."""


class EventRoutes:
    """The stream of events. Publishing never waits for it: readers fetch from the history by themselves."""

    def __init__(self, history: History, limits: StreamLimits | None = None) -> None:
        self._history = history
        self._limits = limits or StreamLimits()
        self._readers: set[_Reader] = set()
        self._is_closing = False

    @property
    def readers(self) -> int:
        """How many streams are open."""
        return len(self._readers)

    def calls(self) -> list[Call]:
        return [
            Call(
                "GET",
                "/events",
                self.stream,
                "Every move and progress of every job, as server-sent events",
                answer_type="text/event-stream",
                refusals=(HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE),
                parameters=(
                    Parameter("type", "only jobs of this kind", {"enum": [kind.value for kind in Kind]}),
                    Parameter("job", "only this job", {"type": "string", "pattern": f"^{JOB_ID.pattern}$"}),
                    Parameter(
                        "Last-Event-ID",
                        "the last event that arrived: those since then come first, or the event `reset`, "
                        "if they are not kept any more: then ask for the lists anew",
                        {"type": "string"},
                        place="header",
                    ),
                ),
            )
        ]

    def close(self) -> None:
        """End all streams at once."""
        self._is_closing = True
        self._history.wake()
        for reader in self._readers:
            if reader.transport.get_write_buffer_size():
                reader.transport.abort()  # nobody shall wait for one that does not take what it is sent

    async def stream(self, request: web.Request) -> web.StreamResponse:
        wanted, seen = _wanted(request), request.headers.get("Last-Event-ID")
        response = web.StreamResponse(headers=HEADERS)
        if request.method == "HEAD":
            return response
        if request.transport is None:
            raise ConnectionResetError("the caller has gone")
        if self._is_closing:
            raise _not_now("the bot is stopping")
        if self.readers >= self._limits.readers:
            raise _not_now(f"{self.readers} programs read the events already")
        reader = _Reader(response, request.transport, wanted)
        self._readers.add(reader)
        try:
            await response.prepare(request)
            await self._follow(reader, self._history.last if seen is None else self._history.number_of(seen))
        except (ReaderStuck, TimeoutError):
            log.info("events: a reader took nothing for too long and was cut off")
            reader.transport.abort()
        except ConnectionError:
            pass  # it has gone
        finally:
            self._readers.discard(reader)
        return response

    async def _follow(self, reader: "_Reader", seen: int | None) -> None:
        """Send what came after `seen`, and what comes."""
        # The id at once: a reader that loses its stream before the first event misses nothing.
        await self._send(reader, f"retry: {RETRY_MS}\n".encode() + self._mark(seen))
        while not self._is_closing:
            entries = None if seen is None else self._history.after(seen, limit=BATCH)
            if entries is None or seen is None:
                seen = self._history.last
                await self._send(reader, self._reset())
            elif entries:
                seen = entries[-1].number
                frames = (self._frame(entry) for entry in entries if reader.wanted.has(entry.change))
                await self._send(reader, b"".join(frames))
            else:
                await self._wait(reader, seen)

    async def _wait(self, reader: "_Reader", seen: int) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.keep_alive_s):
                return await self._history.more(seen)
        if reader.transport.get_write_buffer_size():
            raise ReaderStuck  # what was sent before this silence has not even left us
        await self._send(reader, b": still here\n" + self._mark(seen))
        return None

    async def _send(self, reader: "_Reader", data: bytes) -> None:
        """Raises: TimeoutError if the reader makes no room for it in time; ConnectionError if it has gone."""
        async with asyncio.timeout(self._limits.patience_s):
            await reader.response.write(data)
        await asyncio.sleep(0)

    def _frame(self, entry: Entry) -> bytes:
        if entry.frame is None:
            data = json.dumps(_told(entry), ensure_ascii=False)
            entry.frame = f"id: {self._history.id_of(entry.number)}\ndata: {data}\n\n".encode(
                errors="replace"
            )
        return entry.frame

    def _mark(self, seen: int | None) -> bytes:
        """Lets the reader know how far it is, without an event."""
        return b"\n" if seen is None else f"id: {self._history.id_of(seen)}\n\n".encode()

    def _reset(self) -> bytes:
        why = json.dumps({"reason": "some events are not kept any more: ask for the lists anew"})
        return f"event: reset\nid: {self._history.id_of(self._history.last)}\ndata: {why}\n\n".encode()


class _Reader:
    """One open stream."""

    def __init__(self, response: web.StreamResponse, transport: asyncio.Transport, wanted: Wanted) -> None:
        self.response = response
        self.transport = transport
        self.wanted = wanted
        transport.set_write_buffer_limits(UNSENT_MAX_BYTES)
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNSENT_MAX_BYTES)
        # After a stream the connection is good for nothing else.
        response.force_close()


def _not_now(why: str) -> Problem:
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, why, headers={"Retry-After": str(FULL_RETRY_S)})


def _wanted(request: web.Request) -> Wanted:
    kind, job_id = request.query.get("type"), request.query.get("job")
    try:
        return Wanted(None if kind is None else Kind(kind), job_id)
    except ValueError:
        raise Problem(HTTPStatus.BAD_REQUEST, f"type must be one of {', '.join(Kind)}") from None


def _told(entry: Entry) -> dict[str, Json]:
    """An event as readers see it."""
    change, progress = entry.change, entry.change.progress
    told: dict[str, Json] = {
        "kind": change.kind,
        "job_id": change.job_id,
        "state": change.state,
        "event": change.what,
        "at": timestamp(entry.at),
    }
    told |= {name: value for name in ("worker_id", "channel") if (value := getattr(change, name))}
    if progress is not None:
        known: dict[str, Json] = {
            "percent": progress.percent,
            "message": progress.message,
            "chunk": progress.chunk,
            "chunks": progress.chunks,
        }
        told |= {name: value for name, value in known.items() if value is not None}
    return told
