"""A life of the queue in which everything happens once, and what anyone was told in it, and when."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TypeVar

from jobqueue.backend import JobView
from jobqueue.directory import DirectoryQueue
from jobqueue.disk import on_disk
from jobqueue.job import Delivery, Job, Json, Kind, Progress, WorkerReport
from jobqueue.lifecycle import State
from jobqueue.wire import to_record
from tests.clock import FakeClock
from tests.profiles import PlainProfiles
from tests.queue.disk.recording import Recording

T = TypeVar("T")
Key = tuple[Kind, str]
OF_THE_CLAIM = ("worker_id", "processing_started_at", "claim_id")
LINK = {"gofile_link": "https://example.org/recording"}
MANY = 9
"""As many as make the queue put its work together."""
RECORDING = b"RIFF" + bytes(1000)


@dataclass(frozen=True, slots=True)
class Seen:
    """A job as somebody was told it is."""

    state: State
    epoch: int
    retry_count: int
    priority: int
    record: str
    """All of its record that no claim changes."""


def seen(view: JobView) -> Seen:
    job = view.job
    record = {name: value for name, value in to_record(job).items() if name not in OF_THE_CLAIM}
    return Seen(view.state, job.epoch, job.retry_count, job.priority, repr(sorted(record.items())))


@dataclass(frozen=True, slots=True)
class Told:
    """One answer about one job: asked for after `began` changes of the disk, given after `ended`."""

    began: int
    ended: int
    seen: Seen
    is_firm: bool
    """Whether it survives a power cut; a claim does not."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Something else that was answered, and must hold from then on."""

    ended: int
    what: str
    value: str


class Life:
    """Runs the queue on a recorded disk and notes what it answers."""

    def __init__(self, disk: Recording, data_dir: Path, clock: FakeClock) -> None:
        self.queue = DirectoryQueue(data_dir, PlainProfiles(), clock)
        self.clock = clock
        self.told: dict[Key, list[Told]] = {}
        self.kept: list[Kept] = []
        self._disk = disk
        self._claims = 0

    async def note(self, work: Awaitable[T], *keys: Key) -> T:
        """Await the call, and note what has become of these jobs."""
        began = self._disk.position()
        answer = await work
        ended = self._disk.position()
        for key in keys:
            await self._note(key, began, ended, is_firm=True)
        return answer

    async def _note(self, key: Key, began: int, ended: int, *, is_firm: bool) -> None:
        told = Told(began, ended, seen(await self.queue.get(*key)), is_firm)
        self.told.setdefault(key, []).append(told)

    def keep(self, what: str, value: object) -> None:
        self.kept.append(Kept(self._disk.position(), what, str(value)))

    # --- what happens

    async def accept(self, job_id: str, **fields: Json) -> None:
        record: dict[str, Json] = {"job_id": job_id, "script_text": f"script of {job_id} हाँ", **fields}
        await self.note(self.queue.enqueue(Kind.AUDIO, record), (Kind.AUDIO, job_id))

    async def claim(self, kind: Kind = Kind.AUDIO, by: str = "gpu-1") -> Delivery:
        self._claims += 1
        began = self._disk.position()
        delivery = await self.queue.claim(kind, WorkerReport(by), claim_id=f"c{self._claims}")
        assert delivery is not None
        await self._note((kind, delivery.job.id), began, self._disk.position(), is_firm=False)
        return delivery

    async def record_and_complete(self, delivery: Delivery) -> None:
        """Store the recording, then report the job as done; its video job follows."""
        path = f"{delivery.job.organized_path}/audio.wav"
        await self.queue.storage.receive(path, _pieces(RECORDING))
        self.keep("file", path)
        await self.note(
            self.queue.complete(delivery.claim, {"audio_path": path, "duration_s": 1.5}),
            (Kind.AUDIO, delivery.job.id),
            (Kind.VIDEO, f"{delivery.job.id}-video"),
        )

    async def complete(self, delivery: Delivery) -> None:
        job = delivery.job
        await self.note(self.queue.complete(delivery.claim, LINK), (job.kind, job.id))
        self._keep_news(job)

    async def fail(self, delivery: Delivery, *, permanent: bool = False) -> None:
        job = delivery.job
        failing = self.queue.fail(delivery.claim, "no luck", permanent=permanent)
        verdict = await self.note(failing, (job.kind, job.id))
        if verdict.state is State.FAILED:
            self._keep_news(job)

    def _keep_news(self, job: Job) -> None:
        if job.chat_id is not None:
            self.keep("news", f"{job.kind}_{job.id}_{job.epoch}")

    async def number(self) -> None:
        value = await on_disk(lambda: self.queue.counters.increment(Kind.AUDIO))
        self.keep("number", value)


async def _pieces(data: bytes):  # type: ignore[no-untyped-def]  # an async generator's type says less than its two lines
    yield data[:10]
    yield data[10:]


async def everything(life: Life) -> None:
    """A life with one of everything in it."""
    queue, clock = life.queue, life.clock
    await queue.open()
    await life.accept("spoken", chat_id=7)
    await life.accept("linked", chat_id=7, x_mine={"deep": [1, 2]})
    spoken = await life.claim()
    await queue.progress(spoken.claim, Progress(50, "speaking", 1, 2))
    await life.record_and_complete(spoken)
    await life.number()
    linked = await life.claim()
    await life.accept("doomed", chat_id=8)
    await life.complete(linked)
    for _ in range(3):
        await life.fail(await life.claim())
        clock.advance(1000)
    await life.number()
    await queue.flush()
    await _by_people(life)
    await _by_silence(life)
    await _all_at_once(life)
    film = await life.claim(Kind.VIDEO, by="bot")
    await life.complete(film)
    await queue.close()


async def _by_people(life: Life) -> None:
    queue = life.queue
    key = Kind.AUDIO, "doomed"
    await life.note(queue.retry(*key, by="ann"), key)
    await life.note(queue.reprioritize(*key, 5), key)
    released = await life.claim()
    await life.note(queue.release(released.claim), key)
    await life.note(queue.cancel(*key, by="ann"), key)
    await life.note(queue.retry(*key, by="ann"), key)
    await life.claim()
    await life.note(queue.cancel(*key, by="ann"), key)


async def _by_silence(life: Life) -> None:
    """A worker dies over a job: it comes back, counted, and another one finishes it."""
    await life.accept("orphan")
    await life.claim(by="gpu-2")
    life.clock.advance(100)
    await life.note(life.queue.sweep(), (Kind.AUDIO, "orphan"))
    await life.complete(await life.claim())


async def _all_at_once(life: Life) -> None:
    """Many calls in flight together: what they share of the disk's work must hold for each."""
    async with asyncio.TaskGroup() as group:
        for number in range(MANY):
            group.create_task(life.accept(f"many-{number}"))
    claims = [await life.claim() for _ in range(MANY)]
    endings: list[Callable[[Delivery], Awaitable[None]]] = [
        life.complete,
        life.fail,
        life.record_and_complete,
        lambda delivery: life.fail(delivery, permanent=True),
    ]
    async with asyncio.TaskGroup() as group:
        for delivery, end in zip(claims, cycle(endings), strict=False):
            group.create_task(_awaited(end(delivery)))


async def _awaited(work: Awaitable[None]) -> None:
    await work
