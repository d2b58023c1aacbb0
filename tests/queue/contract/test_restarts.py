"""The process ends, killed or politely, and the next one goes on where it was."""

import pytest

from jobqueue.job import Kind, WorkerReport
from jobqueue.lifecycle import State
from tests.queue.contract.calls import (
    FIRST_LEASE_S,
    LEASE_S,
    RESULT,
    STUCK_S,
    beat,
    claim_one,
    enqueue,
    is_refused,
    started,
    state_of,
)
from tests.queue.engines import Engine

both_ends = pytest.mark.parametrize("killed", [True, False], ids=["killed", "stopped"])


@both_ends
async def test_everything_is_found_again(engine: Engine, killed: bool) -> None:
    for job_id in ("done", "dead", "works", "waits", "off"):
        await enqueue(engine, job_id)
        engine.clock.advance(1)
    await engine.queue.cancel(Kind.AUDIO, "off", by="ann")
    done, dead = await claim_one(engine, claim_id="c1"), await claim_one(engine, claim_id="c2")
    await claim_one(engine, claim_id="c3")
    await engine.workers.complete(done.claim, RESULT)
    await engine.workers.fail(dead.claim, "no luck", permanent=True)
    await engine.restart(killed=killed)
    found = {name: await state_of(engine, name) for name in ("done", "dead", "works", "waits", "off")}
    assert found == {
        "done": State.COMPLETED,
        "dead": State.FAILED,
        "works": State.PROCESSING,
        "waits": State.PENDING,
        "off": State.CANCELLED,
    }


@both_ends
async def test_a_worker_that_outlives_the_queue_keeps_its_job(engine: Engine, killed: bool) -> None:
    delivery = await started(engine)
    engine.clock.advance(LEASE_S - 1)
    await engine.restart(killed=killed)
    engine.clock.advance(LEASE_S - 1)
    assert not await beat(engine)
    await engine.workers.complete(delivery.claim, RESULT)
    assert (await engine.queue.get(Kind.AUDIO, "j1")).job.retry_count == 0


async def test_a_worker_that_does_not_outlive_it_loses_its_job_a_lease_later(engine: Engine) -> None:
    await started(engine)
    await engine.restart()
    await engine.tend()
    assert await state_of(engine) is State.PROCESSING
    engine.clock.advance(LEASE_S + 1)
    await engine.tend()
    view = await engine.queue.get(Kind.AUDIO, "j1")
    assert (view.state, view.job.retry_count) == (State.PENDING, 1)


async def test_the_plain_client_keeps_its_half_hour(engine: Engine) -> None:
    await enqueue(engine, "j1")
    held = await claim_one(engine, claim_id=None)
    await engine.restart()
    engine.clock.advance(STUCK_S - 1)
    await engine.workers.complete(held.claim, RESULT)


async def test_a_claim_whose_reply_was_lost_in_the_crash_gets_the_same_job(engine: Engine) -> None:
    await enqueue(engine, "j1")
    await enqueue(engine, "j2")
    first = await claim_one(engine)
    await engine.restart()
    second = await claim_one(engine)
    assert (first.job.id, first.claim) == (second.job.id, second.claim)
    engine.clock.advance(FIRST_LEASE_S - 1)
    await engine.workers.complete(second.claim, RESULT)


async def test_a_zombie_is_refused_by_the_next_life_too(engine: Engine) -> None:
    zombie = await started(engine)
    engine.clock.advance(LEASE_S + 1)
    await claim_one(engine, "gpu-2", claim_id="c2")
    await engine.restart()
    assert await is_refused(engine, zombie.claim)


async def test_a_cancelled_job_stays_so_and_its_worker_hears_of_it(engine: Engine) -> None:
    delivery = await started(engine)
    await engine.queue.cancel(Kind.AUDIO, "j1", by="ann")
    await engine.restart()
    orders = await engine.workers.heartbeat(Kind.AUDIO, WorkerReport("gpu-1", "busy", "j1"))
    assert orders.cancel == {"j1"}
    assert await state_of(engine) is State.CANCELLED
    assert delivery.job.id == "j1"


@both_ends
async def test_the_order_survives(engine: Engine, killed: bool) -> None:
    for job_id, priority in (("b", 0), ("a", 0), ("urgent", 4)):
        await enqueue(engine, job_id, priority=priority)
        engine.clock.advance(1)
    await engine.queue.reprioritize(Kind.AUDIO, "a", 2)
    await engine.restart(killed=killed)
    assert [(await claim_one(engine, claim_id=f"c{n}")).job.id for n in range(3)] == ["urgent", "a", "b"]


async def test_a_delay_survives(engine: Engine) -> None:
    await enqueue(engine, "later", not_before="2030-01-01T00:00:00Z")
    verdict = await engine.workers.fail((await started(engine)).claim, "no luck")
    await engine.restart()
    assert await engine.workers.claim(Kind.AUDIO, WorkerReport("gpu-1")) is None
    assert verdict.not_before is not None
    engine.clock.set_wall_clock(verdict.not_before + 0.01)
    assert (await claim_one(engine)).job.id == "j1"


@both_ends
async def test_numbers_are_never_given_twice(engine: Engine, killed: bool) -> None:
    numbers = []
    for life in range(3):
        for number in range(2):
            job_id = await enqueue(engine, f"j{life}{number}")
            numbers.append((await engine.queue.get(Kind.AUDIO, job_id)).job.number("audio_counter") or 0)
        await engine.restart(killed=killed)
    assert numbers == sorted(set(numbers))


async def test_attempts_survive(engine: Engine) -> None:
    await engine.workers.fail((await started(engine)).claim, "no luck")
    await engine.restart()
    engine.clock.advance(3600)
    assert (await claim_one(engine)).job.attempt == 2


async def test_a_chain_of_restarts_loses_nothing_and_counts_nothing(engine: Engine) -> None:
    delivery = await started(engine)
    for life in range(4):
        await engine.restart(killed=life % 2 == 0)
        engine.clock.advance(LEASE_S - 1)
    await engine.workers.complete(delivery.claim, RESULT)
    assert (await engine.queue.get(Kind.AUDIO, "j1")).job.retry_count == 0
