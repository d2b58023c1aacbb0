"""A worker at the other end of the wire: one outcome for each job, whatever happens in between."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.endpoint.application import Endpoint, EndpointSettings
from bot.publishing.links import SignedLinks
from jobqueue.client import Connection, HttpQueue
from jobqueue.directory import DirectoryQueue
from jobqueue.errors import KeyRefused, MediaMissing, PermanentError, QueueError, QueueUnreachable
from jobqueue.http_storage import HttpStorage
from jobqueue.job import Job, Kind, Progress, Result, WorkerReport
from jobqueue.lifecycle import State
from jobqueue.worker import Handler, Report, Worker
from tests.clock import FakeClock
from tests.endpoint.conftest import KEY, Server

IDENTITY = WorkerReport("gpu-1", hostname="box", gpu_model="RTX 4090")


@pytest.fixture
async def connection(server: Server) -> AsyncIterator[Connection]:
    async with Connection(str(server.make_url("")), KEY) as connection:
        yield connection


@asynccontextmanager
async def at_work(connection: Connection, handle: Handler) -> AsyncIterator[asyncio.Event]:
    """A worker that runs meanwhile; it is asked to stop at the end."""
    stop = asyncio.Event()
    worker = Worker(HttpQueue(connection), Kind.AUDIO, IDENTITY, handle, wait_s=5)
    running = asyncio.ensure_future(worker.run(stop))
    try:
        yield stop
    finally:
        stop.set()
        async with asyncio.timeout(10):
            await running


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(15):
        while not await condition():
            await asyncio.sleep(0.01)


async def reached(queue: DirectoryQueue, job_id: str, state: State) -> None:
    async def there() -> bool:
        return (await queue.get(Kind.AUDIO, job_id)).state is state

    await until(there)


async def enqueue(queue: DirectoryQueue, job_id: str = "j1") -> None:
    await queue.enqueue(Kind.AUDIO, {"job_id": job_id, "script_text": f"script of {job_id}"})


class Endless:
    """A handler that works until it is interrupted, and tells that it was."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.interrupted = asyncio.Event()

    async def __call__(self, job: Job, report: Report) -> Result:
        self.begun.set()
        try:
            while True:
                await report(Progress(10, "speaking"))
                await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            self.interrupted.set()
            raise


async def speak(job: Job, report: Report) -> Result:
    await report(Progress(50, "speaking", 1, 2))
    return {"gofile_link": f"https://example.org/{job.id}", "note": job.text("script_text")}


async def test_jobs_are_done_one_after_the_other(queue: DirectoryQueue, connection: Connection) -> None:
    async with at_work(connection, speak):
        for number in range(3):
            await enqueue(queue, f"j{number}")
        for number in range(3):
            await reached(queue, f"j{number}", State.COMPLETED)
    job = (await queue.get(Kind.AUDIO, "j2")).job
    assert job.text("note") == "script of j2"
    members = queue.roster.members(Kind.AUDIO)
    assert (members[0]["gpu_model"], members[0]["jobs_completed"], members[0]["status"]) == (
        "RTX 4090",
        3,
        "offline",
    )


async def test_a_waiting_worker_begins_within_a_second(queue: DirectoryQueue, connection: Connection) -> None:
    handler = Endless()
    async with at_work(connection, handler):
        await asyncio.sleep(0.3)
        await enqueue(queue)
        async with asyncio.timeout(1):
            await handler.begun.wait()


async def test_a_failure_is_reported_in_its_own_words(queue: DirectoryQueue, connection: Connection) -> None:
    class NoWords(PermanentError):
        pass

    async def refuse(job: Job, report: Report) -> Result:
        raise NoWords("the script has no words") if job.id == "j1" else OSError("out of luck")

    await enqueue(queue, "j1")
    await enqueue(queue, "j2")
    async with at_work(connection, refuse):
        await reached(queue, "j1", State.FAILED)

        async def failed_once() -> bool:
            return (await queue.get(Kind.AUDIO, "j2")).job.retry_count == 1

        await until(failed_once)
    assert (await queue.get(Kind.AUDIO, "j1")).job.text("error_message") == "the script has no words"
    second = await queue.get(Kind.AUDIO, "j2")
    assert (second.state, second.job.text("error_message")) == (State.PENDING, "out of luck")


async def test_a_handler_that_ends_as_if_cancelled_has_failed_and_the_worker_goes_on(
    queue: DirectoryQueue, connection: Connection
) -> None:
    async def odd(job: Job, report: Report) -> Result:
        if job.id == "odd":
            raise asyncio.CancelledError
        return {"gofile_link": "fine"}

    await enqueue(queue, "odd")
    await enqueue(queue, "fine")
    async with at_work(connection, odd):
        await reached(queue, "fine", State.COMPLETED)
    assert (await queue.get(Kind.AUDIO, "odd")).job.retry_count == 1


async def test_a_wrong_address_ends_the_worker_with_a_sentence(server: Server) -> None:
    async with Connection(str(server.make_url("/nothing")), KEY) as connection:
        worker = Worker(HttpQueue(connection), Kind.AUDIO, IDENTITY, speak, wait_s=5)
        with pytest.raises(KeyRefused, match="FILE_SERVER_URL"):
            await worker.run(asyncio.Event())


async def test_a_worker_that_is_stopped_hands_its_job_back_uncounted(
    queue: DirectoryQueue, connection: Connection
) -> None:
    handler = Endless()
    await enqueue(queue)
    async with at_work(connection, handler):
        await handler.begun.wait()
    view = await queue.get(Kind.AUDIO, "j1")
    assert (view.state, view.job.retry_count) == (State.PENDING, 0)
    assert handler.interrupted.is_set()


async def test_a_cancelled_job_is_left_at_once(queue: DirectoryQueue, connection: Connection) -> None:
    handler = Endless()
    await enqueue(queue)
    async with at_work(connection, handler):
        await handler.begun.wait()
        await queue.cancel(Kind.AUDIO, "j1", by="ann")
        async with asyncio.timeout(5):
            await handler.interrupted.wait()
    assert (await queue.get(Kind.AUDIO, "j1")).state is State.CANCELLED


async def test_a_job_that_went_to_another_is_left_at_once(
    queue: DirectoryQueue, connection: Connection, clock: FakeClock
) -> None:
    handler = Endless()
    await enqueue(queue)
    async with at_work(connection, handler):
        await handler.begun.wait()
        await queue.take_back(Kind.AUDIO, "gpu-1", "presumed dead")
        async with asyncio.timeout(5):
            await handler.interrupted.wait()


async def test_a_wrong_key_ends_the_worker_with_a_sentence(server: Server) -> None:
    async with Connection(str(server.make_url("")), "wrong") as connection:
        worker = Worker(HttpQueue(connection), Kind.AUDIO, IDENTITY, speak, wait_s=5)
        with pytest.raises(KeyRefused, match="FILE_SERVER_API_KEY"):
            await worker.run(asyncio.Event())


async def test_work_outlives_a_restart_of_the_bot(
    queue: DirectoryQueue, links: SignedLinks, clock: FakeClock, tmp_path: Path
) -> None:
    """The job is done while nobody listens; the result is told when the bot is back."""

    def endpoint(port: int) -> Endpoint:
        return Endpoint(queue, links, clock, [], EndpointSettings("127.0.0.1", port, KEY, lease_s=90))

    @asynccontextmanager
    async def serving(endpoint: Endpoint) -> AsyncIterator[int]:
        stop = asyncio.Event()
        task = asyncio.ensure_future(endpoint.serve(stop))
        await endpoint.listening.wait()
        yield endpoint.addresses[0][1]
        stop.set()
        await task

    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(job: Job, report: Report) -> Result:
        begun.set()
        await go_on.wait()
        await report(Progress(99, "nobody hears this"))
        return {"gofile_link": "kept"}

    await enqueue(queue)
    async with serving(endpoint(0)) as port:
        connection = Connection(f"http://127.0.0.1:{port}", KEY)
        worker = Worker(HttpQueue(connection), Kind.AUDIO, IDENTITY, slow, wait_s=5)
        stop = asyncio.Event()
        running = asyncio.ensure_future(worker.run(stop))
        await begun.wait()
    go_on.set()
    await asyncio.sleep(0.2)
    async with serving(endpoint(port)):
        await reached(queue, "j1", State.COMPLETED)
        stop.set()
        await running
    async with connection:
        pass
    assert (await queue.get(Kind.AUDIO, "j1")).job.text("gofile_link") == "kept"


async def test_an_unreachable_bot_is_told_from_a_refusal() -> None:
    async with Connection("http://127.0.0.1:9", KEY) as connection:
        with pytest.raises(QueueUnreachable):
            await HttpQueue(connection).claim(Kind.AUDIO, IDENTITY)


async def test_files_travel_whole(connection: Connection, queue: DirectoryQueue, tmp_path: Path) -> None:
    storage = HttpStorage(connection)
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(bytes(range(256)) * 20_000)
    await storage.put("day/BI/video_1/ध्वनि.wav", source)
    await storage.get("day/BI/video_1/ध्वनि.wav", copy)
    assert copy.read_bytes() == source.read_bytes()
    assert await storage.listing("day/BI/video_1") == {"ध्वनि.wav": source.stat().st_size}
    assert await storage.listing("nowhere") == {}
    with pytest.raises(MediaMissing):
        await storage.get("day/nothing.wav", copy)
    with pytest.raises(QueueError):
        await storage.put("../out", source)
