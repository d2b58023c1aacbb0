"""What people decide, and what they can see."""

import pytest

from jobqueue.backend import Filter
from jobqueue.errors import InvalidTransition, JobNotFound
from jobqueue.job import Kind, Progress
from jobqueue.lifecycle import State
from tests.queue.contract.calls import (
    RESULT,
    claim,
    claim_one,
    counts,
    enqueue,
    is_refused,
    started,
    state_of,
)
from tests.queue.engines import Engine


async def test_a_waiting_job_can_be_cancelled_and_brought_back(engine: Engine) -> None:
    await enqueue(engine, "j1")
    assert (await engine.queue.cancel(Kind.AUDIO, "j1", by="ann")).state is State.CANCELLED
    assert await claim(engine) is None
    with pytest.raises(InvalidTransition):
        await engine.queue.cancel(Kind.AUDIO, "j1", by="ann")
    assert (await engine.queue.retry(Kind.AUDIO, "j1", by="ann")).state is State.PENDING
    assert (await claim_one(engine)).job.attempt == 1


async def test_a_failed_job_starts_anew_when_retried(engine: Engine) -> None:
    delivery = await started(engine)
    await engine.workers.fail(delivery.claim, "no words in it", permanent=True)
    view = await engine.queue.retry(Kind.AUDIO, "j1", by="ann")
    assert (view.state, view.job.retry_count, view.job.not_before) == (State.PENDING, 0, None)
    assert await is_refused(engine, delivery.claim)
    for attempt in (1, 2, 3):
        again = await claim_one(engine, claim_id=f"again-{attempt}")
        assert again.job.attempt == attempt
        await engine.workers.fail(again.claim, "no luck")
        engine.clock.advance(3600)
    assert await state_of(engine) is State.FAILED


async def test_a_finished_job_can_neither_be_cancelled_nor_retried(engine: Engine) -> None:
    await engine.workers.complete((await started(engine)).claim, RESULT)
    for decision in (
        engine.queue.cancel(Kind.AUDIO, "j1", by="ann"),
        engine.queue.retry(Kind.AUDIO, "j1", by="ann"),
        engine.queue.reprioritize(Kind.AUDIO, "j1", 1),
    ):
        with pytest.raises(InvalidTransition):
            await decision
    assert await state_of(engine) is State.COMPLETED


async def test_only_a_waiting_job_changes_its_priority(engine: Engine) -> None:
    await started(engine)
    with pytest.raises(InvalidTransition):
        await engine.queue.reprioritize(Kind.AUDIO, "j1", 1)


async def test_a_job_nobody_knows_cannot_be_decided_on(engine: Engine) -> None:
    for decision in (
        engine.queue.cancel(Kind.AUDIO, "nobody", by="ann"),
        engine.queue.retry(Kind.AUDIO, "nobody", by="ann"),
        engine.queue.reprioritize(Kind.AUDIO, "nobody", 1),
        engine.queue.logs(Kind.AUDIO, "nobody"),
    ):
        with pytest.raises(JobNotFound):
            await decision


async def test_what_happened_to_a_job_can_be_read_afterwards(engine: Engine) -> None:
    delivery = await started(engine)
    await engine.workers.progress(delivery.claim, Progress(50, "speaking", 1, 2))
    await engine.workers.fail(delivery.claim, "no luck", permanent=True)
    await engine.queue.retry(Kind.AUDIO, "j1", by="ann")
    again = await claim_one(engine, claim_id="again")
    await engine.workers.complete(again.claim, RESULT)
    lines = await engine.queue.logs(Kind.AUDIO, "j1")
    events = [str(line["event"]) for line in lines]
    assert events == ["enqueue", "claim", "progress", "give up", "revive", "claim", "complete"]
    assert "no luck" in str(lines[3])


async def test_the_counts_are_those_of_the_jobs(engine: Engine) -> None:
    for number in range(5):
        await enqueue(engine, f"j{number}")
    claims = [(await claim_one(engine, claim_id=f"c{number}")).claim for number in range(3)]
    await engine.workers.complete(claims[0], RESULT)
    await engine.workers.fail(claims[1], "no luck", permanent=True)
    await engine.queue.cancel(Kind.AUDIO, "j4", by="ann")
    expected = {"pending": 1, "processing": 1, "completed": 1, "failed": 1, "cancelled": 1}
    assert counts(engine) == expected
    await engine.restart()
    assert counts(engine) == expected
    listed = (await engine.queue.jobs(Filter(Kind.AUDIO))).jobs
    assert {view.state.value: 1 for view in listed} == expected


async def test_lists_are_paged_and_filtered(engine: Engine) -> None:
    for number in range(7):
        await enqueue(engine, f"j{number}", channel_code="BI" if number % 2 else "JM", chat_id=number % 3)
    page = await engine.queue.jobs(Filter(Kind.AUDIO), limit=5)
    rest = await engine.queue.jobs(Filter(Kind.AUDIO), limit=5, cursor=page.cursor)
    assert [view.job.id for view in page.jobs + rest.jobs] == [f"j{number}" for number in range(7)]
    assert rest.cursor is None
    newest = await engine.queue.jobs(Filter(Kind.AUDIO, channel="BI"), newest_first=True)
    assert [view.job.id for view in newest.jobs] == ["j5", "j3", "j1"]
    mine = await engine.queue.jobs(Filter(Kind.AUDIO, chat_id=0, states=frozenset({State.PENDING})))
    assert [view.job.id for view in mine.jobs] == ["j0", "j3", "j6"]
    assert engine.queue.matching("j1") == [(Kind.AUDIO, "j1")]


async def test_a_list_read_page_by_page_misses_no_job_that_moves_meanwhile(engine: Engine) -> None:
    for number in range(6):
        await enqueue(engine, f"j{number}")
    page = await engine.queue.jobs(Filter(Kind.AUDIO), limit=2)
    seen = [view.job.id for view in page.jobs]
    moved = 0
    while page.cursor is not None:
        moved += 1
        await claim_one(engine, claim_id=f"c{moved}")
        await engine.queue.cancel(Kind.AUDIO, f"j{5 - moved}", by="ann")
        page = await engine.queue.jobs(Filter(Kind.AUDIO), limit=2, cursor=page.cursor)
        seen += [view.job.id for view in page.jobs]
    assert seen == [f"j{number}" for number in range(6)]


async def test_times_to_go_are_learned_from_finished_jobs(engine: Engine) -> None:
    await enqueue(engine, "j1", script_text="x" * 100)
    delivery = await claim_one(engine)
    engine.clock.advance(10)
    await engine.workers.complete(delivery.claim, RESULT)
    await enqueue(engine, "j2", script_text="x" * 300)
    assert (await engine.queue.get(Kind.AUDIO, "j2")).eta_s == pytest.approx(30)
    assert engine.queue.stats(Kind.AUDIO)["avg_seconds"] == pytest.approx(10)
