"""The chat as it runs in the bot, between a stand-in for Telegram and a queue on disk."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.chat.settings import ChatSettings, Patience
from bot.chat.telegram_bot import Chat
from bot.notifications import Delivery, Notifications
from jobqueue.directory import DirectoryQueue
from jobqueue.job import Delivery as WorkerDelivery
from jobqueue.job import Kind, Progress, WorkerReport
from tests.chat.flowing_clock import FlowingClock
from tests.telegram_peer import Peer, Person

ADMIN, ANN, BEN = 1, 1001, 1002
MAX_UPLOAD_BYTES = 2_000_000
SCRIPT = "The mountain wind tells old stories. " * 10


class OneChannel:
    def current(self, user_id: int) -> str:
        return "BI"


class PublicLinks:
    """Links as the endpoint signs them; None while files are not served."""

    def __init__(self) -> None:
        self.public_url: str | None = "https://reels.example.org"

    def for_file(self, path: str) -> str | None:
        return f"{self.public_url}/files/{path}?expires=1&signature=a" if self.public_url else None


class Studio:
    """The chat, its queue, and hands to play the workers with."""

    def __init__(self, queue: DirectoryQueue, peer: Peer, data_dir: Path, clock: FlowingClock) -> None:
        self.queue = queue
        self.peer = peer
        self.data_dir = data_dir
        self.clock = clock
        self.links = PublicLinks()

    def settings(self, **changes: object) -> ChatSettings:
        given: dict[str, object] = {
            "token": self.peer.token,
            "api_url": self.peer.url,
            "allowed_users": frozenset({ANN, BEN}),
            "admin_users": frozenset({ADMIN}),
            "patience": Patience(reconnect_cap_s=0.2, refused_token_s=0.2, poll_s=5, stop_s=1),
        }
        return ChatSettings(**given | changes)  # type: ignore[arg-type]  # tests change single fields

    @asynccontextmanager
    async def open(self, settings: ChatSettings | None = None) -> AsyncIterator[Chat]:
        """Chat and notifications running."""
        stop = asyncio.Event()
        chat = Chat(
            self.queue,
            feed=self.queue.feed,
            outbox=self.queue.outbox,
            data_dir=self.data_dir,
            settings=settings or self.settings(),
            channels=OneChannel(),
            roster=self.queue.roster,
            clock=self.clock,
            links=self.links,
        )
        notifications = Notifications(
            self.queue,
            self.queue.outbox,
            feed=self.queue.feed,
            data_dir=self.data_dir,
            messenger=chat.messenger,
            links=self.links,
            clock=self.clock,
            delivery=Delivery(max_upload_bytes=MAX_UPLOAD_BYTES),
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(chat.serve(stop))
            group.create_task(notifications.run(stop))
            try:
                yield chat
            finally:
                stop.set()

    # --- the workers

    async def claim(self, kind: Kind, name: str = "first") -> WorkerDelivery:
        worker = self.worker(kind, name=name)
        await self.queue.heartbeat(kind, worker)
        delivery = await self.queue.claim(kind, worker, claim_id=uuid.uuid4().hex, wait_s=5)
        assert delivery is not None, f"no {kind} job to claim"
        await self.queue.heartbeat(kind, self.worker(kind, delivery.job.id, name))
        return delivery

    def worker(self, kind: Kind, job_id: str | None = None, name: str = "first") -> WorkerReport:
        status = "busy" if job_id else "online"
        return WorkerReport(f"{kind}-{name}", status=status, current_job=job_id, gpu_model="RTX 4090")

    async def progress(self, delivery: WorkerDelivery, percent: float, **more: int) -> None:
        await self.queue.progress(delivery.claim, Progress(percent, **more))  # type: ignore[arg-type]

    async def speak(self) -> WorkerDelivery:
        """Do the speech of the next job; its video job is claimed then."""
        audio = await self.claim(Kind.AUDIO)
        path = f"{audio.job.organized_path}/audio.wav"
        self.put_file(path, b"RIFF" + bytes(100))
        await self.queue.complete(audio.claim, {"audio_path": path, "duration_s": 83.0})
        return await self.claim(Kind.VIDEO)

    async def produce(self, size_bytes: int = 5000, **result: object) -> WorkerDelivery:
        """Do both halves of the next job."""
        video = await self.speak()
        path = f"{video.job.organized_path}/video.mp4"
        self.put_file(path, bytes(size_bytes))
        done = {"video_path": path, "duration_s": 83.4, "width": 1920, "height": 1080}
        await self.queue.complete(video.claim, done | result)  # type: ignore[arg-type]
        return video

    def put_file(self, path: str, data: bytes) -> None:
        place = self.data_dir / "files" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)

    async def until(self, want: Callable[[], object], what: str) -> None:
        """For what no message of the bot tells."""
        async with asyncio.timeout(10):
            while not want():
                await asyncio.sleep(0.05)


@pytest.fixture
def clock() -> FlowingClock:
    return FlowingClock()


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with Peer() as peer:
        yield peer


@pytest.fixture
def studio(queue: DirectoryQueue, peer: Peer, data_dir: Path, clock: FlowingClock) -> Studio:
    return Studio(queue, peer, data_dir, clock)


@pytest.fixture
async def chat(studio: Studio) -> AsyncIterator[Chat]:
    async with studio.open() as chat:
        yield chat


@pytest.fixture
def ann(peer: Peer) -> Person:
    return peer.person(ANN)


@pytest.fixture
def asha(peer: Peer) -> Person:
    """Reads Hindi."""
    return peer.person(BEN, "hi")
