"""A paused queue or worker finishes what it has and gets no more; everything else goes on."""

import asyncio
import json
from pathlib import Path

from jobqueue.directory import DirectoryQueue
from jobqueue.job import Delivery, Kind, WorkerReport
from jobqueue.lifecycle import State
from tests.clock import FakeClock
from tests.profiles import PlainProfiles


async def enqueue(queue: DirectoryQueue, job_id: str) -> None:
    await queue.enqueue(Kind.AUDIO, {"job_id": job_id, "script_text": "words"})


async def claim(
    queue: DirectoryQueue, by: str = "gpu-1", *, wait_s: float = 0, claim_id: str | None = None
) -> Delivery | None:
    return await queue.claim(Kind.AUDIO, WorkerReport(by), wait_s=wait_s, claim_id=claim_id)


async def waiting(queue: DirectoryQueue, by: str) -> "asyncio.Task[Delivery | None]":
    """A claim that has begun to wait."""
    task = asyncio.ensure_future(claim(queue, by, wait_s=30, claim_id=f"claim-of-{by}"))
    await asyncio.sleep(0.05)
    assert not task.done()
    return task


async def test_a_paused_queue_hands_out_nothing_and_still_accepts(queue: DirectoryQueue) -> None:
    await enqueue(queue, "before")
    await queue.pause(Kind.AUDIO)
    await enqueue(queue, "after")
    assert await claim(queue) is None
    assert queue.stats(Kind.AUDIO)["paused"] is True
    assert queue.stats(Kind.VIDEO)["paused"] is False
    assert queue.stats(Kind.AUDIO)["pending"] == 2
    await queue.resume(Kind.AUDIO)
    assert queue.stats(Kind.AUDIO)["paused"] is False
    delivery = await claim(queue)
    assert delivery is not None
    assert delivery.job.id == "before"


async def test_what_is_claimed_is_finished_in_a_paused_queue(queue: DirectoryQueue, clock: FakeClock) -> None:
    await enqueue(queue, "j1")
    delivery = await claim(queue, claim_id="c1")
    assert delivery is not None
    await queue.pause(Kind.AUDIO)
    repeated = await claim(queue, claim_id="c1")
    assert repeated is not None
    assert repeated.claim == delivery.claim  # its reply got lost: the job is that worker's all the same
    clock.advance(10)
    orders = await queue.heartbeat(Kind.AUDIO, WorkerReport("gpu-1", "busy", "j1"))
    assert not orders.lost
    await queue.complete(delivery.claim, {"gofile_link": "https://example.org/1"})
    assert (await queue.get(Kind.AUDIO, "j1")).state is State.COMPLETED


async def test_nobody_is_told_when_a_paused_queue_will_be_done(
    queue: DirectoryQueue, clock: FakeClock
) -> None:
    await enqueue(queue, "j1")
    delivery = await claim(queue)
    assert delivery is not None
    clock.advance(60)
    await queue.complete(delivery.claim, {"gofile_link": "https://example.org/1"})
    await enqueue(queue, "j2")
    assert (await queue.get(Kind.AUDIO, "j2")).eta_s is not None
    await queue.pause(Kind.AUDIO)
    assert (await queue.get(Kind.AUDIO, "j2")).eta_s is None


async def test_a_draining_worker_gets_no_job_while_others_do(queue: DirectoryQueue) -> None:
    await queue.pause(Kind.AUDIO, "gpu-1")
    draining = await waiting(queue, "gpu-1")
    other = await waiting(queue, "gpu-2")
    await enqueue(queue, "j1")
    async with asyncio.timeout(2):
        delivery = await other
    assert delivery is not None  # the job woke the worker that may have it, not the one that waited longer
    await asyncio.sleep(0.05)
    assert not draining.done()
    await enqueue(queue, "j2")
    await queue.resume(Kind.AUDIO, "gpu-1")
    async with asyncio.timeout(2):
        second = await draining
    assert second is not None
    assert second.job.id == "j2"


async def test_a_claim_that_waits_already_is_held_back_too(queue: DirectoryQueue) -> None:
    draining = await waiting(queue, "gpu-1")
    other = await waiting(queue, "gpu-2")
    await queue.pause(Kind.AUDIO, "gpu-1")
    await asyncio.sleep(0.05)
    await enqueue(queue, "j1")
    async with asyncio.timeout(2):
        delivery = await other
    assert delivery is not None
    assert not draining.done()
    queue.dismiss_waiting()
    assert await draining is None


async def test_resume_wakes_as_many_claims_as_there_are_jobs(queue: DirectoryQueue) -> None:
    await queue.pause(Kind.AUDIO)
    tasks = [await waiting(queue, f"gpu-{number}") for number in range(5)]
    for number in range(3):
        await enqueue(queue, f"j{number}")
    await asyncio.sleep(0.05)
    assert not any(task.done() for task in tasks)
    await queue.resume(Kind.AUDIO)
    async with asyncio.timeout(2):
        while sum(task.done() for task in tasks) < 3:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    assert sum(task.done() for task in tasks) == 3
    queue.dismiss_waiting()
    deliveries = [delivery for task in tasks if (delivery := await task)]
    assert {delivery.job.id for delivery in deliveries} == {"j0", "j1", "j2"}


async def test_a_held_back_claim_does_not_spin(queue: DirectoryQueue) -> None:
    await enqueue(queue, "j1")
    await queue.pause(Kind.AUDIO)
    asked = 0
    holds_back = queue.pauses.holds_back

    def counting(kind: Kind, worker_id: str) -> bool:
        nonlocal asked
        asked += 1
        return holds_back(kind, worker_id)

    queue.pauses.holds_back = counting  # type: ignore[method-assign]
    task = asyncio.ensure_future(claim(queue, wait_s=30))
    await asyncio.sleep(0.3)
    assert asked <= 4
    queue.dismiss_waiting()
    assert await task is None


async def test_a_pause_survives_a_restart(data_dir: Path, clock: FakeClock) -> None:
    queue = DirectoryQueue(data_dir, PlainProfiles(), clock)
    await queue.open()
    await enqueue(queue, "j1")
    await queue.pause(Kind.AUDIO, "gpu-1")
    await queue.pause(Kind.VIDEO)
    await queue.close()
    again = DirectoryQueue(data_dir, PlainProfiles(), clock)
    await again.open()
    assert again.stats(Kind.VIDEO)["paused"] is True
    assert await claim(again, "gpu-1") is None
    assert await claim(again, "gpu-2") is not None
    await again.resume(Kind.VIDEO)
    await again.close()
    assert json.loads((data_dir / "paused.json").read_text()) == {
        "audio": {"queue": False, "workers": ["gpu-1"]},
        "video": {"queue": False, "workers": []},
    }


async def test_an_unreadable_file_is_set_aside_and_pauses_nothing(data_dir: Path, clock: FakeClock) -> None:
    data_dir.mkdir()
    for content in ("{", '{"audio": ["gpu-1"]}', "[]", '{"audio": {"workers": 3}}'):
        (data_dir / "paused.json").write_text(content)
        queue = DirectoryQueue(data_dir, PlainProfiles(), clock)
        await queue.open()
        assert queue.stats(Kind.AUDIO)["paused"] is False
        await queue.close()
        assert not (data_dir / "paused.json").exists()
    assert len(list((data_dir / "corrupt").glob("*paused.json"))) == 4
