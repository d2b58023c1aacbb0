"""Who gets which job: one worker each, in order, and again if the answer was lost."""

import asyncio

import pytest

from jobqueue.errors import LeaseLost
from jobqueue.job import Claim, Kind, WorkerReport
from jobqueue.lifecycle import State
from tests.queue.contract.calls import (
    FIRST_LEASE_S,
    LEASE_S,
    RESULT,
    beat,
    claim,
    claim_one,
    counts,
    enqueue,
    eventually,
    started,
    state_of,
)
from tests.queue.engines import Engine


async def test_a_job_goes_from_pending_through_processing_to_completed(engine: Engine) -> None:
    await enqueue(engine, "j1")
    assert await state_of(engine) is State.PENDING
    delivery = await claim_one(engine)
    assert delivery.job.text("script_text") == "script of j1"
    assert await state_of(engine) is State.PROCESSING
    await engine.workers.complete(delivery.claim, RESULT)
    assert await state_of(engine) is State.COMPLETED


async def test_an_empty_queue_gives_nothing(engine: Engine) -> None:
    assert await claim(engine) is None


async def test_each_job_goes_to_one_worker_however_many_ask(engine: Engine) -> None:
    for number in range(20):
        await enqueue(engine, f"j{number}")
    async with asyncio.TaskGroup() as group:
        claims = [group.create_task(claim(engine, f"gpu-{n}", claim_id=f"c{n}")) for n in range(30)]
    taken = [delivery.job.id for each in claims if (delivery := each.result())]
    assert len(taken) == len(set(taken)) == 20


async def test_each_kind_has_a_line_of_its_own(engine: Engine) -> None:
    await enqueue(engine, "j1")
    await engine.queue.enqueue(Kind.VIDEO, {"job_id": "v1"})
    assert (await claim_one(engine)).job.id == "j1"
    assert await claim(engine, claim_id="c2") is None
    video = await engine.workers.claim(Kind.VIDEO, WorkerReport("bot"))
    assert video is not None and video.job.id == "v1"


async def test_higher_priority_goes_first_then_age(engine: Engine) -> None:
    for job_id, priority in (("old", 0), ("urgent", 5), ("young", 0), ("low", -1)):
        await enqueue(engine, job_id, priority=priority)
        engine.clock.advance(1)
    taken = [(await claim_one(engine, claim_id=f"c{n}")).job.id for n in range(4)]
    assert taken == ["urgent", "old", "young", "low"]


async def test_nobody_starves_age_outgrows_priority(engine: Engine) -> None:
    await enqueue(engine, "patient")
    engine.clock.advance(6 * 3600)
    await enqueue(engine, "urgent", priority=5)
    assert (await claim_one(engine)).job.id == "patient"


async def test_priority_can_be_changed_while_a_job_waits(engine: Engine) -> None:
    await enqueue(engine, "first")
    engine.clock.advance(1)
    await enqueue(engine, "second")
    assert (await engine.queue.get(Kind.AUDIO, "second")).position == 2
    await engine.queue.reprioritize(Kind.AUDIO, "second", 9)
    assert (await engine.queue.get(Kind.AUDIO, "second")).position == 1
    assert (await claim_one(engine)).job.id == "second"


async def test_a_job_that_comes_back_keeps_its_priority_and_its_place(engine: Engine) -> None:
    """After silence, a release and a failure alike."""
    await enqueue(engine, "first", priority=3)
    engine.clock.advance(1)
    await enqueue(engine, "second", priority=3)
    await claim_one(engine, claim_id="c1")
    engine.clock.advance(LEASE_S + 1)
    lost = await claim_one(engine, claim_id="c2")
    assert (lost.job.id, lost.job.priority) == ("first", 3)
    await engine.workers.release(lost.claim)
    released = await claim_one(engine, claim_id="c3")
    assert (released.job.id, released.job.priority) == ("first", 3)
    await engine.workers.fail(released.claim, "no luck")
    engine.clock.advance(3600)
    await engine.tend()
    assert (await claim_one(engine, claim_id="c4")).job.id == "first"


async def test_a_job_is_not_handed_out_before_its_time(engine: Engine) -> None:
    await enqueue(engine, "later", not_before="2030-01-01T00:00:00Z")
    assert await claim(engine) is None
    engine.clock.set_wall_clock(1_893_456_001.0)
    assert (await claim_one(engine)).job.id == "later"


async def test_a_delayed_job_holds_nobody_up(engine: Engine) -> None:
    await enqueue(engine, "later", priority=9, not_before="2030-01-01T00:00:00Z")
    await enqueue(engine, "now")
    assert (await claim_one(engine)).job.id == "now"


# --- answers that get lost


async def test_a_claim_whose_reply_was_lost_is_repeated_and_gets_the_same_job(engine: Engine) -> None:
    await enqueue(engine, "j1")
    await enqueue(engine, "j2")
    first, second = await claim_one(engine), await claim_one(engine)
    assert (first.job, first.claim) == (second.job, second.claim)
    assert counts(engine) == {"pending": 1, "processing": 1}


async def test_a_claim_repeated_while_it_is_being_served_gets_the_same_job(engine: Engine) -> None:
    for number in range(3):
        await enqueue(engine, f"j{number}")
    first, second = await asyncio.gather(claim(engine, claim_id="c1"), claim(engine, claim_id="c1"))
    assert first is not None and second is not None
    assert first.job.id == second.job.id


async def test_claims_of_other_workers_are_other_claims_though_they_have_the_same_id(engine: Engine) -> None:
    await enqueue(engine, "j1")
    await enqueue(engine, "j2")
    assert (await claim_one(engine, "gpu-1")).job.id == "j1"
    assert (await claim_one(engine, "gpu-2")).job.id == "j2"


async def test_a_claim_id_used_again_after_its_job_has_ended_gets_the_next_one(engine: Engine) -> None:
    await enqueue(engine, "j1")
    await engine.workers.complete((await claim_one(engine)).claim, RESULT)
    await enqueue(engine, "j2")
    assert (await claim_one(engine)).job.id == "j2"


async def test_a_claim_whose_reply_was_lost_is_over_after_its_first_short_lease(engine: Engine) -> None:
    await enqueue(engine, "j1")
    await claim_one(engine)
    engine.clock.advance(FIRST_LEASE_S + 1)
    assert (await claim_one(engine, "gpu-2", claim_id="c2")).job.attempt == 2


async def test_a_caller_that_goes_while_it_is_served_takes_nothing_along(engine: Engine) -> None:
    """At every step of the claim, and cancelled twice."""
    await enqueue(engine, "j1")
    for turns in range(12):
        claiming = asyncio.ensure_future(claim(engine, claim_id=f"c{turns}"))
        for _ in range(turns):
            await asyncio.sleep(0)
        claiming.cancel()
        await asyncio.sleep(0)
        claiming.cancel()
        await asyncio.wait({claiming})
        if not claiming.cancelled():
            delivery = claiming.result()
            assert delivery is not None
            await engine.workers.release(delivery.claim)
        if engine.has_wire:
            # Its answer may have been on the way already: the same claim, repeated, has the job then.
            answered = await claim(engine, claim_id=f"c{turns}")
            assert answered is not None
            await engine.workers.release(answered.claim)
        await eventually(lambda: _is_back(engine))
        assert (await engine.queue.get(Kind.AUDIO, "j1")).job.retry_count == 0


async def _is_back(engine: Engine) -> bool:
    return await state_of(engine) is State.PENDING


# --- waiting for a job


async def test_a_waiting_claim_gets_the_job_that_comes_and_one_job_wakes_one(engine: Engine) -> None:
    waiting = [asyncio.ensure_future(_waits(engine, f"gpu-{n}")) for n in "ab"]
    await asyncio.sleep(0.05)
    await enqueue(engine, "j1")
    done, still = await asyncio.wait(waiting, timeout=5, return_when=asyncio.FIRST_COMPLETED)
    assert len(done) == len(still) == 1
    await enqueue(engine, "j2")
    await asyncio.wait(still, timeout=5)
    assert {each.result() for each in waiting} == {"j1", "j2"}


async def test_a_waiting_claim_gets_a_job_that_comes_back(engine: Engine) -> None:
    """Released, revived, or lost by another."""
    held = await started(engine)
    waiting = asyncio.ensure_future(_waits(engine, "gpu-2"))
    await asyncio.sleep(0.05)
    await engine.workers.release(held.claim)
    async with asyncio.timeout(5):
        assert await waiting == "j1"


async def test_a_claim_that_gave_up_waiting_takes_no_job_with_it(engine: Engine) -> None:
    gone = asyncio.ensure_future(_waits(engine, "gone"))
    stays = asyncio.ensure_future(_waits(engine, "stays"))
    await asyncio.sleep(0.05)
    gone.cancel()
    await asyncio.wait({gone})
    await asyncio.sleep(0.05)
    await enqueue(engine, "j1")
    async with asyncio.timeout(5):
        assert await stays == "j1"


async def test_claims_with_the_same_id_wait_side_by_side_if_worker_or_kind_is_another(engine: Engine) -> None:
    waiting = [
        asyncio.ensure_future(_waits(engine, by, kind, claim_id="c1"))
        for by, kind in (("gpu-1", Kind.AUDIO), ("gpu-2", Kind.AUDIO), ("gpu-1", Kind.VIDEO))
    ]
    await asyncio.sleep(0.05)
    await enqueue(engine, "j1")
    await enqueue(engine, "j2")
    await engine.queue.enqueue(Kind.VIDEO, {"job_id": "v1"})
    async with asyncio.timeout(5):
        assert sorted(str(each) for each in await asyncio.gather(*waiting)) == ["j1", "j2", "v1"]


async def _waits(
    engine: Engine, by: str, kind: Kind = Kind.AUDIO, *, claim_id: str | None = None
) -> str | None:
    delivery = await engine.workers.claim(kind, WorkerReport(by), claim_id=claim_id or f"of-{by}", wait_s=30)
    return delivery.job.id if delivery is not None else None


# --- whose it is


async def test_a_worker_that_starts_again_under_a_new_name_has_nothing_of_the_old_one(engine: Engine) -> None:
    """A name is the machine's and a nonce of the boot: two lives are two workers."""
    old = await started(engine, by="box-1a2b")
    assert await beat(engine, "box-9f8e", "j1") == {"j1"}
    with pytest.raises(LeaseLost):
        await engine.workers.complete(Claim(Kind.AUDIO, "j1", "box-9f8e", old.claim.token), RESULT)
    with pytest.raises(LeaseLost):
        await engine.workers.complete(Claim(Kind.AUDIO, "j1", "box-9f8e", None), RESULT)
    engine.clock.advance(LEASE_S - 1)
    await beat(engine, "box-9f8e", None)
    engine.clock.advance(2)
    await engine.tend()
    assert await state_of(engine) is State.PENDING


async def test_names_that_could_be_mistaken_for_each_other_are_not(engine: Engine) -> None:
    """Worker `gpu` with job `1-abc`, worker `gpu_1` with job `abc`: two jobs, two holders."""
    await enqueue(engine, "1-abc")
    one = await claim_one(engine, "gpu", claim_id="c1")
    await enqueue(engine, "abc")
    two = await claim_one(engine, "gpu_1", claim_id="c2")
    await engine.restart()
    with pytest.raises(LeaseLost):
        await engine.workers.complete(Claim(Kind.AUDIO, "abc", "gpu", None), RESULT)
    await engine.workers.complete(one.claim, RESULT)
    await engine.workers.complete(two.claim, RESULT)


async def test_two_workers_empty_a_queue_together_each_job_once(engine: Engine) -> None:
    for number in range(30):
        await enqueue(engine, f"j{number}")
    done: list[str] = []

    async def work(name: str) -> None:
        while (delivery := await claim(engine, name, claim_id=f"{name}-{len(done)}")) is not None:
            await engine.workers.complete(delivery.claim, RESULT)
            done.append(delivery.job.id)

    async with asyncio.TaskGroup() as group:
        for name in ("gpu-1", "gpu-2", "gpu-3", "gpu-4"):
            group.create_task(work(name))
    assert sorted(done) == sorted(f"j{number}" for number in range(30))
    assert counts(engine) == {"completed": 30}
