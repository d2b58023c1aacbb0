"""`audit/YYYY-MM-DD.jsonl`: who changed what through the endpoint, and who was turned away."""

import asyncio
import contextlib
import json
import logging
import os
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Middleware

from bot.endpoint.callers import caller_of
from bot.endpoint.calls import Access, Call
from bot.endpoint.keys import ServedCalls
from bot.endpoint.problems import Handler
from bot.endpoint.request_ids import request_id
from bot.endpoint.wrong_keys import client_address
from jobqueue import durable
from jobqueue.clock import Clock
from jobqueue.disk import in_thread
from jobqueue.job import Json
from jobqueue.wire import timestamp

log = logging.getLogger(__name__)

FOLDER = "audit"
"""Below DATA_DIR: one file per day (UTC), named `YYYY-MM-DD.jsonl`."""
FLUSH_S = 1.0
WAITING_MAX = 50_000
"""Lines kept while the disk cannot take them; the oldest go first."""
READING = frozenset({"GET", "HEAD", "OPTIONS"})
TURNED_AWAY = frozenset({401, 403, 429})
REFUSALS_S = 60.0
"""Refusals of one address are counted for this long, and then make one line."""
ADDRESSES_MAX = 100
"""Addresses that get a line of their own in that time; the rest share one. So a flood of
refusals costs some 30 MB a day, whoever sends it."""
PATH_MAX = 300

ABOUT = web.RequestKey("about", str)


def is_about(request: web.Request, job_id: str) -> None:
    """The request moved a job that its path does not name: note it, also of a call that is not noted else."""
    request[ABOUT] = job_id


@dataclass(slots=True)
class _Refusals:
    """What one caller was refused since `began_at` (monotonic s)."""

    began_at: float
    first: dict[str, Json]
    count: int = 0


class Audit:
    """Collects lines on the loop and appends them in a thread.

    In it: every call that may change something, with its outcome, but for heartbeats, progress and
    claims that brought no job; refusals (401, 403, 429) of any call, counted. What people do in the chat
    stands in the job's own log. A killed process loses the last second of lines, a power cut what the
    disk had not yet written: the log is no part of the queue's promises, and must not slow its disk.
    """

    def __init__(self, data_dir: Path, clock: Clock) -> None:
        self._folder = data_dir / FOLDER
        self._clock = clock
        self._waiting: deque[dict[str, Json]] = deque(maxlen=WAITING_MAX)
        self._refusals: dict[tuple[str, str, int], _Refusals] = {}
        self._is_broken = False

    def middleware(self, calls: ServedCalls) -> Middleware:
        @web.middleware
        async def audited(request: web.Request, handler: Handler) -> web.StreamResponse:
            status: int | None = None  # the caller went away before there was an answer
            try:
                response = await handler(request)
                status = response.status
                return response
            finally:
                if status in TURNED_AWAY:
                    self._count(self._line(request, status), status)
                elif _is_noted(request, calls.of(request)):
                    self._waiting.append(self._line(request, status))

        return audited

    def _line(self, request: web.Request, status: int | None) -> dict[str, Json]:
        line: dict[str, Json] = {
            "at": timestamp(self._clock.now()),
            "request_id": request_id(request),
            "who": caller_of(request).who,
            "address": client_address(request.remote),
            "method": request.method,
            "path": request.path[:PATH_MAX],  # without the query: it may hold a signature
            "status": status,
        }
        about = request.get(ABOUT)
        return line if about is None else line | {"job_id": about}

    def _count(self, line: dict[str, Json], status: int) -> None:
        key = (str(line["address"]), str(line["who"]), status)
        if key not in self._refusals and len(self._refusals) >= ADDRESSES_MAX:
            key = ("others", "", status)
        refusals = self._refusals.setdefault(key, _Refusals(self._clock.monotonic(), line))
        refusals.first["address"] = key[0]
        refusals.count += 1

    async def keep(self, stop: asyncio.Event) -> None:
        """Write down what comes, until `stop`."""
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_S):
                    await stop.wait()
                    return  # what is left is written once the last request has been answered
            await self.flush()

    async def flush(self, *, is_last: bool = False) -> None:
        """Write down what has been collected; refusals once their time is up, or at the end."""
        now = self._clock.monotonic()
        for key, refusals in list(self._refusals.items()):
            if is_last or now - refusals.began_at >= REFUSALS_S:
                del self._refusals[key]
                self._waiting.append(refusals.first | {"count": refusals.count})
        lines = list(self._waiting)
        if not lines:
            return
        try:
            await in_thread(lambda: self._append(lines))
        except OSError as error:
            if not self._is_broken:
                log.error("the audit log cannot be written and waits: %s", error.strerror or error)
            self._is_broken = True
            return
        self._is_broken = False
        for _ in lines:
            self._waiting.popleft()

    def _append(self, lines: Iterable[dict[str, Json]]) -> None:
        durable.make_folder(self._folder)
        days: dict[str, list[str]] = {}
        for line in lines:
            days.setdefault(str(line["at"])[:10], []).append(json.dumps(line, ensure_ascii=False) + "\n")
        for day, texts in days.items():
            _append_to(self._folder / f"{day}.jsonl", "".join(texts).encode(errors="replace"))


def _is_noted(request: web.Request, call: Call | None) -> bool:
    if request.method in READING:
        return False
    if call is None:
        return True
    # What needs no key changes nothing of ours, and anyone could fill the disk with it.
    return call.access is not Access.ANYONE and (call.is_audited or ABOUT in request)


def _append_to(path: Path, data: bytes) -> None:
    """Append whole lines, or none: what a full disk cut short is taken away again. Raises: OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, durable.PRIVATE_FILE)
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        size_bytes = os.fstat(descriptor).st_size
        if size_bytes and os.pread(descriptor, 1, size_bytes - 1) != b"\n":
            data = b"\n" + data  # a process that was killed left half a line
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[file.write(rest) :]
        except OSError:
            file.truncate(size_bytes)
            raise
