"""`/events`: whoever reads hears everything, whoever does not read holds nobody up."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web

from bot.endpoint.event_routes import EventRoutes, StreamLimits
from bot.endpoint.problems import as_problems
from bot.publishing.links import SignedLinks
from jobqueue.directory import DirectoryQueue
from jobqueue.feed import Change, Feed
from jobqueue.history import History
from jobqueue.job import Json, Kind, Progress, WorkerReport
from jobqueue.lifecycle import State
from tests.clock import FakeClock
from tests.endpoint.conftest import KEY, Server, served

PATIENT = aiohttp.ClientTimeout(total=None, sock_read=10)


@dataclass(frozen=True)
class Told:
    """One event as a client sees it."""

    id: str
    type: str
    data: dict[str, Json]


class Stream:
    """A client of server-sent events, by the book."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer
        self.last_id = ""
        self.comments = 0

    async def next(self) -> Told:
        kind, data = "message", ""
        async with asyncio.timeout(5):
            while True:
                line = (await self._answer.content.readuntil(b"\n")).decode()
                if not line:
                    raise EOFError
                line = line.rstrip("\n")
                name, _, value = line.partition(": ")
                match name:
                    case "id":
                        self.last_id = value
                    case "event":
                        kind = value
                    case "data":
                        data = value
                    case "" if line:
                        self.comments += 1
                    case "" if data:
                        return Told(self.last_id, kind, json.loads(data))

    async def begun(self) -> None:
        """Wait until it is open on the other side: that is when it is told where it is."""
        while not (await self._answer.content.readuntil(b"\n")).startswith(b"\n"):
            pass


@asynccontextmanager
async def listening(
    http: aiohttp.ClientSession, path: str = "/events", last_id: str | None = None
) -> AsyncIterator[Stream]:
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    async with http.get(path, headers=headers, timeout=PATIENT) as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        yield Stream(answer)


async def settled(routes: EventRoutes, readers: int) -> None:
    async with asyncio.timeout(5):
        while routes.readers != readers:
            await asyncio.sleep(0.01)


# --- over a whole queue


async def test_every_move_of_a_job_is_told_in_order(
    http: aiohttp.ClientSession, queue: DirectoryQueue
) -> None:
    async with listening(http) as stream:
        await stream.begun()
        await queue.enqueue(
            Kind.AUDIO, {"job_id": "j1", "script_text": "नमस्ते", "channel_code": "BI", "audio_path": None}
        )
        delivery = await queue.claim(Kind.AUDIO, WorkerReport("gpu-1"))
        assert delivery is not None
        await queue.progress(delivery.claim, Progress(25, "बोल रहा है", 3, 12))
        await queue.complete(delivery.claim, {})
        told = [await stream.next() for _ in range(4)]
    assert [(one.data["event"], one.data["state"]) for one in told] == [
        ("enqueue", "pending"),
        ("claim", "processing"),
        ("progress", "processing"),
        ("complete", "completed"),
    ]
    assert told[2].data == {
        "kind": "audio",
        "job_id": "j1",
        "state": "processing",
        "event": "progress",
        "at": told[2].data["at"],
        "worker_id": "gpu-1",
        "channel": "BI",
        "percent": 25,
        "message": "बोल रहा है",
        "chunk": 3,
        "chunks": 12,
    }
    assert len({one.id for one in told}) == 4


async def test_a_reader_goes_on_where_it_stopped(http: aiohttp.ClientSession, queue: DirectoryQueue) -> None:
    async with listening(http) as stream:
        await stream.begun()
        await queue.enqueue(Kind.AUDIO, {"job_id": "j1", "script_text": "x"})
        last_id = (await stream.next()).id
    for number in (2, 3):
        await queue.enqueue(Kind.AUDIO, {"job_id": f"j{number}", "script_text": "x"})
    async with listening(http, last_id=last_id) as stream:
        await queue.enqueue(Kind.AUDIO, {"job_id": "j4", "script_text": "x"})
        told = [await stream.next() for _ in range(3)]
    assert [(one.type, one.data["job_id"]) for one in told] == [
        ("message", "j2"),
        ("message", "j3"),
        ("message", "j4"),
    ]


async def test_a_reader_that_lost_its_stream_before_the_first_event_misses_none(
    http: aiohttp.ClientSession, queue: DirectoryQueue
) -> None:
    async with http.get("/events", timeout=PATIENT) as answer:
        assert (await answer.content.readuntil(b"\n")).startswith(b"retry: ")
        last_id = (await answer.content.readuntil(b"\n")).decode().removeprefix("id: ").strip()
    await queue.enqueue(Kind.AUDIO, {"job_id": "j1", "script_text": "x"})
    async with listening(http, last_id=last_id) as stream:
        assert (await stream.next()).data["job_id"] == "j1"


@pytest.mark.parametrize(
    "last_id", ["", "nonsense", "0-0", "deadbeef-1", "-", "deadbeef-99999999999999999999", "é"]
)
async def test_an_id_of_another_life_of_the_bot_gets_a_reset_and_then_what_comes(
    http: aiohttp.ClientSession, queue: DirectoryQueue, last_id: str
) -> None:
    await queue.enqueue(Kind.AUDIO, {"job_id": "j1", "script_text": "x"})
    async with listening(http, last_id=last_id) as stream:
        reset = await stream.next()
        assert reset.type == "reset" and reset.data["reason"]
        await queue.enqueue(Kind.AUDIO, {"job_id": "j2", "script_text": "x"})
        assert (await stream.next()).data["job_id"] == "j2"


async def test_a_reader_may_ask_for_one_kind_or_one_job(
    http: aiohttp.ClientSession, queue: DirectoryQueue
) -> None:
    async with (
        listening(http, "/events?type=video") as videos,
        listening(http, "/events?job=j2") as one_job,
    ):
        await videos.begun()
        await one_job.begun()
        for number in (1, 2):
            await queue.enqueue(Kind.AUDIO, {"job_id": f"j{number}", "script_text": "x"})
        video = {"job_id": "v1", "audio_job_id": "a1", "organized_path": "2025-01-27/BI/video_1"}
        await queue.enqueue(Kind.VIDEO, video)
        assert (await videos.next()).data["job_id"] == "v1"
        assert (await one_job.next()).data["job_id"] == "j2"
    async with http.get("/events?type=music") as answer:
        assert (answer.status, answer.content_type) == (400, "application/problem+json")


async def test_the_stream_needs_the_key_and_says_that_it_must_not_be_held_back(
    http: aiohttp.ClientSession, server: Server
) -> None:
    async with (
        aiohttp.ClientSession(server.make_url("/")) as stranger,
        stranger.get("/events") as answer,
    ):
        assert answer.status == 401
    async with http.head("/events") as answer:
        assert answer.status == 200
        assert (answer.headers["Cache-Control"], answer.headers["X-Accel-Buffering"]) == ("no-cache", "no")


async def test_an_open_stream_does_not_keep_the_bot_from_stopping(
    queue: DirectoryQueue, links: SignedLinks, clock: FakeClock
) -> None:
    async with aiohttp.ClientSession(headers={"X-API-Key": KEY}) as session:
        async with served(queue, links, clock) as server:
            answer = await session.get(server.make_url("/events"), timeout=PATIENT)
            stream = Stream(answer)
            await stream.begun()
            began = time.perf_counter()
        assert time.perf_counter() - began < 1
        with pytest.raises(EOFError):
            await stream.next()


# --- under strain


@dataclass
class Desk:
    """The route by itself, with limits that a test can wait for."""

    routes: EventRoutes
    feed: Feed
    history: History
    http: aiohttp.ClientSession
    port: int
    runner: web.AppRunner

    def publish(self, number: int, message: str = "") -> None:
        self.feed.publish(
            Change(Kind.AUDIO, f"j{number}", State.PROCESSING, "progress", Progress(1, message))
        )


@asynccontextmanager
async def desk(clock: FakeClock, limits: StreamLimits, kept: int = 10_000) -> AsyncIterator[Desk]:
    feed, history = Feed(), History(clock, kept=kept)
    feed.listen(history.heard)
    routes = EventRoutes(history, limits)
    application = web.Application(middlewares=[as_problems])
    application.add_routes([call.route() for call in routes.calls()])
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=3)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
            yield Desk(routes, feed, history, http, port, runner)
    finally:
        routes.close()
        await runner.cleanup()


@asynccontextmanager
async def never_reading(port: int) -> AsyncIterator[None]:
    """A client that asks for the stream and then takes nothing."""
    with socket.socket() as connection:
        await ask(connection, port)
        yield


async def ask(connection: socket.socket, port: int) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, ("127.0.0.1", port))
    await loop.sock_sendall(
        connection, f"GET /events HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\n\r\n".encode()
    )


async def test_a_reader_that_never_reads_holds_nobody_up_and_is_cut_off(clock: FakeClock) -> None:
    async with (
        desk(clock, StreamLimits(patience_s=1.0)) as here,
        never_reading(here.port),
        listening(here.http) as stream,
    ):
        await stream.begun()
        await settled(here.routes, 2)
        count, slowest_s = 9000, 0.0

        async def publish() -> None:
            nonlocal slowest_s
            for number in range(count):
                began = time.perf_counter()
                here.publish(number, "x" * 500)
                slowest_s = max(slowest_s, time.perf_counter() - began)
                if number % 100 == 0:
                    await asyncio.sleep(0)

        publishing = asyncio.ensure_future(publish())
        told = [(await stream.next()).data["job_id"] for _ in range(count)]
        await publishing
        assert told == [f"j{number}" for number in range(count)]
        assert slowest_s < 0.25
        await settled(here.routes, 1)  # cut, once its patience had run out
        here.publish(count)
        assert (await stream.next()).data["job_id"] == f"j{count}"


async def test_a_quiet_reader_that_has_not_taken_the_last_bytes_is_cut_off(clock: FakeClock) -> None:
    limits = StreamLimits(keep_alive_s=0.2, patience_s=60)
    async with desk(clock, limits) as here, never_reading(here.port):
        await settled(here.routes, 1)
        (reader,) = here.routes._readers
        while not reader.transport.get_write_buffer_size():  # until the kernel keeps no more for it
            here.publish(1, "x" * 1000)
            await asyncio.sleep(0.002)
        await settled(here.routes, 0)


async def test_a_reader_that_falls_behind_what_is_kept_gets_a_reset(clock: FakeClock) -> None:
    async with desk(clock, StreamLimits(), kept=50) as here, listening(here.http) as stream:
        await stream.begun()
        for number in range(500):  # at once: the reader had no turn
            here.publish(number)
        assert (await stream.next()).type == "reset"
        here.publish(500)
        assert (await stream.next()).data["job_id"] == "j500"


async def test_an_id_that_is_not_kept_any_more_gets_a_reset(clock: FakeClock) -> None:
    async with desk(clock, StreamLimits(), kept=50) as here:
        for number in range(100):
            here.publish(number)
        async with listening(here.http, last_id=here.history.id_of(50)) as stream:
            assert (await stream.next()).data["job_id"] == "j50"  # the oldest that is kept
        for unknown in (49, 101):
            async with listening(here.http, last_id=here.history.id_of(unknown)) as stream:
                assert (await stream.next()).type == "reset"


async def test_what_is_kept_is_bounded_and_publishing_costs_little(clock: FakeClock) -> None:
    feed, history = Feed(), History(clock, kept=1000)
    feed.listen(history.heard)
    change = Change(Kind.AUDIO, "j1", State.PENDING, "enqueue")
    began = time.perf_counter()
    for _ in range(100_000):
        feed.publish(change)
    assert time.perf_counter() - began < 5
    kept = history.after(99_000, limit=10_000)
    assert kept is not None and len(kept) == 1000
    assert history.after(98_999, limit=1) is None


async def test_a_quiet_stream_says_that_it_is_still_there(clock: FakeClock) -> None:
    async with desk(clock, StreamLimits(keep_alive_s=0.05)) as here, listening(here.http) as stream:
        await stream.begun()
        await asyncio.sleep(0.3)
        here.publish(1)
        await stream.next()
        assert stream.comments >= 2


async def test_there_is_an_end_to_how_many_may_read_and_who_hangs_up_makes_room(clock: FakeClock) -> None:
    async with desk(clock, StreamLimits(readers=2)) as here:
        async with listening(here.http), listening(here.http):
            await settled(here.routes, 2)
            async with here.http.get("/events") as answer:
                assert (answer.status, answer.headers["Retry-After"]) == (503, "30")
            async with here.http.head("/events") as answer:
                assert answer.status == 200
        await settled(here.routes, 0)
        async with listening(here.http) as stream:
            await stream.begun()
            here.publish(1)
            assert (await stream.next()).data["job_id"] == "j1"


async def test_all_streams_end_at_once_when_the_bot_stops(clock: FakeClock) -> None:
    async with desk(clock, StreamLimits(patience_s=60)) as here, never_reading(here.port):
        async with listening(here.http) as stream:
            await stream.begun()
            await settled(here.routes, 2)
            for number in range(3000):
                here.publish(number, "x" * 1000)
            while (await stream.next()).data["job_id"] != "j2999":
                pass
            began = time.perf_counter()
            here.routes.close()
            with pytest.raises(EOFError):
                await stream.next()
            await here.runner.cleanup()
            assert time.perf_counter() - began < 1
        await settled(here.routes, 0)
