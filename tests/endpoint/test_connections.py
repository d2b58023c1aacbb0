"""Callers that say nothing, too much, or no HTTP: they cost the others nothing, and the log stays clean."""

import asyncio
import errno
import json
import logging
import resource
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from bot.endpoint import descriptors
from bot.endpoint.connections import ConnectionLimits, ConnectionRunner
from bot.endpoint.seldom import FewAcceptErrors, Seldom
from bot.publishing.links import SignedLinks
from jobqueue.directory import DirectoryQueue
from tests.clock import FakeClock
from tests.endpoint.conftest import KEY, Server, served

HEAD_S = 0.4
HALF_A_HEAD = b"GET /health HTTP/1.1\r\nHost: x\r\nX-Half: "
AS_OWNER = f"Host: x\r\nX-API-Key: {KEY}\r\n"
SECRET = "once-upon-a-time"
HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
STATS = f"GET /queue/audio/stats HTTP/1.1\r\n{AS_OWNER}\r\n".encode()


class Wire:
    """A connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def answer(self) -> tuple[str, bytes]:
        """The next answer: its head and its body."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            (
                int(line.split(":")[1])
                for line in head.splitlines()
                if line.lower().startswith("content-length:")
            ),
            0,
        )
        return head, await self._reader.readexactly(length)

    async def status(self, request: bytes) -> int:
        self.send(request)
        head, _ = await self.answer()
        return int(head.split()[1])

    async def is_closed(self, *, within_s: float) -> bool:
        """Whether the endpoint hangs up, after no more answers."""
        try:
            async with asyncio.timeout(within_s):
                return await self._reader.read(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def close(self) -> None:
        self._writer.close()


@asynccontextmanager
async def wires(server: Server, count: int = 1) -> AsyncIterator[list[Wire]]:
    opened = [Wire(*await asyncio.open_connection(server.host, server.port)) for _ in range(count)]
    try:
        yield opened
    finally:
        for wire in opened:
            wire.close()


@pytest.fixture
async def impatient(queue: DirectoryQueue, links: SignedLinks, clock: FakeClock) -> AsyncIterator[Server]:
    async with served(queue, links, clock, ConnectionLimits(100, HEAD_S)) as server:
        yield server


@pytest.fixture
async def small(queue: DirectoryQueue, links: SignedLinks, clock: FakeClock) -> AsyncIterator[Server]:
    async with served(queue, links, clock, ConnectionLimits(4)) as server:
        yield server


# --- silence


async def test_who_does_not_ask_is_hung_up_on(impatient: Server) -> None:
    async with wires(impatient, 3) as (silent, half, later):
        half.send(HALF_A_HEAD)
        assert await later.status(HEALTH) == 200
        later.send(HALF_A_HEAD)
        for wire in (silent, half, later):
            assert await wire.is_closed(within_s=5)


async def test_between_two_requests_a_caller_may_be_silent(impatient: Server) -> None:
    async with wires(impatient) as (wire,):
        assert await wire.status(HEALTH) == 200
        assert not await wire.is_closed(within_s=2 * HEAD_S)
        assert await wire.status(HEALTH) == 200


async def test_a_slow_upload_and_a_long_poll_are_waited_for(impatient: Server, queue: DirectoryQueue) -> None:
    async with wires(impatient, 2) as (upload, poll):
        body = b'{"worker_id": "gpu-1", "wait": 30}'
        head = f"POST /queue/audio/claim HTTP/1.1\r\n{AS_OWNER}Content-Type: application/json\r\n"
        poll.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        upload.send(f"PUT /files/a/b.wav HTTP/1.1\r\n{AS_OWNER}Content-Length: 4\r\n\r\n".encode())
        for piece in (b"a", b"b", b"c"):
            upload.send(piece)
            assert not await upload.is_closed(within_s=HEAD_S * 0.8)
        assert await upload.status(b"d") == 201
        queue.dismiss_waiting()
        head, _ = await poll.answer()
        assert head.startswith("HTTP/1.1 200")


# --- crowds


async def test_a_crowd_without_a_key_does_not_keep_a_worker_out(
    small: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async with wires(small) as (worker,):
        assert await worker.status(STATS) == 200
        async with wires(small, 40) as crowd:
            assert await crowd[0].is_closed(within_s=5)
            assert await worker.status(STATS) == 200  # it was there before
            async with wires(small) as (newcomer,):
                assert await newcomer.status(STATS) == 200
            open_ones = [wire for wire in crowd if not await wire.is_closed(within_s=0.01)]
            assert len(open_ones) <= 3
    told = [record for record in caplog.records if "as many as may be" in record.message]
    assert len(told) == 1


async def test_where_everybody_has_a_key_the_last_one_is_turned_away(small: Server) -> None:
    async with wires(small, 4) as workers:
        for worker in workers:
            assert await worker.status(STATS) == 200
        async with wires(small) as (late,):
            assert await late.is_closed(within_s=5)
        for worker in workers:
            assert await worker.status(STATS) == 200
        workers[0].close()
        await asyncio.sleep(0.05)
        async with wires(small) as (next_one,):
            assert await next_one.status(STATS) == 200


def test_the_limit_of_descriptors_is_raised_and_leaves_some_for_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2300:
        pytest.skip("this machine does not allow as many")
    code = (
        "import resource; from bot.endpoint import descriptors as d\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))\n"
        "before = d.connections_max(); d.raise_limit(); print(before, d.connections_max())"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["824", "2000"]


def test_a_low_hard_limit_is_lived_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    descriptors.raise_limit()
    assert descriptors.connections_max() == 128


def test_failures_to_accept_are_told_once_a_minute(clock: FakeClock) -> None:
    few = FewAcceptErrors(clock.monotonic)

    def record(error: Exception) -> logging.LogRecord:
        info = (type(error), error, None)
        return logging.LogRecord("asyncio", logging.ERROR, "", 0, "no accept()", None, info)

    full = record(OSError(errno.EMFILE, "Too many open files"))
    assert [few.filter(full) for _ in range(3)] == [True, False, False]
    clock.advance(61)
    assert few.filter(full)
    other = record(ValueError("a real error"))
    assert few.filter(other) and few.filter(other)


def test_a_seldom_line_tells_how_many_were_held_back(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    seldom = Seldom(logging.getLogger("seldom"), clock.monotonic)
    for _ in range(5):
        seldom.write(logging.WARNING, "again")
    clock.advance(61)
    seldom.write(logging.WARNING, "again")
    assert [record.message for record in caplog.records] == ["again", "again (and 4 more like it before)"]


# --- what is no HTTP

UNREADABLE = {
    "no method": f"{SECRET}\r\n\r\n".encode(),
    "odd version": f"GET /{SECRET} HTTP/9.9\r\nHost: x\r\n\r\n".encode(),
    "control character": f"GET /health HTTP/1.1\r\nHost: x\r\nCookie: {SECRET}\x01\r\n\r\n".encode(),
    "long line": f"GET /{SECRET}{'x' * 20_000} HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
    "bad address": f"GET http://[::1/{SECRET} HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
    "not ASCII": f"GET /files/a.wav?signature={SECRET}ह HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
    "two lengths": f"GET /{SECRET} HTTP/1.1\r\nHost: x\r\n".encode()
    + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n",
}


@pytest.mark.parametrize("sent", UNREADABLE.values(), ids=UNREADABLE)
async def test_what_cannot_be_read_is_refused_without_quoting_it(
    server: Server, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    caplog.set_level(logging.DEBUG)
    async with wires(server) as (wire,):
        wire.send(sent)
        head, body = await wire.answer()
        assert await wire.is_closed(within_s=5)
    fields = dict(line.split(": ", 1) for line in head.splitlines()[1:] if line)
    assert head.startswith("HTTP/1.1 400 Bad Request")
    assert fields["Content-Type"].startswith("application/problem+json")
    problem = json.loads(body)
    assert (problem["status"], problem["request_id"]) == (400, fields["X-Request-ID"])
    assert len(problem["request_id"]) == 32
    assert_told_once_without_content(caplog, head + body.decode())


async def test_a_body_longer_than_it_says_is_not_logged(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """The mistake everyone makes once: the length is counted in characters, not in bytes."""
    caplog.set_level(logging.DEBUG)
    body = f'{{"script_text": "{SECRET} यह एक कहानी है {SECRET}"}}'
    post = f"POST /queue/audio/jobs HTTP/1.1\r\n{AS_OWNER}Content-Type: application/json\r\n"
    for framed in (
        f"{post}Content-Length: {body.index(SECRET)}\r\n\r\n{body}",
        f"{post}Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n{body}\r\n0\r\n\r\n",
    ):
        async with wires(server) as (wire,):
            wire.send(framed.encode())
            head, said = await wire.answer()
        assert head.startswith("HTTP/1.1 400") and SECRET not in said.decode()
    assert_told_once_without_content(caplog)


def assert_told_once_without_content(caplog: pytest.LogCaptureFixture, *texts: str) -> None:
    ours = [record for record in caplog.records if "refused unread" in record.message]
    assert [record.levelno for record in ours] == [logging.INFO]
    assert not [record for record in caplog.records if record.levelno > logging.INFO]
    assert SECRET not in "\n".join([caplog.text, *texts])


@pytest.mark.parametrize("encoding", ["br", "zstd"])
async def test_an_encoding_we_cannot_read_is_refused_as_such(server: Server, encoding: str) -> None:
    async with wires(server) as (wire,):
        wire.send(
            f"POST /queue/audio/claim HTTP/1.1\r\n{AS_OWNER}Content-Type: application/json\r\n"
            f"Content-Encoding: {encoding}\r\nContent-Length: 5\r\n\r\nhello".encode()
        )
        head, body = await wire.answer()
    assert head.startswith("HTTP/1.1 415") and "gzip" in json.loads(body)["detail"]


@pytest.mark.parametrize("path", ["/early", "/late"])
async def test_a_failure_of_our_own_is_logged_with_its_place_but_without_its_text(
    caplog: pytest.LogCaptureFixture, path: str
) -> None:
    async def failing_here(request: web.Request) -> web.Response:
        if request.path == "/early":
            raise ValueError(SECRET)
        return web.Response()

    async def also_failing_here(request: web.Request, _: web.StreamResponse) -> None:
        if request.path == "/late":
            raise ValueError(SECRET)

    application = web.Application()
    application.router.add_get("/{name}", failing_here)
    application.on_response_prepare.append(also_failing_here)
    runner = ConnectionRunner(application, ConnectionLimits(9), shutdown_s=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with wires(Server(*runner.addresses[0][:2])) as (wire,):
        wire.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        if path == "/early":
            head, body = await wire.answer()
            assert head.startswith("HTTP/1.1 500") and json.loads(body)["status"] == 500
        assert await wire.is_closed(within_s=5)
    await runner.cleanup()
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "failing_here" in caplog.text and "ValueError" in caplog.text and SECRET not in caplog.text


# --- what is expected


@pytest.mark.parametrize("path", ["/queue/audio/claim", "/nothing"])
async def test_an_odd_expectation_is_refused_with_a_request_id(server: Server, path: str) -> None:
    async with wires(server) as (wire,):
        wire.send(f"POST {path} HTTP/1.1\r\n{AS_OWNER}Expect: {SECRET}\r\nContent-Length: 0\r\n\r\n".encode())
        head, body = await wire.answer()
    assert head.startswith("HTTP/1.1 417") and SECRET not in body.decode()
    assert f"X-Request-ID: {json.loads(body)['request_id']}\r\n" in head


@pytest.mark.parametrize(
    ("key", "expect", "status"),
    [(KEY, "Expect: 100-continue\r\n", 413), (KEY, "", 413), ("", "Expect: 100-continue\r\n", 401)],
)
async def test_a_body_that_would_be_refused_need_not_be_sent(
    server: Server, key: str, expect: str, status: int
) -> None:
    head = f"POST /queue/audio/jobs HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n{expect}"
    async with wires(server) as (wire,), asyncio.timeout(5):
        assert (
            await wire.status(
                f"{head}Content-Type: application/json\r\nContent-Length: 99999999\r\n\r\n".encode()
            )
            == status
        )


async def test_files_of_the_dashboard_that_there_are_not_are_so_for_anyone(server: Server) -> None:
    async with wires(server) as (wire,):
        for path, status in (
            ("/pages/AAA", 404),
            ("/pages/index.html", 404),
            ("/pages/icon.svg", 200),
            ("/x", 401),
        ):
            assert await wire.status(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()) == status
