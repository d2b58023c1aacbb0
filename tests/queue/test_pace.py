"""Times to go: learned for each worker from the jobs it has finished."""

import asyncio
import json
from pathlib import Path

import pytest

from jobqueue.directory import DirectoryQueue
from jobqueue.job import Delivery, Job, Kind, Progress, WorkerReport
from jobqueue.pace import Pace, units
from jobqueue.roster import FORGOTTEN_S
from tests.clock import FakeClock
from tests.profiles import PlainProfiles

RESULT = {"gofile_link": "https://example.org/a"}


async def take(queue: DirectoryQueue, job_id: str, by: str, chars: int = 100) -> Delivery:
    await queue.enqueue(Kind.AUDIO, {"job_id": job_id, "script_text": "x" * chars})
    delivery = await queue.claim(Kind.AUDIO, WorkerReport(by))
    assert delivery is not None
    assert delivery.job.id == job_id
    return delivery


async def finish_one(queue: DirectoryQueue, clock: FakeClock, by: str, seconds: float) -> None:
    """A job of a hundred characters."""
    delivery = await take(queue, f"done-{by}", by)
    clock.advance(seconds)
    await queue.complete(delivery.claim, RESULT)


async def eta(queue: DirectoryQueue, job_id: str) -> float | None:
    return (await queue.get(Kind.AUDIO, job_id)).eta_s


async def test_a_job_in_work_takes_as_long_as_its_worker_takes(
    queue: DirectoryQueue, clock: FakeClock
) -> None:
    await finish_one(queue, clock, "fast", 10)
    await finish_one(queue, clock, "slow", 100)
    await take(queue, "with-fast", "fast", chars=200)
    await take(queue, "with-slow", "slow", chars=200)
    assert await eta(queue, "with-fast") == pytest.approx(20)
    assert await eta(queue, "with-slow") == pytest.approx(200)
    clock.advance(5)
    assert await eta(queue, "with-slow") == pytest.approx(195)


async def test_a_new_worker_is_expected_to_be_like_the_others(
    queue: DirectoryQueue, clock: FakeClock
) -> None:
    await finish_one(queue, clock, "first", 10)
    await take(queue, "j", "new", chars=300)
    assert await eta(queue, "j") == pytest.approx(30)


async def test_waiting_counts_what_is_before_and_who_is_there(
    queue: DirectoryQueue, clock: FakeClock
) -> None:
    await finish_one(queue, clock, "fast", 10)
    await finish_one(queue, clock, "slow", 40)
    mean_s = 10 + 0.3 * (40 - 10)  # for the hundred characters of a job
    await take(queue, "work-1", "fast")
    await take(queue, "work-2", "slow")
    for job_id in ("w1", "w2", "w3"):
        await queue.enqueue(Kind.AUDIO, {"job_id": job_id, "script_text": "x" * 100})
    together_s = 1 / (1 / 10 + 1 / 40)  # a job by both of them, side by side
    # Two are in work, half done on average; then those before it in line; then its own time.
    assert await eta(queue, "w1") == pytest.approx(together_s * 1 + mean_s)
    assert await eta(queue, "w3") == pytest.approx(together_s * 3 + mean_s)
    await queue.heartbeat(Kind.AUDIO, WorkerReport("third"))
    assert await eta(queue, "w1") == pytest.approx(mean_s), "a free worker takes it at once"


async def test_a_job_that_has_to_wait_for_its_time_says_so(queue: DirectoryQueue, clock: FakeClock) -> None:
    await finish_one(queue, clock, "gpu", 10)
    record = {"job_id": "j", "script_text": "x" * 100, "not_before": "2090-01-01T00:00:00Z"}
    eta_s = (await queue.enqueue(Kind.AUDIO, record)).eta_s
    assert eta_s is not None
    assert eta_s > 365 * 24 * 3600


async def test_nobody_knows_without_workers_or_before_the_first_job(
    queue: DirectoryQueue, clock: FakeClock
) -> None:
    await take(queue, "j", "gpu")
    assert await eta(queue, "j") is None
    clock.advance(10)
    await queue.progress((await take(queue, "k", "gpu")).claim, Progress(1))
    assert await eta(queue, "k") is None
    await queue.enqueue(Kind.AUDIO, {"job_id": "w", "script_text": "x"})
    assert await eta(queue, "w") is None


async def test_what_was_learned_survives_a_restart(data_dir: Path, clock: FakeClock) -> None:
    queue = DirectoryQueue(data_dir, PlainProfiles(), clock)
    await queue.open()
    await finish_one(queue, clock, "fast", 10)
    await finish_one(queue, clock, "slow", 100)
    await queue.close()
    queue = DirectoryQueue(data_dir, PlainProfiles(), clock)
    await queue.open()
    await take(queue, "j", "slow")
    assert await eta(queue, "j") == pytest.approx(100)
    assert queue.stats(Kind.AUDIO)["avg_seconds"] == pytest.approx(37)
    await queue.close()


@pytest.mark.parametrize(
    "kept",
    [
        "",
        "[]",
        "{",
        '{"audio": {}}',
        '{"audio": {"per_unit_s": NaN, "units": 1, "average_s": 1, "workers": {}}}',
        '{"audio": {"per_unit_s": 1, "units": 1, "average_s": 1, "workers": {"a": "x"}}}',
    ],
)
async def test_a_spoiled_file_of_paces_stops_nothing(data_dir: Path, clock: FakeClock, kept: str) -> None:
    data_dir.mkdir(parents=True)
    (data_dir / "paces.json").write_text(kept)
    queue = DirectoryQueue(data_dir, PlainProfiles(), clock)
    await queue.open()
    await finish_one(queue, clock, "gpu", 10)
    await queue.close()
    assert json.loads((data_dir / "paces.json").read_text())["audio"]["workers"] == {"gpu": 0.1}


async def test_workers_that_are_gone_for_good_are_forgotten(
    queue: DirectoryQueue, clock: FakeClock, data_dir: Path
) -> None:
    for number in range(5):
        await finish_one(queue, clock, f"rented-{number}", 10)
    clock.advance(FORGOTTEN_S + 1)
    await queue.sweep()
    await queue.flush()
    kept = json.loads((data_dir / "paces.json").read_text())["audio"]
    assert (kept["workers"], kept["per_unit_s"]) == ({}, 0.1)


async def test_a_job_that_outlived_a_restart_has_taken_all_its_time(data_dir: Path, clock: FakeClock) -> None:
    queue = DirectoryQueue(data_dir, PlainProfiles(), clock)
    await queue.open()
    delivery = await take(queue, "j", "gpu")
    clock.advance(60)
    await queue.close()
    queue = DirectoryQueue(data_dir, PlainProfiles(), clock)
    await queue.open()
    clock.advance(40)
    await queue.complete(delivery.claim, RESULT)
    assert queue.stats(Kind.AUDIO)["avg_seconds"] == pytest.approx(100)
    await queue.close()


def test_the_end_of_work_begun_by_others_makes_nobody_look_quick() -> None:
    pace = Pace()
    job = Job("j", Kind.AUDIO, 0.0, fields={"script_text": "x" * 100})
    pace.learn(job, 100, "gpu")
    pace.learn(Job("k", Kind.AUDIO, 0.0, epoch=2, fields=job.fields), 1, "gpu")
    assert pace.remaining_s(job, "gpu", 0, 0) == pytest.approx(100)


@pytest.mark.parametrize("length", [0, -5, "60", None, True, 1e9, float("nan"), float("inf")])
def test_a_length_that_cannot_be_is_not_believed(length: object) -> None:
    job = Job("j", Kind.VIDEO, 0.0, fields={"audio_duration_s": length})  # type: ignore[dict-item]
    assert units(job) == 1.0


def test_the_length_that_was_measured_counts_more_than_the_one_that_was_told() -> None:
    assert units(Job("j", Kind.VIDEO, 0.0, fields={"audio_duration_s": 1e6, "duration_s": 61.5})) == 61.5


async def test_learning_from_a_clock_that_stands_still_divides_by_nothing(queue: DirectoryQueue) -> None:
    delivery = await take(queue, "j", "gpu")
    await queue.complete(delivery.claim, RESULT)
    await queue.enqueue(Kind.AUDIO, {"job_id": "w", "script_text": "x"})
    assert await eta(queue, "w") == pytest.approx(0, abs=0.001)
    await asyncio.sleep(0)
