"""How long a claim is good, and what a claim that is not good any more can do: nothing."""

import asyncio

import pytest

from jobqueue.errors import LeaseLost
from jobqueue.job import Claim, Kind, Progress, WorkerReport
from jobqueue.lifecycle import State
from tests.queue.contract.calls import (
    HANDED_BACK,
    LEASE_S,
    RESULT,
    RETRY_CAP_S,
    STUCK_S,
    beat,
    claim_one,
    counts,
    enqueue,
    epoch_of,
    every_report,
    is_refused,
    started,
    state_of,
)
from tests.queue.engines import Engine


async def test_heartbeats_keep_a_lease_alive(engine: Engine) -> None:
    delivery = await started(engine)
    for _ in range(10):
        assert not await beat(engine)
        engine.clock.advance(LEASE_S - 1)
    await engine.workers.complete(delivery.claim, RESULT)


async def test_progress_keeps_a_lease_alive_too(engine: Engine) -> None:
    delivery = await started(engine)
    for percent in range(10):
        assert await engine.workers.progress(delivery.claim, Progress(percent)) is False
        engine.clock.advance(LEASE_S - 1)
    await engine.workers.complete(delivery.claim, RESULT)


async def test_an_hour_of_work_is_not_taken_away_for_its_age(engine: Engine) -> None:
    """Only silence ends a lease, and standing still; never how long ago the job was claimed."""
    delivery = await started(engine)
    for minute in range(60):
        await engine.workers.progress(delivery.claim, Progress(minute, f"minute {minute}"))
        engine.clock.advance(60)
        await engine.tend()
    await engine.workers.complete(delivery.claim, RESULT)
    assert (await engine.queue.get(Kind.AUDIO, "j1")).job.retry_count == 0


async def test_a_heartbeat_renews_only_ones_own_leases(engine: Engine) -> None:
    await started(engine, "j1", "gpu-1")
    await started(engine, "j2", "gpu-2")
    engine.clock.advance(LEASE_S - 1)
    await beat(engine, "gpu-1", "j1")
    engine.clock.advance(2)
    await engine.tend()
    assert (await state_of(engine, "j1"), await state_of(engine, "j2")) == (State.PROCESSING, State.PENDING)


async def test_a_heartbeat_that_names_a_job_keeps_no_other_of_the_same_worker(engine: Engine) -> None:
    """A worker that died and came again under its old name: what it had before goes to somebody else."""
    await started(engine, "before")
    now = await started(engine, "now")
    for _ in range(2):
        engine.clock.advance(LEASE_S - 1)
        assert not await beat(engine, job_id="now")
    assert await state_of(engine, "before") is State.PENDING
    await engine.workers.complete(now.claim, RESULT)


async def test_a_heartbeat_that_names_no_job_keeps_all_of_its_worker(engine: Engine) -> None:
    held = await started(engine)
    for _ in range(3):
        engine.clock.advance(LEASE_S - 1)
        await engine.workers.heartbeat(Kind.AUDIO, WorkerReport("gpu-1"))
    await engine.workers.complete(held.claim, RESULT)


async def test_a_heartbeat_on_the_way_before_the_work_began_keeps_the_new_job(engine: Engine) -> None:
    await enqueue(engine, "j1")
    held = await claim_one(engine)
    await engine.workers.heartbeat(Kind.AUDIO, WorkerReport("gpu-1"))
    engine.clock.advance(LEASE_S - 1)
    await engine.workers.complete(held.claim, RESULT)


async def test_a_worker_that_is_busy_and_does_not_say_with_what_keeps_all(engine: Engine) -> None:
    held = await started(engine)
    for _ in range(3):
        engine.clock.advance(LEASE_S - 1)
        await beat(engine, job_id=None)
    await engine.workers.complete(held.claim, RESULT)


async def test_the_plain_clients_job_is_kept_by_whatever_it_says(engine: Engine) -> None:
    await enqueue(engine, "j1")
    held = await claim_one(engine, claim_id=None)
    engine.clock.advance(LEASE_S)
    await engine.workers.progress(held.claim, Progress(50))
    engine.clock.advance(STUCK_S - LEASE_S - 1)
    await beat(engine, job_id="another")
    engine.clock.advance(LEASE_S - 1)
    await engine.tend()
    assert await state_of(engine) is State.PROCESSING


async def test_a_silent_worker_loses_its_job_to_the_next_one(engine: Engine) -> None:
    silent = await started(engine)
    engine.clock.advance(LEASE_S + 1)
    second = await claim_one(engine, "gpu-2", claim_id="c2")
    assert (second.job.id, second.job.attempt) == ("j1", 2)
    assert await is_refused(engine, silent.claim)
    await engine.workers.complete(second.claim, RESULT)


async def test_a_lost_job_is_named_in_the_next_heartbeat(engine: Engine) -> None:
    await started(engine)
    engine.clock.advance(LEASE_S + 1)
    assert await beat(engine) == {"j1"}


@pytest.mark.parametrize("report", ["complete", "fail", "release", "progress"])
async def test_a_worker_that_was_stopped_and_goes_on_after_its_lease_is_refused(
    engine: Engine, report: str
) -> None:
    """As after SIGSTOP: nobody has swept, nobody else has the job, and still it is too late."""
    delivery = await started(engine)
    engine.clock.advance(LEASE_S)
    with pytest.raises(LeaseLost):
        await every_report(engine, delivery.claim)[report]()
    view = await engine.queue.get(Kind.AUDIO, "j1")
    assert (view.state, view.job.retry_count) == (State.PENDING, 1)


async def test_a_worker_that_was_stopped_is_refused_when_its_job_is_back_in_line(engine: Engine) -> None:
    delivery = await started(engine)
    engine.clock.advance(LEASE_S + 1)
    await engine.tend()
    assert await state_of(engine) is State.PENDING
    assert await is_refused(engine, delivery.claim, but=HANDED_BACK)


async def test_a_worker_that_was_stopped_is_refused_when_another_has_finished_its_job(engine: Engine) -> None:
    zombie = await started(engine)
    engine.clock.advance(LEASE_S + 1)
    second = await claim_one(engine, "gpu-2", claim_id="c2")
    await engine.workers.complete(second.claim, {"gofile_link": "https://example.org/second"})
    assert await is_refused(engine, zombie.claim)
    job = (await engine.queue.get(Kind.AUDIO, "j1")).job
    assert (job.text("gofile_link"), job.text("worker_id")) == ("https://example.org/second", "gpu-2")


async def test_a_zombie_that_gets_the_job_anew_must_use_its_new_token(engine: Engine) -> None:
    first = await started(engine)
    engine.clock.advance(LEASE_S + 1)
    again = await claim_one(engine, "gpu-1", claim_id="c2")
    assert await is_refused(engine, first.claim)
    await engine.workers.complete(again.claim, RESULT)


async def test_the_sweeper_takes_nothing_that_was_finished_at_the_last_moment(engine: Engine) -> None:
    delivery = await started(engine)
    engine.clock.advance(LEASE_S - 0.001)
    async with asyncio.TaskGroup() as group:
        group.create_task(engine.workers.complete(delivery.claim, RESULT))
        group.create_task(engine.tend())
    engine.clock.advance(LEASE_S)
    await engine.tend()
    assert (counts(engine), await epoch_of(engine)) == ({"completed": 1}, 1)


async def test_a_sweep_and_a_late_completion_at_once_make_one_outcome(engine: Engine) -> None:
    delivery = await started(engine)
    engine.clock.advance(LEASE_S + 1)
    completing = asyncio.ensure_future(engine.workers.complete(delivery.claim, RESULT))
    sweeping = asyncio.ensure_future(engine.tend())
    await asyncio.wait({completing, sweeping})
    assert isinstance(completing.exception(), LeaseLost)
    sweeping.result()
    view = await engine.queue.get(Kind.AUDIO, "j1")
    assert (view.state, view.job.retry_count, view.job.epoch) == (State.PENDING, 1, 2)


async def test_the_plain_client_may_be_silent_for_half_an_hour(engine: Engine) -> None:
    await enqueue(engine, "j1")
    await claim_one(engine, claim_id=None)
    engine.clock.advance(STUCK_S - 1)
    await engine.workers.complete(Claim(Kind.AUDIO, "j1", "gpu-1", token=None), RESULT)
    assert await state_of(engine) is State.COMPLETED


async def test_a_worker_without_progress_is_stuck_in_spite_of_heartbeats(engine: Engine) -> None:
    await started(engine)
    for _ in range(STUCK_S // 60):
        await beat(engine)
        engine.clock.advance(60)
    assert await beat(engine) == {"j1"}


async def test_a_job_that_kills_its_workers_ends_in_failed(engine: Engine) -> None:
    await enqueue(engine, "poison", chat_id=5)
    for attempt in (1, 2, 3):
        delivery = await claim_one(engine, f"gpu-{attempt}", claim_id=f"c{attempt}")
        assert delivery.job.attempt == attempt
        engine.clock.advance(LEASE_S + 1)
    await engine.tend()
    view = await engine.queue.get(Kind.AUDIO, "poison")
    assert (view.state, view.job.retry_count) == (State.FAILED, 3)
    assert "fell silent" in view.job.text("error_message")


async def test_failures_and_silences_count_together_also_across_restarts(engine: Engine) -> None:
    await enqueue(engine, "poison")
    await engine.workers.fail((await claim_one(engine, claim_id="c1")).claim, "no luck")
    engine.clock.advance(3600)
    await engine.restart()
    await claim_one(engine, claim_id="c2")
    engine.clock.advance(LEASE_S + 1)
    await engine.restart()
    engine.clock.advance(LEASE_S + 1)
    assert (await claim_one(engine, claim_id="c3")).job.attempt == 3
    engine.clock.advance(LEASE_S + 1)
    await engine.tend()
    assert counts(engine) == {"failed": 1}


async def test_the_epoch_rises_each_time_a_job_comes_back_and_never_falls(engine: Engine) -> None:
    await enqueue(engine, "j1")
    epochs = [await epoch_of(engine)]
    await engine.workers.release((await claim_one(engine, claim_id="c1")).claim)
    epochs.append(await epoch_of(engine))
    await claim_one(engine, claim_id="c2")
    engine.clock.advance(LEASE_S + 1)
    await engine.tend()
    epochs.append(await epoch_of(engine))
    await engine.restart()
    await engine.workers.fail((await claim_one(engine, claim_id="c3")).claim, "no luck", permanent=True)
    await engine.queue.retry(Kind.AUDIO, "j1", by="ann")
    epochs.append(await epoch_of(engine))
    await engine.queue.cancel(Kind.AUDIO, "j1", by="ann")
    await engine.queue.retry(Kind.AUDIO, "j1", by="ann")
    epochs.append(await epoch_of(engine))
    assert epochs == sorted(set(epochs))


# --- tokens


@pytest.mark.parametrize("token", ["", "0", "1", "1.", "1.beef", "ü", "1." + "0" * 64, "-1." + "f" * 64])
async def test_a_token_that_a_worker_made_up_is_refused(engine: Engine, token: str) -> None:
    await started(engine)
    assert await is_refused(engine, Claim(Kind.AUDIO, "j1", "gpu-1", token))


async def test_the_token_of_another_job_or_another_worker_is_refused(engine: Engine) -> None:
    one, two = await started(engine, "j1"), await started(engine, "j2")
    assert await is_refused(engine, Claim(Kind.AUDIO, "j1", "gpu-1", two.claim.token))
    assert await is_refused(engine, Claim(Kind.AUDIO, "j1", "gpu-2", one.claim.token))
    await engine.workers.complete(one.claim, RESULT)


async def test_nobody_reports_on_a_job_that_nobody_has(engine: Engine) -> None:
    await enqueue(engine, "j1")
    for token in (None, "", "0", "1.beef"):
        assert await is_refused(engine, Claim(Kind.AUDIO, "j1", "gpu-1", token))


async def test_another_worker_without_a_token_is_not_believed(engine: Engine) -> None:
    await started(engine)
    assert await is_refused(engine, Claim(Kind.AUDIO, "j1", "gpu-2", None))


async def test_the_holder_without_its_token_is_believed_while_it_holds_the_job(engine: Engine) -> None:
    await started(engine)
    engine.clock.advance(LEASE_S + 1)
    await engine.tend()
    assert await is_refused(engine, Claim(Kind.AUDIO, "j1", "gpu-1", None), but=HANDED_BACK)


async def test_progress_is_refused_to_who_never_had_the_job(engine: Engine) -> None:
    await started(engine)
    with pytest.raises(LeaseLost):
        await engine.workers.progress(Claim(Kind.AUDIO, "j1", "gpu-9", None), Progress(99))
    assert (await engine.queue.get(Kind.AUDIO, "j1")).progress is None


# --- clocks


@pytest.mark.parametrize("jump_s", [-10 * 365 * 24 * 3600, -3600, 3600, 3 * 365 * 24 * 3600])
async def test_a_wall_clock_that_is_set_changes_no_lease(engine: Engine, jump_s: float) -> None:
    delivery = await started(engine)
    engine.clock.set_wall_clock(engine.clock.now() + jump_s)
    await engine.tend()
    assert await state_of(engine) is State.PROCESSING
    engine.clock.advance(LEASE_S - 1)
    assert not await beat(engine)
    engine.clock.advance(LEASE_S - 1)
    await engine.workers.complete(delivery.claim, RESULT)


@pytest.mark.parametrize("jump_s", [-10 * 365 * 24 * 3600, 3600])
async def test_a_wall_clock_that_is_set_keeps_no_silent_worker_alive(engine: Engine, jump_s: float) -> None:
    await started(engine)
    engine.clock.set_wall_clock(engine.clock.now() + jump_s)
    engine.clock.advance(LEASE_S + 1)
    await engine.tend()
    assert await state_of(engine) is State.PENDING


async def test_delayed_jobs_go_by_the_wall_clock(engine: Engine) -> None:
    now = engine.clock.now()
    await enqueue(engine, "later", not_before="2030-01-01T00:00:00Z")
    engine.clock.set_wall_clock(now - 3600)
    assert await engine.workers.claim(Kind.AUDIO, WorkerReport("gpu-1")) is None
    engine.clock.set_wall_clock(1_893_456_000.0)
    assert (await claim_one(engine)).job.id == "later"


async def test_the_order_holds_when_the_wall_clock_is_set_back(engine: Engine) -> None:
    await enqueue(engine, "first")
    engine.clock.advance(10)
    await enqueue(engine, "second", priority=1)
    engine.clock.set_wall_clock(engine.clock.now() - 600)
    await enqueue(engine, "third", priority=-1)
    assert [(await claim_one(engine, claim_id=f"c{n}")).job.id for n in range(3)] == [
        "second",
        "first",
        "third",
    ]


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_backoff_ends_in_time_when_the_wall_clock_is_set_back(engine: Engine, restarts: bool) -> None:
    await engine.workers.fail((await started(engine)).claim, "no luck")
    await enqueue(engine, "later", not_before="2030-01-01T00:00:00Z")
    engine.clock.set_wall_clock(engine.clock.now() - 24 * 3600)
    if restarts:
        await engine.restart()
    await engine.tend()
    engine.clock.advance(RETRY_CAP_S + 1)
    assert (await claim_one(engine, claim_id="c2")).job.id == "j1"
    assert await engine.workers.claim(Kind.AUDIO, WorkerReport("gpu-1"), claim_id="c3") is None


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_job_accepted_while_the_clock_was_ahead_keeps_its_place(
    engine: Engine, restarts: bool
) -> None:
    right = engine.clock.now()
    engine.clock.set_wall_clock(right + 365 * 24 * 3600)
    await enqueue(engine, "first")
    engine.clock.set_wall_clock(right)
    if restarts:
        await engine.restart()
    await engine.tend()
    engine.clock.advance(1)
    await enqueue(engine, "second")
    assert (await claim_one(engine)).job.id == "first"


async def test_a_job_from_a_machine_whose_clock_is_ahead_does_not_wait_for_ever(engine: Engine) -> None:
    await enqueue(engine, "ahead", created_at="2099-01-01T00:00:00Z")
    engine.clock.advance(1)
    await enqueue(engine, "later")
    assert (await claim_one(engine)).job.id == "ahead"
