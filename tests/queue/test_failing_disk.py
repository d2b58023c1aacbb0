"""A disk that is full, read-only or broken: calls are refused, nothing is lost, and later all is well."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.endpoint.health_routes import write_check
from jobqueue.directory import DirectoryQueue
from jobqueue.errors import InvalidTransition, QueueUnreachable, QueueUnwritable
from jobqueue.job import Claim, Delivery, Kind, WorkerReport
from jobqueue.lifecycle import State
from tests.clock import FakeClock
from tests.profiles import PlainProfiles
from tests.queue.disk.image import NothingElse, lay_out
from tests.queue.disk.life import MANY, Life, everything
from tests.queue.disk.recording import Recording
from tests.queue.disk.room import room_in_memory

WORKER = WorkerReport("gpu-1")
LINK = {"gofile_link": "https://example.org/recording"}
CHANGING = frozenset({"write", "ftruncate", "fsync", "rename", "link", "unlink", "rmdir", "mkdir", "create"})
GROWING = frozenset({"write", "mkdir", "create"})


@dataclass(frozen=True)
class Trouble:
    """What is wrong with the disk."""

    name: str
    error: int
    calls: frozenset[str] | None
    """The calls that end with it; None: all."""
    lasts: bool
    """Whether the calls that follow end with it too."""


TROUBLES = (
    Trouble("one call fails", errno.EIO, None, lasts=False),
    Trouble("disk full", errno.ENOSPC, GROWING, lasts=True),
    Trouble("read-only", errno.EROFS, CHANGING, lasts=True),
    Trouble("broken", errno.EIO, None, lasts=True),
)


class Sick:
    """A disk that fails from the n-th call on that it can fail at."""

    def __init__(self, trouble: Trouble, nth: int) -> None:
        self._trouble = trouble
        self._left = nth
        self.has_failed = False

    def __call__(self, call: str, path: str) -> None:
        if self._trouble.calls is not None and call not in self._trouble.calls:
            return
        self._left -= 1
        if self._left == 0 or (self._left < 0 and self._trouble.lasts):
            self.has_failed = True
            raise OSError(self._trouble.error, os.strerror(self._trouble.error))


@dataclass
class Place:
    """A queue on a disk that can be made sick."""

    disk: Recording
    queue: DirectoryQueue
    clock: FakeClock

    async def enqueue(self, job_id: str) -> None:
        await self.queue.enqueue(Kind.AUDIO, {"job_id": job_id, "script_text": "x", "chat_id": 5})

    async def claim(self, job_id: str) -> Claim:
        delivery = await self.queue.claim(Kind.AUDIO, WORKER, claim_id=f"claim-{job_id}")
        assert delivery is not None and delivery.job.id == job_id
        return delivery.claim

    async def work_on(self, job_id: str) -> Claim:
        await self.enqueue(job_id)
        return await self.claim(job_id)

    async def recorded(self, job_id: str) -> Claim:
        claim = await self.work_on(job_id)
        path = (await self.queue.get(Kind.AUDIO, job_id)).job.organized_path + "/audio.wav"
        await self.queue.storage.receive(path, _pieces())
        return claim

    async def state(self, job_id: str) -> State:
        return (await self.queue.get(Kind.AUDIO, job_id)).state


async def _pieces() -> AsyncIterator[bytes]:
    yield b"RIFF"


@asynccontextmanager
async def queue_in(room: Path) -> AsyncIterator[Place]:
    disk, clock = Recording(room), FakeClock()
    with disk.watching():
        queue = DirectoryQueue(room / "data", PlainProfiles(), clock)
        await queue.open()
        try:
            yield Place(disk, queue, clock)
        finally:
            disk.refuse = lambda call, path: None
            await queue.close()


@contextmanager
def sick(place: Place, trouble: Trouble, nth: int) -> Iterator[Sick]:
    disk = Sick(trouble, nth)
    place.disk.refuse = disk
    try:
        yield disk
    finally:
        place.disk.refuse = lambda call, path: None


@dataclass(frozen=True)
class Case:
    """One call on a job: what leads up to it, the call, and the states before and after."""

    prepare: Callable[[Place, str], Awaitable[object]] | None
    call: Callable[[Place, str, object], Awaitable[object]]
    before: State | None
    after: State


async def _cancelled(place: Place, job_id: str) -> None:
    await place.enqueue(job_id)
    await place.queue.cancel(Kind.AUDIO, job_id, by="ann")


CASES = {
    "accept": Case(None, lambda place, job, _: place.enqueue(job), None, State.PENDING),
    "claim": Case(Place.enqueue, lambda place, job, _: place.claim(job), State.PENDING, State.PROCESSING),
    "complete": Case(
        Place.work_on,
        lambda place, job, claim: place.queue.complete(claim, LINK),  # type: ignore[arg-type]
        State.PROCESSING,
        State.COMPLETED,
    ),
    "complete with a recording": Case(
        Place.recorded,
        lambda place, job, claim: place.queue.complete(claim, {}),  # type: ignore[arg-type]
        State.PROCESSING,
        State.COMPLETED,
    ),
    "fail": Case(
        Place.work_on,
        lambda place, job, claim: place.queue.fail(claim, "no luck"),  # type: ignore[arg-type]
        State.PROCESSING,
        State.PENDING,
    ),
    "give up": Case(
        Place.work_on,
        lambda place, job, claim: place.queue.fail(claim, "no luck", permanent=True),  # type: ignore[arg-type]
        State.PROCESSING,
        State.FAILED,
    ),
    "release": Case(
        Place.work_on,
        lambda place, job, claim: place.queue.release(claim),  # type: ignore[arg-type]
        State.PROCESSING,
        State.PENDING,
    ),
    "cancel": Case(
        Place.enqueue,
        lambda place, job, _: place.queue.cancel(Kind.AUDIO, job, by="ann"),
        State.PENDING,
        State.CANCELLED,
    ),
    "retry": Case(
        _cancelled,
        lambda place, job, _: place.queue.retry(Kind.AUDIO, job, by="ann"),
        State.CANCELLED,
        State.PENDING,
    ),
    "reprioritize": Case(
        Place.enqueue,
        lambda place, job, _: place.queue.reprioritize(Kind.AUDIO, job, 3),
        State.PENDING,
        State.PENDING,
    ),
}


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.name)
@pytest.mark.parametrize("name", CASES)
def test_a_call_that_the_disk_fails_is_refused_and_works_when_the_disk_does(
    name: str, trouble: Trouble
) -> None:
    with room_in_memory() as room:
        asyncio.run(each_failure(CASES[name], trouble, room))


async def each_failure(case: Case, trouble: Trouble, room: Path) -> None:
    """Let the disk fail at the first call, the second, the third, until the work gets by without."""
    nth, is_through, expected = 0, False, {}
    async with queue_in(room / "live") as place:
        while not is_through:
            nth += 1
            job_id = f"j{nth}"
            is_through = not await survives(case, place, job_id, trouble, nth)
            expected[job_id] = case.after
            if case.after in (State.PENDING, State.PROCESSING):
                await place.queue.cancel(Kind.AUDIO, job_id, by="ann")
                expected[job_id] = State.CANCELLED
        assert nth > 1
        files = place.disk.before()
        for change in place.disk.changes:
            files.apply(change)
    lay_out(files.after_power_cut(NothingElse()), room / "next")
    await all_there(room / "live/data", expected)
    await all_there(room / "next/data", expected)


async def survives(case: Case, place: Place, job_id: str, trouble: Trouble, nth: int) -> bool:
    """Whether the disk failed under the call; if that was refused, it works once the disk has recovered."""
    held = await case.prepare(place, job_id) if case.prepare is not None else None
    is_refused = False
    with sick(place, trouble, nth) as disk:
        try:
            await case.call(place, job_id, held)
        except QueueUnwritable:
            assert disk.has_failed
            is_refused = True
    if is_refused:
        known = place.queue.matching(job_id)
        assert not known or await place.state(job_id) in (case.before, case.after)
        with suppress(InvalidTransition):  # it was done, and only the answer could not be read
            await case.call(place, job_id, held)
    assert await place.state(job_id) is case.after
    return disk.has_failed


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.name)
def test_of_calls_that_share_a_flush_each_is_refused_or_holds(trouble: Trouble) -> None:
    with room_in_memory() as room:
        asyncio.run(each_shared_failure(trouble, room))


async def each_shared_failure(trouble: Trouble, room: Path) -> None:
    nth, has_failed, accepted = 0, True, set()
    async with queue_in(room / "live") as place:
        while has_failed:
            nth += 1
            names = [f"j{nth}-{number}" for number in range(MANY)]
            with sick(place, trouble, nth) as disk:
                answers = await asyncio.gather(*map(place.enqueue, names), return_exceptions=True)
            has_failed = disk.has_failed
            assert {type(answer) for answer in answers} <= {type(None), QueueUnwritable}
            accepted |= {name for name, answer in zip(names, answers, strict=True) if answer is None}
            await place.queue.flush()
            if nth % 4 == 0:  # the refused ones may be offered again, or never
                await asyncio.gather(*map(place.enqueue, names))
                accepted |= set(names)
        files = place.disk.before()
        for change in place.disk.changes:
            files.apply(change)
    lay_out(files.after_power_cut(NothingElse()), room / "next")
    for data_dir in (room / "live/data", room / "next/data"):
        queue = DirectoryQueue(data_dir, PlainProfiles(), FakeClock())
        await queue.open()
        assert accepted <= {job_id for _, job_id in queue.matching("j")}
        assert list((data_dir / "corrupt").iterdir()) == []
        await queue.close()


async def all_there(data_dir: Path, expected: dict[str, State], *, prefix: str = "j") -> None:
    """A start finds each job once, whole, as it was last answered."""
    queue = DirectoryQueue(data_dir, PlainProfiles(), FakeClock())
    await queue.open()
    try:
        found = {
            job_id: (await queue.get(kind, job_id)).state
            for kind, job_id in queue.matching(prefix)
            if kind is Kind.AUDIO
        }
        assert found == expected
        assert list((data_dir / "corrupt").iterdir()) == []
        films = {job_id for kind, job_id in queue.matching(prefix) if kind is Kind.VIDEO}
        recorded = {path.parent for path in (data_dir / "files").rglob("audio.wav")}
        assert len(films) == len(recorded)
    finally:
        await queue.close()


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.name)
def test_a_start_that_the_disk_fails_is_refused_and_the_next_one_finds_everything(trouble: Trouble) -> None:
    with room_in_memory() as room:
        asyncio.run(each_failed_start(trouble, room))


async def each_failed_start(trouble: Trouble, room: Path) -> None:
    async with queue_in(room) as place:
        await place.work_on("j1")
        await place.queue.complete(await place.recorded("j2"), {})
        await place.enqueue("j3")
    nth, has_failed = 0, True
    while has_failed:
        nth += 1
        has_failed = await starts_later(trouble, nth, room)
        await all_there(room / "data", {"j1": State.PROCESSING, "j2": State.COMPLETED, "j3": State.PENDING})
    assert nth > 1 or trouble.calls is GROWING


async def starts_later(trouble: Trouble, nth: int, room: Path) -> bool:
    """Whether the disk failed under the start, which then is refused or goes well."""
    disk = Recording(room)
    queue = DirectoryQueue(room / "data", PlainProfiles(), FakeClock())
    sick_disk = disk.refuse = Sick(trouble, nth)
    with disk.watching():
        with suppress(QueueUnwritable):
            await queue.open()
        disk.refuse = lambda call, path: None
        await queue.close()
    return sick_disk.has_failed


def test_a_disk_that_takes_a_few_bytes_at_a_time_gets_them_all() -> None:
    with room_in_memory() as room:
        disk = Recording(room)
        disk.write_at_most = 7
        life = Life(disk, room / "data", FakeClock())
        with disk.watching():
            asyncio.run(everything(life))
        last = {
            job_id: told[-1].seen.state for (kind, job_id), told in life.told.items() if kind is Kind.AUDIO
        }
        asyncio.run(all_there(room / "data", last, prefix=""))


async def test_leases_are_frozen_not_lost_while_the_disk_fails(tmp_path: Path) -> None:
    async with queue_in(tmp_path / "room") as place:
        claim = await place.work_on("j1")
        place.clock.advance(1000)
        with sick(place, TROUBLES[2], 1):
            await place.queue.sweep()
            assert await place.state("j1") is State.PROCESSING
            with pytest.raises(QueueUnreachable):
                await place.queue.complete(claim, LINK)
        await place.queue.sweep()
        view = await place.queue.get(Kind.AUDIO, "j1")
        assert (view.state, view.job.retry_count) == (State.PENDING, 1)


async def test_a_job_dropped_by_hand_waits_for_the_disk(tmp_path: Path) -> None:
    async with queue_in(tmp_path / "room") as place:
        dropped = tmp_path / "room/data/audio-queue/pending/by-hand.json"
        dropped.write_text('{"script_text": "x"}')
        for nth in range(1, 20):
            with sick(place, TROUBLES[2], nth):
                await place.queue.rescan()
            if place.queue.matching("by-hand"):
                break
            assert dropped.exists()
        assert nth > 1
        assert await place.state("by-hand") is State.PENDING
        assert [path.name for path in dropped.parent.iterdir()] == ["by-hand.json"]


async def test_a_waiting_claim_that_the_disk_fails_leaves_the_job_to_the_next_that_waits(
    tmp_path: Path,
) -> None:
    async with queue_in(tmp_path / "room") as place:
        waiting = [
            asyncio.ensure_future(place.queue.claim(Kind.AUDIO, WorkerReport(by), claim_id=by, wait_s=30))
            for by in ("gpu-1", "gpu-2")
        ]
        await asyncio.sleep(0.05)
        with sick(place, Trouble("one rename fails", errno.EIO, frozenset({"rename"}), lasts=False), 2):
            await place.enqueue("j1")  # the first rename
            async with asyncio.timeout(5):
                refused, taken = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(refused, QueueUnwritable)
        assert isinstance(taken, Delivery) and taken.job.id == "j1"


async def test_a_queue_that_cannot_write_says_so_until_it_can(tmp_path: Path) -> None:
    async with queue_in(tmp_path / "room") as place:
        check = write_check(place.queue)
        assert check() is None
        for trouble in TROUBLES[1:]:
            with sick(place, trouble, 1), pytest.raises(QueueUnwritable):
                await place.enqueue("j1")
            assert check() == f"the last record could not be written: {os.strerror(trouble.error)}"
        await place.enqueue("j1")
        assert check() is None
