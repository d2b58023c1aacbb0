"""The worker's side of an upload: a recording is never sent twice, whatever happens on the way."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from bot.endpoint.application import Endpoint, EndpointSettings
from bot.publishing.links import SignedLinks
from jobqueue import resumable
from jobqueue.client import Connection
from jobqueue.directory import DirectoryQueue
from jobqueue.errors import QueueError, QueueUnreachable, UploadLocked
from jobqueue.http_storage import LARGE_BYTES, HttpStorage
from tests.clock import FakeClock
from tests.endpoint.conftest import KEY, Server
from tests.profiles import PlainProfiles
from tests.relay import Relay

PLACE = "2025-01-27/BI/video_1/audio.wav"
SIZE = 3 * LARGE_BYTES + 12_345
SLACK = 2 << 20
"""What may lie in the buffers between two machines when a connection breaks, plus headers."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumable, "RETRY_BASE_S", 0.02)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "recording.wav"
    path.write_bytes(random.Random(7).randbytes(SIZE))
    return path


@pytest.fixture
async def relay(server: Server) -> AsyncIterator[Relay]:
    async with Relay(server.port).running() as relay:
        yield relay


@pytest.fixture
async def storage(relay: Relay) -> AsyncIterator[HttpStorage]:
    async with Connection(f"http://127.0.0.1:{relay.port}", KEY) as connection:
        yield HttpStorage(connection)


def cut_at(relay: Relay, *marks: int) -> None:
    """Break every connection when so many bytes have been sent."""
    rest = list(marks)

    def check(sent_bytes: int) -> None:
        if rest and sent_bytes >= rest[0]:
            del rest[0]
            relay.cut()

    relay.on_sent = check


async def test_a_large_file_arrives_whole(
    storage: HttpStorage, recording: Path, data_dir: Path, relay: Relay
) -> None:
    await storage.put(PLACE, recording)
    assert (data_dir / "files" / PLACE).read_bytes() == recording.read_bytes()
    assert relay.sent_bytes < SIZE + SLACK


async def test_lost_connections_cost_only_what_was_on_the_way(
    storage: HttpStorage, recording: Path, data_dir: Path, relay: Relay
) -> None:
    cuts = [SIZE // 10, SIZE // 3, SIZE // 2, SIZE - (3 << 20)]
    cut_at(relay, *cuts)
    await storage.put(PLACE, recording)
    assert (data_dir / "files" / PLACE).read_bytes() == recording.read_bytes()
    assert relay.connections > len(cuts)
    assert relay.sent_bytes < SIZE + SLACK * (len(cuts) + 1)


async def test_a_line_that_always_breaks_still_gets_it_through(
    storage: HttpStorage, recording: Path, data_dir: Path, relay: Relay
) -> None:
    """More breaks than failures are allowed in a row: progress counts, not luck."""
    cut_at(relay, *range(3 << 20, 3 * SIZE, 3 << 20))
    await storage.put(PLACE, recording)
    assert (data_dir / "files" / PLACE).read_bytes() == recording.read_bytes()


async def test_what_was_begun_goes_on_when_the_file_is_sent_again(
    storage: HttpStorage, recording: Path, data_dir: Path, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the worker does, which waits until the bot can be reached."""
    monkeypatch.setattr(resumable, "FAILURES_MAX", 0)
    cut_at(relay, SIZE // 2)
    with pytest.raises(QueueUnreachable):
        await storage.put(PLACE, recording)
    await storage.put(PLACE, recording)
    assert (data_dir / "files" / PLACE).read_bytes() == recording.read_bytes()
    assert relay.sent_bytes < SIZE + 2 * SLACK


async def test_an_upload_the_bot_forgot_begins_anew(
    storage: HttpStorage,
    recording: Path,
    data_dir: Path,
    relay: Relay,
    queue: DirectoryQueue,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resumable, "FAILURES_MAX", 0)
    cut_at(relay, SIZE // 2)
    with pytest.raises(QueueUnreachable):
        await storage.put(PLACE, recording)
    (begun,) = (data_dir / "uploads").glob("*.json")
    async with asyncio.timeout(5):
        while True:  # until the bot has noticed that the connection is gone
            with contextlib.suppress(UploadLocked):
                await queue.uploads.end(begun.stem)
                break
            await asyncio.sleep(0.01)
    await storage.put(PLACE, recording)
    assert (data_dir / "files" / PLACE).read_bytes() == recording.read_bytes()


async def test_a_refusal_is_final_and_in_words(storage: HttpStorage, recording: Path) -> None:
    with pytest.raises(QueueError, match="is not a path inside the storage") as caught:
        await storage.put("../out", recording)
    assert not isinstance(caught.value, QueueUnreachable)


async def test_an_upload_outlives_a_restart_of_the_bot(
    links: SignedLinks, clock: FakeClock, data_dir: Path, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def bot(port: int) -> AsyncIterator[int]:
        queue = DirectoryQueue(data_dir, PlainProfiles(), clock)
        await queue.open()
        endpoint = Endpoint(queue, links, clock, [], EndpointSettings("127.0.0.1", port, KEY, lease_s=90))
        stop = asyncio.Event()
        serving = asyncio.ensure_future(endpoint.serve(stop))
        await endpoint.listening.wait()
        yield endpoint.addresses[0][1]
        stop.set()
        await serving
        await queue.close()

    monkeypatch.setattr(resumable, "FAILURES_MAX", 1000)
    half = asyncio.Event()
    async with AsyncExitStack() as first:
        port = await first.enter_async_context(bot(0))
        async with Relay(port).running() as relay, Connection(f"http://127.0.0.1:{relay.port}", KEY) as way:
            relay.on_sent = lambda sent_bytes: half.set() if sent_bytes >= SIZE // 2 else None
            sending = asyncio.ensure_future(HttpStorage(way).put(PLACE, recording))
            await half.wait()
            await first.aclose()
            assert not sending.done()
            async with bot(port):
                await sending
            assert relay.sent_bytes < SIZE + 2 * SLACK
    assert (data_dir / "files" / PLACE).read_bytes() == recording.read_bytes()
