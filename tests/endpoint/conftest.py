"""The endpoint on a free loopback port, over a real queue."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest
from yarl import URL

from bot.endpoint.application import Endpoint, EndpointSettings
from bot.endpoint.calls import Call
from bot.endpoint.connections import ConnectionLimits
from bot.publishing.links import SignedLinks
from jobqueue.directory import DirectoryQueue
from tests.clock import FakeClock
from tests.endpoint.drift import Drift

KEY = "the-right-key"
LIMITS = ConnectionLimits(most=1000)


@pytest.fixture
def links(clock: FakeClock) -> SignedLinks:
    return SignedLinks("https://videos.example.org", clock, "a secret of the tests")


@dataclass(frozen=True)
class Server:
    host: str
    port: int
    calls: Sequence[Call] = ()
    drift: Drift | None = None

    def make_url(self, path: str) -> URL:
        return URL(f"http://{self.host}:{self.port}{path}", encoded=True)


@asynccontextmanager
async def served(
    queue: DirectoryQueue, links: SignedLinks, clock: FakeClock, limits: ConnectionLimits = LIMITS
) -> AsyncIterator[Server]:
    settings = EndpointSettings("127.0.0.1", 0, KEY, lease_s=90, limits=limits)
    endpoint = Endpoint(queue, links, clock, [], settings)
    drift = Drift(endpoint)
    stop = asyncio.Event()
    serving = asyncio.ensure_future(endpoint.serve(stop))
    await endpoint.listening.wait()
    yield Server(*endpoint.addresses[0], endpoint.calls, drift)
    stop.set()
    await serving
    assert drift.found == []


@pytest.fixture
async def server(queue: DirectoryQueue, links: SignedLinks, clock: FakeClock) -> AsyncIterator[Server]:
    async with served(queue, links, clock) as server:
        yield server


@pytest.fixture
async def http(server: Server) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that has the key."""
    async with aiohttp.ClientSession(server.make_url("/"), headers={"X-API-Key": KEY}) as session:
        yield session
