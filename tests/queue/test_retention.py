"""Finished jobs go when their time is over, with all that is theirs, and nothing else ever does."""

import json
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from jobqueue.directory import DirectoryQueue
from jobqueue.errors import JobNotFound, QueueUnwritable
from jobqueue.job import Delivery, Job, Json, Kind, WorkerReport
from jobqueue.lifecycle import State
from jobqueue.outbox import News
from jobqueue.policy import DAY_S, KeepPolicy, QueuePolicy
from jobqueue.retention import rounds as retention
from tests.clock import FakeClock
from tests.profiles import PlainProfiles

pytestmark = pytest.mark.usefixtures("without_pauses")
HOUR_S = 3600.0


@pytest.fixture
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "STEP_S", 0)


class Died(Exception):
    """The process, in the middle of it."""


class Keeper:
    """A queue, and hands to make and age its jobs."""

    def __init__(self, queue: DirectoryQueue, data_dir: Path, clock: FakeClock) -> None:
        self.queue = queue
        self.data_dir = data_dir
        self.clock = clock

    async def enqueue(self, job_id: str, **fields: Json) -> Job:
        record: dict[str, Json] = {"job_id": job_id, "script_text": f"script of {job_id}", **fields}
        return (await self.queue.enqueue(Kind.AUDIO, record)).job

    async def claim(self, kind: Kind) -> Delivery:
        delivery = await self.queue.claim(kind, WorkerReport("gpu-1"))
        assert delivery is not None
        return delivery

    async def speak(self, job_id: str, **fields: Json) -> Job:
        """An audio job done, with its recording; its video job waits."""
        await self.enqueue(job_id, **fields)
        delivery = await self.claim(Kind.AUDIO)
        path = delivery.job.organized_path
        self.put(f"{path}/audio.wav", f"{path}/chunks/0001-abc.wav")
        await self.queue.complete(delivery.claim, {"audio_path": f"{path}/audio.wav"})
        return delivery.job

    async def produce(self, job_id: str, **fields: Json) -> Job:
        """Both halves done."""
        job = await self.speak(job_id, **fields)
        delivery = await self.claim(Kind.VIDEO)
        self.put(f"{job.organized_path}/video.mp4", f"{job.organized_path}/render/scene-1.mp4")
        await self.queue.complete(delivery.claim, {"video_path": f"{job.organized_path}/video.mp4"})
        await self.settle()
        return job

    async def give_up(self, job_id: str, **fields: Json) -> Job:
        job = await self.enqueue(job_id, **fields)
        delivery = await self.claim(Kind.AUDIO)
        self.put(f"{job.organized_path}/chunks/0001-abc.wav")
        await self.queue.fail(delivery.claim, "no voice", permanent=True)
        await self.settle()
        return job

    async def settle(self) -> None:
        """All news has been told."""
        for news in self.queue.outbox.owed():
            self.queue.outbox.settle(news)

    def put(self, *paths: str) -> None:
        for path in paths:
            place = self.data_dir / "files" / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(b"media")

    def files(self) -> set[str]:
        root = self.data_dir / "files"
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}

    def days_pass(self, days: float) -> None:
        self.clock.advance(days * DAY_S)

    async def round(self) -> int:
        return await self.queue.retention.round()

    def known(self) -> list[str]:
        return sorted(job_id for _, job_id in self.queue.matching(""))

    def records(self) -> list[str]:
        return sorted(path.stem for path in self.data_dir.glob("*-queue/*/*.json"))


@asynccontextmanager
async def opened(data_dir: Path, clock: FakeClock, **policy: float) -> AsyncIterator[Keeper]:
    keep = KeepPolicy(**policy)  # type: ignore[arg-type]  # numbers either way
    queue = DirectoryQueue(data_dir, PlainProfiles(), clock, QueuePolicy(keep=keep))
    await queue.open()
    yield Keeper(queue, data_dir, clock)
    await queue.close()


@pytest.fixture
async def keeper(data_dir: Path, clock: FakeClock) -> AsyncIterator[Keeper]:
    async with opened(data_dir, clock) as keeper:
        yield keeper


async def test_a_finished_production_goes_after_its_time_with_all_that_is_its(keeper: Keeper) -> None:
    job = await keeper.produce("old")
    await keeper.round()
    keeper.days_pass(29)
    assert await keeper.round() == 0
    assert keeper.known() == ["old", "old-video"]
    assert f"{job.organized_path}/video.mp4" in keeper.files()
    keeper.days_pass(1.1)
    young = await keeper.produce("young")
    assert await keeper.round() == 1
    assert keeper.known() == keeper.records() == ["young", "young-video"]
    assert keeper.files() == {
        f"{young.organized_path}/{name}"
        for name in ("audio.wav", "video.mp4", "chunks/0001-abc.wav", "render/scene-1.mp4")
    }
    await keeper.queue.flush()
    assert sorted(path.stem for path in (keeper.data_dir / "logs").iterdir()) == ["young", "young-video"]
    assert not list((keeper.data_dir / "tmp").iterdir())
    with pytest.raises(JobNotFound):
        await keeper.queue.get(Kind.AUDIO, "old")


async def test_failed_and_cancelled_jobs_go_too(keeper: Keeper) -> None:
    failed = await keeper.give_up("failed")
    await keeper.enqueue("cancelled")
    view = await keeper.queue.cancel(Kind.AUDIO, "cancelled", by="a test")
    assert view.job.text("cancelled_at")
    keeper.days_pass(31)
    assert f"{failed.organized_path}/chunks/0001-abc.wav" in keeper.files()
    assert await keeper.round() == 2
    assert keeper.known() == keeper.records() == []
    assert keeper.files() == set()
    assert not (keeper.data_dir / "files" / failed.text("date")).exists()


async def test_age_counts_from_the_end_not_from_the_beginning(keeper: Keeper) -> None:
    await keeper.enqueue("waited-long")
    keeper.days_pass(40)
    delivery = await keeper.claim(Kind.AUDIO)
    await keeper.queue.fail(delivery.claim, "no voice", permanent=True)
    await keeper.settle()
    assert await keeper.round() == 0
    keeper.days_pass(29)
    assert await keeper.round() == 0
    keeper.days_pass(1.1)
    assert await keeper.round() == 1


async def test_what_waits_or_runs_is_never_removed(keeper: Keeper) -> None:
    await keeper.enqueue("running")
    await keeper.claim(Kind.AUDIO)
    await keeper.enqueue("waiting")
    keeper.days_pass(1000)
    assert await keeper.round() == 0
    assert keeper.known() == ["running", "waiting"]


async def test_an_audio_job_stays_until_its_video_is_over_too(keeper: Keeper) -> None:
    job = await keeper.speak("spoken")
    keeper.days_pass(100)
    assert await keeper.round() == 0
    delivery = await keeper.claim(Kind.VIDEO)
    assert await keeper.round() == 0
    await keeper.queue.fail(delivery.claim, "no pictures", permanent=True)
    await keeper.settle()
    keeper.days_pass(20)
    assert await keeper.round() == 0  # the video failed 20 days ago, and may be retried
    assert f"{job.organized_path}/chunks/0001-abc.wav" in keeper.files()
    await keeper.queue.retry(Kind.VIDEO, "spoken-video", by="a test")
    keeper.days_pass(20)
    assert await keeper.round() == 0
    assert keeper.known() == ["spoken", "spoken-video"]


async def test_what_is_not_announced_yet_is_kept(keeper: Keeper) -> None:
    await keeper.speak("news", chat_id=7)
    delivery = await keeper.claim(Kind.VIDEO)
    await keeper.queue.complete(delivery.claim, {})
    keeper.days_pass(365)
    assert await keeper.round() == 0
    await keeper.settle()
    assert await keeper.round() == 1


async def test_news_of_an_earlier_life_of_the_job_does_not_keep_it(keeper: Keeper) -> None:
    job = await keeper.give_up("failed")
    keeper.queue.outbox.owe(News(Kind.AUDIO, "failed", job.epoch - 1, State.FAILED))
    keeper.days_pass(31)
    assert await keeper.round() == 1


async def test_a_removed_job_may_be_offered_again_and_no_number_comes_twice(
    keeper: Keeper, data_dir: Path, clock: FakeClock
) -> None:
    first = await keeper.give_up("again", channel_code="BI", date="2026-11-22")
    keeper.days_pass(31)
    assert await keeper.round() == 1
    second = await keeper.enqueue("again", channel_code="BI", date="2026-11-22")
    assert second.number("video_number") == 2
    assert second.number("audio_counter") == (first.number("audio_counter") or 0) + 1
    await keeper.queue.cancel(Kind.AUDIO, "again", by="a test")
    keeper.days_pass(31)
    assert await keeper.round() == 1
    await keeper.queue.close()
    async with opened(data_dir, clock) as restarted:
        third = await restarted.enqueue("again", channel_code="BI", date="2026-11-22")
        assert third.number("video_number") == 3
        assert third.number("audio_counter") == (second.number("audio_counter") or 0) + 1


async def test_of_too_many_the_oldest_go_but_never_todays(data_dir: Path, clock: FakeClock) -> None:
    async with opened(data_dir, clock, keep_jobs=2) as keeper:
        for number in range(5):
            await keeper.give_up(f"j{number}")
        assert await keeper.round() == 0
        keeper.days_pass(1.1)
        await keeper.enqueue("waiting")
        assert await keeper.round() == 3
        assert keeper.known() == ["j3", "j4", "waiting"]


async def test_zero_days_means_for_ever(data_dir: Path, clock: FakeClock) -> None:
    async with opened(data_dir, clock, keep_s=0, keep_jobs=1) as keeper:
        for number in range(3):
            await keeper.give_up(f"j{number}")
        keeper.days_pass(3000)
        assert await keeper.round() == 0
        assert len(keeper.known()) == 3


async def test_a_job_moved_by_hand_is_as_old_as_its_file(keeper: Keeper) -> None:
    await keeper.enqueue("moved", created_at="2020-01-01T00:00:00Z")
    pending = keeper.data_dir / "audio-queue/pending/moved.json"
    done = keeper.data_dir / "audio-queue/completed/moved.json"
    await keeper.queue.close()
    record = json.loads(pending.read_text())
    done.write_text(json.dumps(record))
    pending.unlink()
    keeper.clock.set_wall_clock(time.time())
    async with opened(keeper.data_dir, keeper.clock) as again:
        assert again.known() == ["moved"]
        again.queue.retention._watch._wall = time.time()  # the clock is not what this is about
        again.queue.retention._watch._monotonic = again.clock.monotonic()
        assert await again.round() == 0
        old = time.time() - 31 * DAY_S
        os.utime(done, (old, old))
        assert await again.round() == 1


# --- folders that are shared


async def test_a_folder_that_another_job_uses_stays(keeper: Keeper) -> None:
    await keeper.give_up("one", organized_path="shared/place")
    keeper.days_pass(20)
    await keeper.give_up("two", organized_path="shared/place")
    keeper.days_pass(11)
    assert await keeper.round() == 1
    assert keeper.files() == {"shared/place/chunks/0001-abc.wav"}
    keeper.days_pass(20)
    assert await keeper.round() == 1
    assert keeper.files() == set()


async def test_a_folder_with_another_jobs_folder_in_it_stays_until_that_has_gone(keeper: Keeper) -> None:
    await keeper.give_up("outer", organized_path="a")
    keeper.days_pass(20)
    await keeper.give_up("inner", organized_path="a/b")
    keeper.days_pass(11)
    assert await keeper.round() == 0
    assert "a/b/chunks/0001-abc.wav" in keeper.files()
    keeper.days_pass(20)
    assert await keeper.round() + await keeper.round() == 2
    assert keeper.files() == set()


async def test_a_link_in_place_of_a_folder_leads_nowhere(keeper: Keeper, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    await keeper.enqueue("linked", organized_path="2026/link")
    await keeper.queue.cancel(Kind.AUDIO, "linked", by="a test")
    (keeper.data_dir / "files/2026").mkdir()
    (keeper.data_dir / "files/2026/link").symlink_to(outside)
    keeper.days_pass(31)
    assert await keeper.round() == 1
    assert (outside / "precious").exists()


# --- crashes and broken disks


@pytest.mark.parametrize("steps", range(6))
async def test_a_crash_at_any_step_leaves_what_the_next_round_finishes(
    keeper: Keeper, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """Media, logs, records: the process dies before the step of that number."""
    await keeper.produce("old")
    keeper.days_pass(31)
    left = steps

    def dying(step: Callable[..., object]) -> Callable[..., object]:
        def run(*args: object, **kwargs: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                raise Died
            return step(*args, **kwargs)

        return run

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", dying(shutil.rmtree))
        patch.setattr(Path, "unlink", dying(Path.unlink))
        patch.setattr(Path, "rename", dying(Path.rename))
        with pytest.raises(Died):
            await keeper.round()
    await keeper.queue.close()
    async with opened(keeper.data_dir, clock) as again:
        await again.round()
        assert again.known() == again.records() == []
        assert again.files() == set()
        assert not list((again.data_dir / "tmp").iterdir())
        assert not list((again.data_dir / "logs").iterdir())


async def test_a_disk_that_refuses_stops_the_round_and_loses_nothing(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    await keeper.produce("old")
    keeper.days_pass(31)

    def refuse(*_args: object) -> None:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refuse)
        with pytest.raises(QueueUnwritable, match="Read-only"):
            await keeper.round()
    assert keeper.known() == ["old", "old-video"]
    assert await keeper.round() == 1


# --- clocks


async def test_a_clock_set_years_ahead_removes_nothing(keeper: Keeper) -> None:
    await keeper.produce("young")
    await keeper.round()
    keeper.clock.advance(HOUR_S)
    keeper.clock.set_wall_clock(keeper.clock.now() + 5 * 365 * DAY_S)
    assert await keeper.round() == 0
    for _ in range(71):
        keeper.clock.advance(HOUR_S)
        assert await keeper.round() == 0
    keeper.clock.set_wall_clock(keeper.clock.now() - 5 * 365 * DAY_S)
    for _ in range(80):
        keeper.clock.advance(HOUR_S)
        assert await keeper.round() == 0
    assert keeper.known() == ["young", "young-video"]


async def test_a_clock_set_ahead_while_nobody_ran_removes_nothing_either(keeper: Keeper) -> None:
    await keeper.produce("young")
    await keeper.round()
    await keeper.queue.close()
    keeper.clock.set_wall_clock(keeper.clock.now() + 365 * DAY_S)
    async with opened(keeper.data_dir, keeper.clock) as again:
        assert await again.round() == 0
        again.clock.advance(2 * DAY_S)
        assert await again.round() == 0
        await again.queue.close()
        async with opened(keeper.data_dir, keeper.clock) as third:  # a restart does not end the doubt
            assert await third.round() == 0
            assert third.known() == ["young", "young-video"]
            third.clock.advance(3 * DAY_S)
            assert await third.round() == 1  # the clock has run evenly: so much time has passed indeed


async def test_the_first_start_of_all_believes_a_clock_that_fits_the_jobs(
    keeper: Keeper, data_dir: Path, clock: FakeClock
) -> None:
    await keeper.produce("old")
    await keeper.queue.close()
    clock.set_wall_clock(clock.now() + 40 * DAY_S)
    assert not (data_dir / "clock.json").exists()
    async with opened(data_dir, clock) as again:
        assert await again.round() == 1


# --- working files and evidence


async def test_working_files_go_a_day_after_the_video_is_done(keeper: Keeper) -> None:
    done = await keeper.produce("done")
    failed = await keeper.give_up("failed")
    called_off = await keeper.enqueue("called-off")
    keeper.put(f"{called_off.organized_path}/chunks/0001-abc.wav")
    await keeper.queue.cancel(Kind.AUDIO, "called-off", by="a test")
    await keeper.round()
    keeper.days_pass(0.9)
    await keeper.round()
    assert f"{done.organized_path}/chunks/0001-abc.wav" in keeper.files()
    keeper.days_pass(0.2)
    await keeper.round()
    kept = {f"{done.organized_path}/audio.wav", f"{done.organized_path}/video.mp4"}
    of_others = {f"{job.organized_path}/chunks/0001-abc.wav" for job in (failed, called_off)}
    assert keeper.files() == kept | of_others
    keeper.days_pass(7)
    await keeper.round()
    assert keeper.files() == kept | {f"{failed.organized_path}/chunks/0001-abc.wav"}
    await keeper.queue.retry(Kind.AUDIO, "failed", by="a test")
    await keeper.round()
    assert f"{failed.organized_path}/chunks/0001-abc.wav" in keeper.files()


async def test_working_files_stay_while_the_video_is_to_come(keeper: Keeper) -> None:
    job = await keeper.speak("spoken")
    keeper.days_pass(5)
    await keeper.round()
    assert f"{job.organized_path}/chunks/0001-abc.wav" in keeper.files()


async def test_evidence_goes_after_ninety_days(keeper: Keeper) -> None:
    keeper.clock.set_wall_clock(time.time())
    for name in ("corrupt/odd.json", "audit/2026-01-01.jsonl"):
        place = keeper.data_dir / name
        place.parent.mkdir(exist_ok=True)
        place.touch()
        await keeper.round()
        keeper.days_pass(89)
        await keeper.round()
        assert place.exists()
        keeper.days_pass(2)
        await keeper.round()
        assert not place.exists()
        keeper.days_pass(-91)


# --- however many there are


async def test_many_finished_jobs_are_not_read_to_find_the_few(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        await keeper.give_up(f"old{number}")
    keeper.days_pass(31)
    for number in range(30):
        await keeper.give_up(f"young{number}")
    read: list[str] = []
    plain = keeper.queue._folders.read

    def counting(kind: Kind, state: State, job_id: str, worker_id: str | None = None) -> Job:
        read.append(job_id)
        return plain(kind, state, job_id, worker_id)

    monkeypatch.setattr(keeper.queue._folders, "read", counting)
    assert await keeper.round() == 30
    assert len(read) == 30
    assert not any(job_id.startswith("young") for job_id in read)
