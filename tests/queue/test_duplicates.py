"""The same script once more is taken, with a warning."""

import asyncio
import sys
from pathlib import Path

import pytest

from jobqueue.directory import DirectoryQueue
from jobqueue.duplicates import KEPT, Duplicates, script_digest
from jobqueue.job import Job, Kind, WorkerReport
from tests.clock import FakeClock
from tests.profiles import PlainProfiles

SCRIPT = "The mountain wind tells old stories. पहाड़ की हवा।"


async def send(queue: DirectoryQueue, job_id: str, text: str = SCRIPT, **fields: object) -> str:
    """What the job is told to repeat; empty: nothing."""
    record = {"job_id": job_id, "script_text": text, **fields}
    return (await queue.enqueue(Kind.AUDIO, record)).job.text("duplicate_of")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "again",
    [
        SCRIPT,
        f"\n {SCRIPT.upper()}  ",
        SCRIPT.replace(" ", "\n\t\u00a0"),
        SCRIPT.replace("wind", "ｗｉｎｄ"),
        SCRIPT.replace("ड़", "ड\u093c"),
    ],
    ids=["the same", "shouted", "other spaces", "wide letters", "other code points"],
)
async def test_a_script_that_reads_the_same_is_named(queue: DirectoryQueue, again: str) -> None:
    assert await send(queue, "first") == ""
    assert await send(queue, "second", again) == "first"
    assert (await queue.get(Kind.AUDIO, "second")).job.text("duplicate_of") == "first"


async def test_another_script_and_another_kind_are_none(queue: DirectoryQueue) -> None:
    await send(queue, "first")
    assert await send(queue, "second", SCRIPT + " Again.") == ""
    video = await queue.enqueue(Kind.VIDEO, {"job_id": "v", "script_text": SCRIPT})
    assert video.job.text("duplicate_of") == ""


async def test_a_repeated_call_is_no_duplicate_of_itself(queue: DirectoryQueue) -> None:
    for _ in range(2):
        assert await send(queue, "first") == ""


async def test_nobody_else_says_what_is_a_duplicate(queue: DirectoryQueue) -> None:
    lie = {"duplicate_of": "nobody", "script_digest": "0" * 15}
    assert await send(queue, "first", **lie) == ""
    assert await send(queue, "second", **lie) == "first"
    delivery = await queue.claim(Kind.AUDIO, WorkerReport("gpu"))
    assert delivery is not None
    await queue.complete(delivery.claim, {"gofile_link": "x", **lie})
    assert (await queue.get(Kind.AUDIO, "first")).job.text("duplicate_of") == ""


async def test_a_cancelled_job_does_not_count_the_one_before_it_does(queue: DirectoryQueue) -> None:
    await send(queue, "first")
    assert await send(queue, "mistake") == "first"
    await queue.cancel(Kind.AUDIO, "mistake", by="a test")
    assert await send(queue, "third") == "first"
    for job_id in ("first", "third"):
        await queue.cancel(Kind.AUDIO, job_id, by="a test")
    assert await send(queue, "fourth") == ""


async def test_two_at_the_same_moment_do_not_miss_each_other(queue: DirectoryQueue) -> None:
    told = await asyncio.gather(send(queue, "a"), send(queue, "b"), send(queue, "c"))
    assert sum(bool(each) for each in told) == 2


async def test_a_start_finds_them_again_also_those_of_older_versions(
    queue: DirectoryQueue, data_dir: Path, clock: FakeClock
) -> None:
    await send(queue, "first")
    await send(queue, "old", "from before")
    await queue.close()
    path = data_dir / "audio-queue/pending/old.json"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "script_digest" not in line), encoding="utf-8")
    again = DirectoryQueue(data_dir, PlainProfiles(), clock)
    await again.open()
    assert await send(again, "second") == "first"
    assert await send(again, "third", "From  before") == "old"
    await again.close()


def job(job_id: str, text: str = SCRIPT) -> Job:
    return Job(job_id, Kind.AUDIO, 0.0, fields={"script_digest": script_digest(text)})


def test_a_removed_job_is_forgotten_and_only_that_one() -> None:
    known = Duplicates()
    for job_id in ("a", "b", "c"):
        known.remember(job(job_id))
    known.forget(job("b"))
    assert known.of(job("new")) == ("a", "c")
    for job_id in ("c", "a", "never"):
        known.forget(job(job_id))
    assert (known.of(job("new")), len(known)) == ((), 0)


def test_the_same_script_a_thousand_times_costs_no_more_than_a_few() -> None:
    known = Duplicates()
    for number in range(1000):
        known.remember(job(f"j{number}"))
    assert known.of(job("new")) == tuple(f"j{number}" for number in range(1000 - KEPT, 1000))


def test_a_hundred_thousand_scripts_cost_less_than_a_hundred_bytes_each() -> None:
    known, count = Duplicates(), 100_000
    jobs = [Job(f"j{n}", Kind.AUDIO, 0.0, fields={"script_digest": f"{n * 7919:015x}"}) for n in range(count)]
    for each in jobs:
        known.remember(each)
    numbers = known._jobs  # without the ids, which are the index's own
    size = sys.getsizeof(numbers) + sum(sys.getsizeof(number) for number in numbers)
    assert len(known) == count
    assert size / count < 100


def test_a_book_is_compared_to_its_end() -> None:
    book = "word " * 10_000
    assert script_digest(book) == script_digest("  " + book.upper().replace(" ", "\n"))
    assert script_digest(book + "more") != script_digest(book)
