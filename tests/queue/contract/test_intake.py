"""What is accepted as a job, and how often."""

import asyncio

import pytest

from jobqueue.errors import JobExists, JobInvalid
from jobqueue.job import Json, Kind
from jobqueue.lifecycle import State
from tests.queue.contract.calls import RESULT, claim_one, counts, enqueue, started, state_of
from tests.queue.engines import Engine


async def test_a_job_offered_twice_is_one_job(engine: Engine) -> None:
    await enqueue(engine, "j1")
    await enqueue(engine, "j1")
    with pytest.raises(JobExists):
        await engine.queue.enqueue(Kind.AUDIO, {"job_id": "j1", "script_text": "another script"})
    assert counts(engine) == {"pending": 1}


async def test_a_job_offered_again_after_it_has_ended_is_not_made_again(engine: Engine) -> None:
    await engine.workers.complete((await started(engine)).claim, RESULT)
    await enqueue(engine, "j1")
    await engine.restart()
    await enqueue(engine, "j1")
    assert (counts(engine), await state_of(engine)) == ({"completed": 1}, State.COMPLETED)


async def test_the_same_idempotency_key_means_the_same_job_also_after_a_restart(engine: Engine) -> None:
    offer: dict[str, Json] = {"script_text": "hello"}
    one = await engine.queue.enqueue(Kind.AUDIO, offer, idempotency_key="k1")
    two = await engine.queue.enqueue(Kind.AUDIO, offer, idempotency_key="k1")
    await engine.restart()
    three = await engine.queue.enqueue(Kind.AUDIO, offer, idempotency_key="k1")
    other = await engine.queue.enqueue(Kind.AUDIO, offer, idempotency_key="k2")
    assert one.job.id == two.job.id == three.job.id != other.job.id


async def test_the_same_job_offered_by_many_at_once_is_one_job(engine: Engine) -> None:
    offer: dict[str, Json] = {"script_text": "hello"}
    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(enqueue(engine, "j1"))
            group.create_task(engine.queue.enqueue(Kind.AUDIO, offer, idempotency_key="k1"))
    assert counts(engine) == {"pending": 2}


async def test_nobody_offers_a_job_with_a_past(engine: Engine) -> None:
    await enqueue(engine, "j1", epoch=2**31, retry_count=-5, worker_id="ghost")
    job = (await claim_one(engine)).job
    assert (job.epoch, job.retry_count, job.text("worker_id")) == (1, 0, "gpu-1")


@pytest.mark.parametrize(
    ("record", "field"),
    [
        ({}, "script_text"),
        ({"script_text": "   "}, "script_text"),
        ({"script_text": 5}, "script_text"),
        ({"script_text": "x", "job_id": "UPPER"}, "job_id"),
        ({"script_text": "x", "job_id": "a_b"}, "job_id"),
        ({"script_text": "x", "job_id": "../../etc"}, "job_id"),
        ({"script_text": "x", "job_id": "a/b"}, "job_id"),
        ({"script_text": "x", "job_id": "."}, "job_id"),
        ({"script_text": "x", "job_id": "a" * 65}, "job_id"),
        ({"script_text": "x", "job_id": "é"}, "job_id"),
        ({"script_text": "x", "job_id": "j1\n"}, "job_id"),
        ({"script_text": "x", "channel_code": "a/b"}, "channel_code"),
        ({"script_text": "x", "date": "27.1.2025"}, "date"),
        ({"script_text": "x", "organized_path": "../../etc"}, "organized_path"),
        ({"script_text": "x", "organized_path": "/etc"}, "organized_path"),
        ({"script_text": "x", "video_number": 0}, "video_number"),
        ({"script_text": "x", "video_number": "two"}, "video_number"),
        ({"script_text": "x", "priority": "high"}, "priority"),
        ({"script_text": "x", "priority": 10**30}, "priority"),
        ({"script_text": "x", "not_before": "tomorrow"}, "not_before"),
        ({"script_text": "x", "not_before": 5}, "not_before"),
        ({"script_text": "x", "created_at": "27.1.2025"}, "created_at"),
        ({"script_text": "x", "chat_id": "me"}, "chat_id"),
        ({"script_text": "x", "profile": "loud"}, "profile"),
    ],
)
async def test_a_job_that_makes_no_sense_is_refused_by_the_name_of_the_field(
    engine: Engine, record: dict[str, Json], field: str
) -> None:
    with pytest.raises(JobInvalid) as refused:
        await engine.queue.enqueue(Kind.AUDIO, record)
    assert list(refused.value.fields) == [field]
    assert counts(engine) == {}


async def test_the_queue_fills_in_what_the_caller_left_out(engine: Engine) -> None:
    offer: dict[str, Json] = {"script_text": "hello", "channel_code": "BI"}
    jobs = [(await engine.queue.enqueue(Kind.AUDIO, offer)).job for _ in range(2)]
    assert [job.organized_path for job in jobs] == ["2026-11-22/BI/video_1", "2026-11-22/BI/video_2"]
    assert [job.number("audio_counter") for job in jobs] == [1, 2]
    assert [job.number("video_number") for job in jobs] == [1, 2]
    assert jobs[0].profile["image_folder"] == "nature"


async def test_fields_that_nobody_knows_stay_with_the_job_to_its_end(engine: Engine) -> None:
    delivery = await started_with(engine, x_mine={"deep": [1, None, "हाँ"]})
    await engine.workers.release(delivery)
    again = await claim_one(engine, claim_id="again")
    await engine.restart()
    await engine.workers.complete(again.claim, RESULT)
    assert (await engine.queue.get(Kind.AUDIO, "j1")).job.fields["x_mine"] == {"deep": [1, None, "हाँ"]}


async def started_with(engine: Engine, **fields: Json):  # type: ignore[no-untyped-def]
    await enqueue(engine, "j1", **fields)
    return (await claim_one(engine)).claim


async def test_two_jobs_that_claim_the_same_number_do_not_share_a_folder(engine: Engine) -> None:
    one = await enqueue(engine, "j1", video_number=1)
    await engine.restart()
    two = await enqueue(engine, "j2", video_number=1)
    paths = {(await engine.queue.get(Kind.AUDIO, job_id)).job.organized_path for job_id in (one, two)}
    assert len(paths) == 2


async def test_numbers_given_out_at_once_are_all_different(engine: Engine) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(enqueue(engine, f"j{number}")) for number in range(10)]
    jobs = [(await engine.queue.get(Kind.AUDIO, task.result())).job for task in tasks]
    assert sorted(job.number("audio_counter") or 0 for job in jobs) == list(range(1, 11))
    assert len({job.organized_path for job in jobs}) == 10
