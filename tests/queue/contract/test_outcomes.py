"""How a claim ends: done, failed, handed back; once, however often it is said."""

import pytest

from jobqueue.errors import JobInvalid, JobNotFound, LeaseLost
from jobqueue.job import Claim, Delivery, Json, Kind, Progress, WorkerReport
from jobqueue.lifecycle import State
from tests.queue.contract.calls import (
    RESULT,
    beat,
    claim,
    claim_one,
    counts,
    enqueue,
    is_refused,
    started,
    state_of,
)
from tests.queue.engines import Engine


async def test_a_result_is_kept_with_the_job(engine: Engine) -> None:
    delivery = await started(engine)
    await engine.workers.complete(delivery.claim, {**RESULT, "duration_s": 12.5, "extra": {"deep": [1]}})
    job = (await engine.queue.get(Kind.AUDIO, "j1")).job
    assert (job.text("gofile_link"), job.fields["duration_s"]) == (RESULT["gofile_link"], 12.5)
    assert (job.fields["extra"], job.text("worker_id")) == ({"deep": [1]}, "gpu-1")
    await engine.restart()
    kept = (await engine.queue.get(Kind.AUDIO, "j1")).job
    assert kept.text("gofile_link") == RESULT["gofile_link"]


async def test_a_result_cannot_change_who_the_job_is(engine: Engine) -> None:
    delivery = await started(engine)
    told: dict[str, Json] = {
        "job_id": "j9",
        "epoch": 99,
        "organized_path": "x",
        "script_text": "y",
        "extra": [1],
    }
    await engine.workers.complete(delivery.claim, told)
    job = (await engine.queue.get(Kind.AUDIO, "j1")).job
    assert (job.id, job.epoch, job.fields["extra"]) == ("j1", 1, [1])
    assert (job.organized_path, job.text("script_text")) == (delivery.job.organized_path, "script of j1")


async def test_the_same_report_by_the_same_holder_is_answered_again(engine: Engine) -> None:
    done = await started(engine, "j1")
    await engine.workers.complete(done.claim, RESULT)
    await engine.workers.complete(done.claim, {"gofile_link": "https://example.org/another"})
    assert (await engine.queue.get(Kind.AUDIO, "j1")).job.text("gofile_link") == RESULT["gofile_link"]
    failed = await started(engine, "j2")
    first = await engine.workers.fail(failed.claim, "no luck")
    assert await engine.workers.fail(failed.claim, "no luck") == first
    given_up = await started(engine, "j3")
    last = await engine.workers.fail(given_up.claim, "no luck", permanent=True)
    assert await engine.workers.fail(given_up.claim, "no luck", permanent=True) == last
    released = await started(engine, "j4")
    await engine.workers.release(released.claim)
    await engine.workers.release(released.claim)
    assert (await engine.queue.get(Kind.AUDIO, "j4")).job.retry_count == 0


async def test_the_same_report_is_answered_again_also_after_a_restart(engine: Engine) -> None:
    done, failed = await started(engine, "j1"), await started(engine, "j2")
    await engine.workers.complete(done.claim, RESULT)
    verdict = await engine.workers.fail(failed.claim, "no luck")
    await engine.restart()
    await engine.workers.complete(done.claim, RESULT)
    again = await engine.workers.fail(failed.claim, "no luck")
    assert (again.state, again.retry_count) == (verdict.state, verdict.retry_count)
    assert again.not_before == pytest.approx(verdict.not_before, abs=0.01)


async def test_a_second_completion_by_another_is_refused(engine: Engine) -> None:
    delivery = await started(engine)
    await engine.workers.complete(delivery.claim, RESULT)
    assert await is_refused(engine, Claim(Kind.AUDIO, "j1", "gpu-2", delivery.claim.token))
    assert await is_refused(engine, Claim(Kind.AUDIO, "j1", "gpu-2", None))


async def test_what_has_ended_one_way_cannot_end_another_way(engine: Engine) -> None:
    done = await started(engine, "j1")
    await engine.workers.complete(done.claim, RESULT)
    for report in (engine.workers.fail(done.claim, "after all"), engine.workers.release(done.claim)):
        with pytest.raises(LeaseLost):
            await report
    given_up = await started(engine, "j2")
    await engine.workers.fail(given_up.claim, "no luck", permanent=True)
    for other in (engine.workers.complete(given_up.claim, RESULT), engine.workers.release(given_up.claim)):
        with pytest.raises(LeaseLost):
            await other
    assert counts(engine) == {"completed": 1, "failed": 1}


async def test_a_failure_is_tried_again_after_a_backoff_and_given_up_the_third_time(engine: Engine) -> None:
    await enqueue(engine, "j1")
    for failures in (1, 2):
        verdict = await engine.workers.fail(
            (await claim_one(engine, claim_id=f"c{failures}")).claim, "no luck"
        )
        assert (verdict.state, verdict.retry_count) == (State.PENDING, failures)
        assert verdict.not_before is not None
        now = engine.clock.now()
        assert now - 0.01 <= verdict.not_before <= now + 30 * 2 ** (failures - 1) + 0.01
        engine.clock.advance(60)
    verdict = await engine.workers.fail((await claim_one(engine, claim_id="c3")).claim, "no luck at all")
    assert (verdict.state, verdict.retry_count) == (State.FAILED, 3)
    assert (await engine.queue.get(Kind.AUDIO, "j1")).job.text("error_message") == "no luck at all"


async def test_failures_at_the_same_moment_are_spread_out(engine: Engine) -> None:
    """Or all the jobs that one outage has failed would come back in one moment."""
    moments = set()
    for number in range(8):
        delivery = await started(engine, f"j{number}")
        moments.add((await engine.workers.fail(delivery.claim, "outage")).not_before)
    assert len(moments) > 1


async def test_a_failed_job_is_nobodys_before_its_backoff_is_over(engine: Engine) -> None:
    delivery = await started(engine)
    verdict = await engine.workers.fail(delivery.claim, "no luck")
    assert verdict.not_before is not None
    engine.clock.set_wall_clock(verdict.not_before - 0.01)
    assert await claim(engine, claim_id="c2") is None
    engine.clock.set_wall_clock(verdict.not_before + 0.01)
    assert (await claim_one(engine, claim_id="c2")).job.attempt == 2


async def test_an_error_no_retry_can_cure_fails_the_job_at_once(engine: Engine) -> None:
    verdict = await engine.workers.fail((await started(engine)).claim, "no words in it", permanent=True)
    assert (verdict.state, verdict.not_before) == (State.FAILED, None)


async def test_a_released_job_has_lost_no_attempt(engine: Engine) -> None:
    first = await started(engine)
    await engine.workers.release(first.claim)
    second = await claim_one(engine, "gpu-2", claim_id="c2")
    assert second.job.attempt == 1
    assert await is_refused(engine, first.claim)


async def test_a_worker_that_says_farewell_hands_back_what_it_holds_uncounted(engine: Engine) -> None:
    await started(engine)
    await engine.workers.heartbeat(Kind.AUDIO, WorkerReport("gpu-1", "offline"))
    view = await engine.queue.get(Kind.AUDIO, "j1")
    assert (view.state, view.job.retry_count) == (State.PENDING, 0)


async def test_progress_is_seen_by_others(engine: Engine) -> None:
    delivery = await started(engine)
    await engine.workers.progress(delivery.claim, Progress(40, "speaking", 2, 5))
    assert (await engine.queue.get(Kind.AUDIO, "j1")).progress == Progress(40, "speaking", 2, 5)


async def test_a_job_nobody_knows_is_not_found(engine: Engine) -> None:
    for report in (
        engine.workers.progress(Claim(Kind.AUDIO, "nobody", "gpu-1", None), Progress(1)),
        engine.workers.complete(Claim(Kind.AUDIO, "nobody", "gpu-1", None), RESULT),
        engine.queue.get(Kind.AUDIO, "nobody"),
    ):
        with pytest.raises(JobNotFound):
            await report


# --- cancelled meanwhile


async def test_the_worker_of_a_cancelled_job_is_told_so(engine: Engine) -> None:
    delivery = await started(engine)
    assert await engine.workers.progress(delivery.claim, Progress(10, "speaking", 1, 10)) is False
    await engine.queue.cancel(Kind.AUDIO, "j1", by="ann")
    assert await engine.workers.progress(delivery.claim, Progress(20)) is True
    orders = await engine.workers.heartbeat(Kind.AUDIO, WorkerReport("gpu-1", "busy", "j1"))
    assert (orders.cancel, orders.lost) == (frozenset({"j1"}), frozenset())


async def test_a_completion_after_a_cancellation_is_refused_and_the_job_stays_cancelled(
    engine: Engine,
) -> None:
    delivery = await started(engine)
    await engine.queue.cancel(Kind.AUDIO, "j1", by="ann")
    for report in (
        engine.workers.complete(delivery.claim, RESULT),
        engine.workers.fail(delivery.claim, "called off"),
        engine.workers.release(delivery.claim),
    ):
        with pytest.raises(LeaseLost):
            await report
    assert await state_of(engine) is State.CANCELLED


async def test_a_cancellation_is_of_that_claim_alone(engine: Engine) -> None:
    """A job brought back is not cancelled a second time, and its first worker has no part in it."""
    first = await started(engine)
    await engine.queue.cancel(Kind.AUDIO, "j1", by="ann")
    await engine.queue.retry(Kind.AUDIO, "j1", by="ann")
    second = await claim_one(engine, "gpu-2", claim_id="c2")
    assert await engine.workers.progress(second.claim, Progress(1)) is False
    assert await beat(engine, "gpu-1") == {"j1"}
    assert await is_refused(engine, first.claim)
    await engine.workers.complete(second.claim, RESULT)


# --- recordings


async def test_a_recording_brings_forth_its_video_job_once(engine: Engine) -> None:
    await enqueue(engine, "j1", chat_id=7, mood="gentle", priority=4)
    delivery = await claim_one(engine)
    path = f"{delivery.job.organized_path}/audio.wav"
    await engine.store(path, b"RIFF")
    await engine.workers.complete(delivery.claim, {"audio_path": path, "duration_s": 12.5})
    await engine.workers.complete(delivery.claim, {"audio_path": path, "duration_s": 12.5})
    video = await engine.queue.get(Kind.VIDEO, "j1-video")
    assert (video.state, video.job.text("audio_job_id"), video.job.chat_id) == (State.PENDING, "j1", 7)
    assert (video.job.text("image_folder"), video.job.priority) == ("nature", 4)
    assert video.job.organized_path == delivery.job.organized_path
    posted = await engine.queue.enqueue(Kind.VIDEO, {"audio_job_id": "j1", "image_folder": "city"})
    assert posted.job.id == "j1-video"
    assert counts(engine, Kind.VIDEO) == {"pending": 1}


async def test_a_link_alone_makes_no_video_job_but_its_owner_may(engine: Engine) -> None:
    await enqueue(engine, "j1", channel_code="BI")
    await engine.workers.complete((await claim_one(engine)).claim, RESULT)
    assert counts(engine, Kind.VIDEO) == {}
    video = await engine.queue.enqueue(Kind.VIDEO, {"audio_job_id": "j1", "image_folder": "city"})
    assert (video.job.text("channel_code"), video.job.text("image_folder")) == ("BI", "city")


async def claim_video(engine: Engine, by: str) -> Delivery:
    delivery = await engine.workers.claim(Kind.VIDEO, WorkerReport(by))
    assert delivery is not None
    return delivery


async def test_a_video_that_was_never_uploaded_does_not_complete_the_job(engine: Engine) -> None:
    for job_id in ("j1", "j2", "j3"):
        await engine.queue.enqueue(Kind.VIDEO, {"job_id": job_id, "chat_id": 5})
    named, linked, plain = [await claim_video(engine, by) for by in ("gpu-1", "gpu-2", "gpu-3")]
    for path in ("2026-11-22/MAIN/video_1/video.mp4", "../../etc/passwd", named.job.organized_path):
        with pytest.raises(JobInvalid, match="video_path"):
            await engine.workers.complete(named.claim, {"video_path": path})
    path = f"{named.job.organized_path}/video.mp4"
    await engine.store(path, b"mp4")
    await engine.workers.complete(named.claim, {"video_path": path})
    await engine.workers.complete(linked.claim, {"video_path": "elsewhere.mp4", **RESULT})
    await engine.workers.complete(plain.claim, {})
    found = [
        (await engine.queue.get(Kind.VIDEO, job_id)).job.text("video_path") for job_id in ("j1", "j2", "j3")
    ]
    assert found == [path, "", ""]


async def test_a_recording_that_was_never_uploaded_does_not_complete_the_job(engine: Engine) -> None:
    delivery = await started(engine)
    for path in ("2026-11-22/MAIN/video_1/audio.wav", "../../etc/passwd"):
        with pytest.raises(JobInvalid):
            await engine.workers.complete(delivery.claim, {"audio_path": path})
    assert await state_of(engine) is State.PROCESSING
    await engine.workers.complete(delivery.claim, RESULT)
