"""What anyone may rely on in a queue: claims, leases, outcomes, order."""

import asyncio
from pathlib import Path

import pytest

from jobqueue.directory import DirectoryQueue
from jobqueue.errors import InvalidTransition, JobExists, JobInvalid, JobNotFound, LeaseLost
from jobqueue.job import Claim, Delivery, Kind, Progress, WorkerReport
from jobqueue.lifecycle import State
from tests.clock import FakeClock

LEASE_S = 90
FIRST_LEASE_S = 15
STUCK_S = 30 * 60
RESULT = {"gofile_link": "https://example.org/recording"}


def worker(worker_id: str = "gpu-1") -> WorkerReport:
    return WorkerReport(worker_id)


async def enqueue(queue: DirectoryQueue, job_id: str, **fields: object) -> str:
    record = {"job_id": job_id, "script_text": f"script of {job_id}", **fields}
    return (await queue.enqueue(Kind.AUDIO, record)).job.id  # type: ignore[arg-type]


async def claim_one(queue: DirectoryQueue, by: str = "gpu-1", *, claim_id: str | None = "c1") -> Delivery:
    delivery = await queue.claim(Kind.AUDIO, worker(by), claim_id=claim_id)
    assert delivery is not None
    return delivery


async def state_of(queue: DirectoryQueue, job_id: str) -> State:
    return (await queue.get(Kind.AUDIO, job_id)).state


async def test_a_job_goes_from_pending_through_processing_to_completed(queue: DirectoryQueue) -> None:
    await enqueue(queue, "j1")
    assert await state_of(queue, "j1") is State.PENDING
    delivery = await claim_one(queue)
    assert delivery.job.text("script_text") == "script of j1"
    assert await state_of(queue, "j1") is State.PROCESSING
    await queue.complete(delivery.claim, RESULT)
    done = await queue.get(Kind.AUDIO, "j1")
    assert (done.state, done.job.text("gofile_link")) == (State.COMPLETED, RESULT["gofile_link"])


async def test_an_empty_queue_gives_nothing(queue: DirectoryQueue) -> None:
    assert await queue.claim(Kind.AUDIO, worker()) is None


async def test_each_job_goes_to_one_worker_however_many_ask(queue: DirectoryQueue) -> None:
    for number in range(20):
        await enqueue(queue, f"j{number}")
    async with asyncio.TaskGroup() as group:
        claims = [group.create_task(queue.claim(Kind.AUDIO, worker(f"gpu-{n}"))) for n in range(30)]
    taken = [delivery.job.id for claim in claims if (delivery := claim.result())]
    assert len(taken) == len(set(taken)) == 20


async def test_higher_priority_goes_first_then_age(queue: DirectoryQueue, clock: FakeClock) -> None:
    for job_id, priority in (("old", 0), ("urgent", 5), ("young", 0)):
        await enqueue(queue, job_id, priority=priority)
        clock.advance(1)
    assert [(await claim_one(queue, claim_id=None)).job.id for _ in range(3)] == ["urgent", "old", "young"]


async def test_nobody_starves_age_outgrows_priority(queue: DirectoryQueue, clock: FakeClock) -> None:
    await enqueue(queue, "patient")
    clock.advance(6 * 3600)
    await enqueue(queue, "urgent", priority=5)
    assert (await claim_one(queue)).job.id == "patient"


async def test_a_silent_worker_loses_its_job_to_the_next_one(queue: DirectoryQueue, clock: FakeClock) -> None:
    await enqueue(queue, "j1")
    silent = await claim_one(queue)
    await queue.heartbeat(Kind.AUDIO, WorkerReport("gpu-1", "busy", "j1"))
    clock.advance(LEASE_S + 1)
    second = await claim_one(queue, "gpu-2", claim_id="c2")
    assert (second.job.id, second.job.attempt) == ("j1", 2)
    with pytest.raises(LeaseLost):
        await queue.complete(silent.claim, RESULT)
    with pytest.raises(LeaseLost):
        await queue.progress(silent.claim, Progress(50))
    await queue.complete(second.claim, RESULT)


async def test_heartbeats_keep_a_lease_alive(queue: DirectoryQueue, clock: FakeClock) -> None:
    await enqueue(queue, "j1")
    delivery = await claim_one(queue)
    for _ in range(10):
        orders = await queue.heartbeat(Kind.AUDIO, WorkerReport("gpu-1", "busy", "j1"))
        assert not orders.lost
        clock.advance(LEASE_S - 1)
    await queue.complete(delivery.claim, RESULT)


async def test_a_claim_whose_reply_was_lost_is_repeated_and_gets_the_same_job(queue: DirectoryQueue) -> None:
    await enqueue(queue, "j1")
    await enqueue(queue, "j2")
    first, second = await claim_one(queue), await claim_one(queue)
    assert first == second or (first.job, first.claim) == (second.job, second.claim)


async def test_a_claim_never_heard_of_again_is_over_after_its_first_short_lease(
    queue: DirectoryQueue, clock: FakeClock
) -> None:
    await enqueue(queue, "j1")
    await claim_one(queue)
    clock.advance(FIRST_LEASE_S + 1)
    assert (await claim_one(queue, "gpu-2", claim_id="c2")).job.attempt == 2


async def test_the_plain_client_may_be_silent_for_half_an_hour(
    queue: DirectoryQueue, clock: FakeClock
) -> None:
    await enqueue(queue, "j1")
    await claim_one(queue, claim_id=None)
    clock.advance(STUCK_S - 1)
    await queue.complete(Claim(Kind.AUDIO, "j1", "gpu-1", token=None), RESULT)
    assert await state_of(queue, "j1") is State.COMPLETED


async def test_a_worker_without_progress_is_stuck_in_spite_of_heartbeats(
    queue: DirectoryQueue, clock: FakeClock
) -> None:
    await enqueue(queue, "j1")
    await claim_one(queue)
    for _ in range(STUCK_S // 60 + 1):
        orders = await queue.heartbeat(Kind.AUDIO, WorkerReport("gpu-1", "busy", "j1"))
        clock.advance(60)
    orders = await queue.heartbeat(Kind.AUDIO, WorkerReport("gpu-1", "busy", "j1"))
    assert orders.lost == {"j1"}


async def test_a_job_that_kills_its_workers_ends_in_failed(queue: DirectoryQueue, clock: FakeClock) -> None:
    await enqueue(queue, "poison", chat_id=5)
    for attempt in (1, 2, 3):
        assert (await claim_one(queue, f"gpu-{attempt}", claim_id=f"c{attempt}")).job.attempt == attempt
        clock.advance(LEASE_S + 1)
    await queue.sweep()
    view = await queue.get(Kind.AUDIO, "poison")
    assert (view.state, view.job.retry_count) == (State.FAILED, 3)
    assert "fell silent" in view.job.text("error_message")


async def test_a_failure_is_tried_again_after_a_backoff_and_given_up_the_third_time(
    queue: DirectoryQueue, clock: FakeClock
) -> None:
    await enqueue(queue, "j1")
    for failures in (1, 2):
        verdict = await queue.fail((await claim_one(queue, claim_id=f"c{failures}")).claim, "no luck")
        assert (verdict.state, verdict.retry_count) == (State.PENDING, failures)
        assert verdict.not_before is not None
        assert clock.now() <= verdict.not_before <= clock.now() + 30 * 2 ** (failures - 1)
        clock.advance(60)
    verdict = await queue.fail((await claim_one(queue, claim_id="c3")).claim, "no luck at all")
    assert (verdict.state, verdict.retry_count) == (State.FAILED, 3)


async def test_a_job_is_not_handed_out_before_its_time(queue: DirectoryQueue, clock: FakeClock) -> None:
    await enqueue(queue, "later", not_before="2030-01-01T00:00:00Z")
    assert await queue.claim(Kind.AUDIO, worker()) is None
    clock.set_wall_clock(1_893_456_001.0)
    assert (await claim_one(queue)).job.id == "later"


async def test_an_error_no_retry_can_cure_fails_the_job_at_once(queue: DirectoryQueue) -> None:
    await enqueue(queue, "j1")
    verdict = await queue.fail((await claim_one(queue)).claim, "no words in it", permanent=True)
    assert verdict.state is State.FAILED


async def test_a_released_job_has_lost_no_attempt(queue: DirectoryQueue) -> None:
    await enqueue(queue, "j1")
    first = await claim_one(queue)
    await queue.release(first.claim)
    second = await claim_one(queue, "gpu-2", claim_id="c2")
    assert second.job.attempt == 1
    with pytest.raises(LeaseLost):
        await queue.complete(first.claim, RESULT)


async def test_a_worker_that_says_farewell_hands_back_what_it_holds_uncounted(queue: DirectoryQueue) -> None:
    await enqueue(queue, "j1")
    await claim_one(queue)
    await queue.heartbeat(Kind.AUDIO, WorkerReport("gpu-1", "offline"))
    view = await queue.get(Kind.AUDIO, "j1")
    assert (view.state, view.job.retry_count) == (State.PENDING, 0)


async def test_a_caller_that_goes_while_it_is_served_takes_nothing_along(queue: DirectoryQueue) -> None:
    """At every step of the claim, and cancelled twice."""
    await enqueue(queue, "j1")
    for turns in range(12):
        claiming = asyncio.ensure_future(queue.claim(Kind.AUDIO, worker(), claim_id=f"c{turns}"))
        for _ in range(turns):
            await asyncio.sleep(0)
        claiming.cancel()
        await asyncio.sleep(0)
        claiming.cancel()
        await asyncio.wait({claiming})
        if not claiming.cancelled():
            delivery = claiming.result()
            assert delivery is not None
            await queue.release(delivery.claim)
        view = await queue.get(Kind.AUDIO, "j1")
        assert (view.state, view.job.retry_count) == (State.PENDING, 0)


async def test_nobody_offers_a_job_with_a_past(queue: DirectoryQueue) -> None:
    await enqueue(queue, "j1", epoch=2**31, retry_count=-5, worker_id="ghost")
    job = (await claim_one(queue)).job
    assert (job.epoch, job.retry_count, job.text("worker_id")) == (1, 0, "gpu-1")


async def test_the_same_report_by_the_same_holder_is_answered_again(queue: DirectoryQueue) -> None:
    await enqueue(queue, "j1")
    done = await claim_one(queue)
    await queue.complete(done.claim, RESULT)
    await queue.complete(done.claim, RESULT)
    await enqueue(queue, "j2")
    failed = await claim_one(queue, claim_id="c2")
    first = await queue.fail(failed.claim, "no luck")
    assert await queue.fail(failed.claim, "no luck") == first
    await enqueue(queue, "j3")
    released = await claim_one(queue, claim_id="c3")
    await queue.release(released.claim)
    await queue.release(released.claim)


async def test_a_forged_or_foreign_token_is_refused(queue: DirectoryQueue) -> None:
    await enqueue(queue, "j1")
    await enqueue(queue, "j2")
    one, two = await claim_one(queue), await claim_one(queue, claim_id="c2")
    for token in ("", "0", "1.beef", two.claim.token, "ü"):
        with pytest.raises(LeaseLost):
            await queue.complete(Claim(Kind.AUDIO, "j1", "gpu-1", token), RESULT)
    with pytest.raises(LeaseLost):
        await queue.complete(Claim(Kind.AUDIO, "j1", "gpu-2", one.claim.token), RESULT)


async def test_a_pending_job_can_be_cancelled_and_brought_back(queue: DirectoryQueue) -> None:
    await enqueue(queue, "j1")
    assert (await queue.cancel(Kind.AUDIO, "j1", by="ann")).state is State.CANCELLED
    assert await queue.claim(Kind.AUDIO, worker()) is None
    with pytest.raises(InvalidTransition):
        await queue.cancel(Kind.AUDIO, "j1", by="ann")
    assert (await queue.retry(Kind.AUDIO, "j1", by="ann")).state is State.PENDING
    assert (await claim_one(queue)).job.attempt == 1


async def test_the_worker_of_a_cancelled_job_is_told_so(queue: DirectoryQueue) -> None:
    await enqueue(queue, "j1")
    delivery = await claim_one(queue)
    assert await queue.progress(delivery.claim, Progress(10, "speaking", 1, 10)) is False
    await queue.cancel(Kind.AUDIO, "j1", by="ann")
    assert await queue.progress(delivery.claim, Progress(20)) is True
    assert (await queue.heartbeat(Kind.AUDIO, WorkerReport("gpu-1", "busy", "j1"))).cancel == {"j1"}
    with pytest.raises(LeaseLost):
        await queue.complete(delivery.claim, RESULT)


async def test_a_failed_job_starts_anew_when_retried(queue: DirectoryQueue) -> None:
    await enqueue(queue, "j1")
    await queue.fail((await claim_one(queue)).claim, "no words in it", permanent=True)
    view = await queue.retry(Kind.AUDIO, "j1", by="ann")
    assert (view.state, view.job.retry_count) == (State.PENDING, 0)


async def test_a_finished_job_can_neither_be_cancelled_nor_retried(queue: DirectoryQueue) -> None:
    await enqueue(queue, "j1")
    await queue.complete((await claim_one(queue)).claim, RESULT)
    with pytest.raises(InvalidTransition):
        await queue.cancel(Kind.AUDIO, "j1", by="ann")
    with pytest.raises(InvalidTransition):
        await queue.retry(Kind.AUDIO, "j1", by="ann")
    with pytest.raises(JobNotFound):
        await queue.get(Kind.AUDIO, "nobody")


async def test_priority_can_be_changed_while_a_job_waits(queue: DirectoryQueue, clock: FakeClock) -> None:
    await enqueue(queue, "first")
    clock.advance(1)
    await enqueue(queue, "second")
    assert (await queue.get(Kind.AUDIO, "second")).position == 2
    await queue.reprioritize(Kind.AUDIO, "second", 9)
    assert (await queue.get(Kind.AUDIO, "second")).position == 1
    assert (await claim_one(queue)).job.id == "second"
    with pytest.raises(InvalidTransition):
        await queue.reprioritize(Kind.AUDIO, "second", 1)


async def test_a_waiting_claim_gets_the_job_that_comes(queue: DirectoryQueue) -> None:
    waiting = [
        asyncio.ensure_future(queue.claim(Kind.AUDIO, worker(f"gpu-{n}"), claim_id=f"c{n}", wait_s=30))
        for n in "ab"
    ]
    await asyncio.sleep(0.05)
    await enqueue(queue, "j1")
    done, still = await asyncio.wait(waiting, timeout=5, return_when=asyncio.FIRST_COMPLETED)
    assert len(done) == len(still) == 1
    await enqueue(queue, "j2")
    await asyncio.wait(still, timeout=5)
    assert {delivery.job.id for each in waiting if (delivery := each.result())} == {"j1", "j2"}


async def test_a_claim_that_gave_up_waiting_takes_no_job_with_it(queue: DirectoryQueue) -> None:
    gone = asyncio.ensure_future(queue.claim(Kind.AUDIO, worker("gone"), wait_s=30))
    stays = asyncio.ensure_future(queue.claim(Kind.AUDIO, worker("stays"), wait_s=30))
    await asyncio.sleep(0.05)
    gone.cancel()
    await enqueue(queue, "j1")
    async with asyncio.timeout(5):
        delivery = await stays
    assert delivery is not None and delivery.claim.worker_id == "stays"


async def test_a_job_offered_twice_is_one_job(queue: DirectoryQueue) -> None:
    await enqueue(queue, "j1")
    await enqueue(queue, "j1")
    with pytest.raises(JobExists):
        await queue.enqueue(Kind.AUDIO, {"job_id": "j1", "script_text": "another script"})
    offer = {"script_text": "hello"}
    one = await queue.enqueue(Kind.AUDIO, offer, idempotency_key="k1")
    two = await queue.enqueue(Kind.AUDIO, offer, idempotency_key="k1")
    three = await queue.enqueue(Kind.AUDIO, offer, idempotency_key="k2")
    assert one.job.id == two.job.id != three.job.id


@pytest.mark.parametrize(
    ("record", "field"),
    [
        ({}, "script_text"),
        ({"script_text": "   "}, "script_text"),
        ({"script_text": 5}, "script_text"),
        ({"script_text": "x", "job_id": "UPPER"}, "job_id"),
        ({"script_text": "x", "job_id": "a_b"}, "job_id"),
        ({"script_text": "x", "job_id": "../../etc"}, "job_id"),
        ({"script_text": "x", "channel_code": "a/b"}, "channel_code"),
        ({"script_text": "x", "date": "27.1.2025"}, "date"),
        ({"script_text": "x", "organized_path": "../../etc"}, "organized_path"),
        ({"script_text": "x", "organized_path": "/etc"}, "organized_path"),
        ({"script_text": "x", "video_number": 0}, "video_number"),
        ({"script_text": "x", "video_number": "two"}, "video_number"),
        ({"script_text": "x", "priority": "high"}, "priority"),
        ({"script_text": "x", "priority": 10**30}, "priority"),
        ({"script_text": "x", "not_before": "tomorrow"}, "not_before"),
        ({"script_text": "x", "created_at": "27.1.2025"}, "created_at"),
        ({"script_text": "x", "chat_id": "me"}, "chat_id"),
        ({"script_text": "x", "profile": "loud"}, "profile"),
    ],
)
async def test_a_job_that_makes_no_sense_is_refused_by_the_name_of_the_field(
    queue: DirectoryQueue, record: dict[str, object], field: str
) -> None:
    with pytest.raises(JobInvalid) as refused:
        await queue.enqueue(Kind.AUDIO, record)  # type: ignore[arg-type]
    assert list(refused.value.fields) == [field]
    assert queue.stats(Kind.AUDIO)["pending"] == 0


async def test_the_queue_fills_in_what_the_caller_left_out(queue: DirectoryQueue) -> None:
    jobs = [
        (await queue.enqueue(Kind.AUDIO, {"script_text": "hello", "channel_code": "BI"})).job
        for _ in range(2)
    ]
    assert [job.organized_path for job in jobs] == ["2026-11-22/BI/video_1", "2026-11-22/BI/video_2"]
    assert [job.number("audio_counter") for job in jobs] == [1, 2]
    assert [job.number("video_number") for job in jobs] == [1, 2]
    assert jobs[0].profile["image_folder"] == "nature"


async def test_two_jobs_that_claim_the_same_number_do_not_share_a_folder(queue: DirectoryQueue) -> None:
    one = await enqueue(queue, "j1", video_number=1)
    two = await enqueue(queue, "j2", video_number=1)
    paths = {(await queue.get(Kind.AUDIO, job_id)).job.organized_path for job_id in (one, two)}
    assert len(paths) == 2


async def test_a_recording_brings_forth_its_video_job_once(queue: DirectoryQueue, data_dir: Path) -> None:
    await enqueue(queue, "j1", chat_id=7, mood="gentle")
    delivery = await claim_one(queue)
    path = f"{delivery.job.organized_path}/audio.wav"
    (data_dir / "recording").write_bytes(b"RIFF")
    await queue.storage.put(path, data_dir / "recording")
    await queue.complete(delivery.claim, {"audio_path": path, "duration_s": 12.5})
    video = await queue.get(Kind.VIDEO, "j1-video")
    assert (video.state, video.job.text("audio_job_id"), video.job.chat_id) == (State.PENDING, "j1", 7)
    assert video.job.text("image_folder") == "nature"
    assert video.job.organized_path == delivery.job.organized_path
    posted = await queue.enqueue(Kind.VIDEO, {"audio_job_id": "j1", "image_folder": "city"})
    assert posted.job.id == "j1-video"
    assert queue.stats(Kind.VIDEO)["pending"] == 1


async def test_a_link_alone_makes_no_video_job_but_its_owner_may(queue: DirectoryQueue) -> None:
    await enqueue(queue, "j1", channel_code="BI")
    await queue.complete((await claim_one(queue)).claim, RESULT)
    assert queue.stats(Kind.VIDEO)["pending"] == 0
    video = await queue.enqueue(Kind.VIDEO, {"audio_job_id": "j1", "image_folder": "city"})
    assert (video.job.text("channel_code"), video.job.text("image_folder")) == ("BI", "city")


async def test_a_recording_that_was_never_uploaded_does_not_complete_the_job(queue: DirectoryQueue) -> None:
    await enqueue(queue, "j1")
    delivery = await claim_one(queue)
    with pytest.raises(JobInvalid):
        await queue.complete(delivery.claim, {"audio_path": "2026-11-22/MAIN/video_1/audio.wav"})
    with pytest.raises(JobInvalid):
        await queue.complete(delivery.claim, {"audio_path": "../../etc/passwd"})
    assert await state_of(queue, "j1") is State.PROCESSING


async def test_a_result_cannot_change_who_the_job_is(queue: DirectoryQueue) -> None:
    await enqueue(queue, "j1")
    delivery = await claim_one(queue)
    await queue.complete(delivery.claim, {"job_id": "j9", "epoch": 99, "organized_path": "x", "extra": [1]})
    job = (await queue.get(Kind.AUDIO, "j1")).job
    assert (job.id, job.epoch, job.fields["extra"]) == ("j1", 1, [1])
    assert job.organized_path == delivery.job.organized_path


async def test_what_happened_to_a_job_can_be_read_afterwards(queue: DirectoryQueue) -> None:
    await enqueue(queue, "j1")
    delivery = await claim_one(queue)
    await queue.progress(delivery.claim, Progress(50, "speaking", 1, 2))
    await queue.complete(delivery.claim, RESULT)
    assert [line["event"] for line in await queue.logs(Kind.AUDIO, "j1")] == [
        "enqueue",
        "claim",
        "progress",
        "complete",
    ]


async def test_lists_are_paged_and_filtered(queue: DirectoryQueue) -> None:
    from jobqueue.backend import Filter  # noqa: PLC0415

    for number in range(7):
        await enqueue(queue, f"j{number}", channel_code="BI" if number % 2 else "JM", chat_id=number % 3)
    page = await queue.jobs(Filter(Kind.AUDIO), limit=5)
    rest = await queue.jobs(Filter(Kind.AUDIO), limit=5, cursor=page.cursor)
    assert [view.job.id for view in page.jobs + rest.jobs] == [f"j{number}" for number in range(7)]
    assert rest.cursor is None
    newest = await queue.jobs(Filter(Kind.AUDIO, channel="BI"), newest_first=True)
    assert [view.job.id for view in newest.jobs] == ["j5", "j3", "j1"]
    mine = await queue.jobs(Filter(Kind.AUDIO, chat_id=0, states=frozenset({State.PENDING})))
    assert [view.job.id for view in mine.jobs] == ["j0", "j3", "j6"]
    assert queue.matching("j1") == [(Kind.AUDIO, "j1")]


async def test_times_to_go_are_learned_from_finished_jobs(queue: DirectoryQueue, clock: FakeClock) -> None:
    await enqueue(queue, "j1", script_text="x" * 100)
    delivery = await claim_one(queue)
    clock.advance(10)
    await queue.complete(delivery.claim, RESULT)
    await enqueue(queue, "j2", script_text="x" * 300)
    assert (await queue.get(Kind.AUDIO, "j2")).eta_s == pytest.approx(30)
    assert queue.stats(Kind.AUDIO)["avg_seconds"] == pytest.approx(10)
