"""The queues that the contract is held against: whoever builds another one adds it here and has its tests."""

import asyncio
import shutil
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

from bot.publishing.links import SignedLinks
from jobqueue.backend import QueueBackend, WorkQueue
from jobqueue.client import Connection, HttpQueue
from jobqueue.directory import DirectoryQueue
from tests.clock import FakeClock
from tests.endpoint.conftest import KEY, served
from tests.profiles import PlainProfiles


class Engine(Protocol):
    """A queue under test, whatever it is made of. `queue` and `workers` are others after a restart."""

    clock: FakeClock
    """The only one it looks at."""
    has_wire: bool
    """Whether an answer can be given and not arrive."""

    @property
    def queue(self) -> QueueBackend:
        """As the bot asks it."""
        ...

    @property
    def workers(self) -> WorkQueue:
        """As workers ask it."""
        ...

    async def restart(self, *, killed: bool = True) -> None:
        """The process ends, with no time for anything if it is `killed`, and the next one goes on."""
        ...

    async def tend(self) -> None:
        """What the queue does by itself every few seconds."""
        ...

    async def store(self, path: str, data: bytes) -> None:
        """Put a file into the storage, as a worker's upload does."""
        ...

    async def close(self) -> None: ...


class DirectoryEngine:
    """DirectoryQueue, asked directly."""

    has_wire = False

    def __init__(self, room: Path, clock: FakeClock) -> None:
        self.clock = clock
        self._room = room
        self._life = 0
        self._queue = self._made()

    def _made(self) -> DirectoryQueue:
        return DirectoryQueue(self.data_dir, PlainProfiles(), self.clock)

    @property
    def data_dir(self) -> Path:
        return self._room / f"life-{self._life}"

    @property
    def queue(self) -> DirectoryQueue:
        return self._queue

    @property
    def workers(self) -> WorkQueue:
        return self._queue

    async def open(self) -> None:
        await self._queue.open()

    async def restart(self, *, killed: bool = True) -> None:
        if killed:
            # The next life begins with what lies there now; whatever this one still does, it does elsewhere.
            left, self._life = self.data_dir, self._life + 1
            await asyncio.to_thread(shutil.copytree, left, self.data_dir)
        await self.close()
        self._queue = self._made()
        await self.open()

    async def tend(self) -> None:
        await self._queue.sweep()
        await self._queue.rescan()
        await self._queue.flush()

    async def store(self, path: str, data: bytes) -> None:
        source = self._room / "upload"
        source.write_bytes(data)
        await self._queue.storage.put(path, source)

    async def close(self) -> None:
        await self._queue.close()


class HttpEngine(DirectoryEngine):
    """The same, its workers at the other end of a wire."""

    has_wire = True

    def __init__(self, room: Path, clock: FakeClock) -> None:
        super().__init__(room, clock)
        self._links = SignedLinks("https://videos.example.org", clock, "a secret of the tests")
        self._wire = AsyncExitStack()
        self._workers: WorkQueue = self._queue

    @property
    def workers(self) -> WorkQueue:
        return self._workers

    async def open(self) -> None:
        await super().open()
        server = await self._wire.enter_async_context(served(self._queue, self._links, self.clock))
        connection = await self._wire.enter_async_context(Connection(str(server.make_url("")), KEY))
        self._workers = HttpQueue(connection)

    async def close(self) -> None:
        await self._wire.aclose()
        await super().close()


ENGINES = {"directory": DirectoryEngine, "http": HttpEngine}
