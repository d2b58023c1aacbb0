"""Files on disk: what is dropped in by hand, what a crash leaves, what is no job at all."""

import json
import os
import shutil
import stat
from pathlib import Path

import pytest

from jobqueue.directory import DirectoryQueue
from jobqueue.errors import AlreadyOwned, JobExists, JobNotFound, LeaseLost
from jobqueue.job import Kind, WorkerReport
from jobqueue.lifecycle import State
from tests.clock import FakeClock
from tests.profiles import PlainProfiles

WORKER = WorkerReport("gpu-1")
RESULT = {"gofile_link": "https://example.org/recording"}


def folder(data_dir: Path, state: str) -> Path:
    return data_dir / "audio-queue" / state


def record(data_dir: Path, state: str, name: str) -> dict[str, object]:
    loaded: dict[str, object] = json.loads((folder(data_dir, state) / f"{name}.json").read_text())
    return loaded


def drop(data_dir: Path, name: str, content: str, *, state: str = "pending", age_s: float = 60) -> Path:
    """Move a file into place, as a person would with `mv`."""
    path = folder(data_dir, state) / name
    aside = data_dir / name
    aside.write_text(content)
    then = aside.stat().st_mtime - age_s
    os.utime(aside, (then, then))
    aside.rename(path)
    return path


async def reopened(queue: DirectoryQueue, data_dir: Path, clock: FakeClock) -> DirectoryQueue:
    """The queue as the next process finds it."""
    await queue.close()
    again = DirectoryQueue(data_dir, PlainProfiles(), clock)
    await again.open()
    return again


async def test_the_folder_a_file_lies_in_is_the_state(queue: DirectoryQueue, data_dir: Path) -> None:
    await queue.enqueue(Kind.AUDIO, {"job_id": "j1", "script_text": "नमस्ते", "x_mine": {"a": [1]}})
    pending = record(data_dir, "pending", "j1")
    assert pending["script_text"] == "नमस्ते"
    assert {
        "job_id",
        "created_at",
        "date",
        "video_number",
        "organized_path",
        "audio_counter",
        "priority",
        "retry_count",
    } <= set(pending)
    delivery = await queue.claim(Kind.AUDIO, WORKER)
    assert delivery is not None
    processing = record(data_dir, "processing", "gpu-1_j1")
    assert processing["worker_id"] == "gpu-1"
    assert str(processing["processing_started_at"]).endswith("Z")
    await queue.complete(delivery.claim, RESULT)
    completed = record(data_dir, "completed", "j1")
    assert completed["x_mine"] == {"a": [1]}
    assert completed["gofile_link"] == RESULT["gofile_link"]
    assert str(completed["completed_at"]).endswith("Z")
    for state in ("pending", "processing", "failed", "cancelled"):
        assert list(folder(data_dir, state).iterdir()) == []


async def test_only_we_can_read_the_queue(queue: DirectoryQueue, data_dir: Path) -> None:
    await queue.enqueue(Kind.AUDIO, {"job_id": "j1", "script_text": "x"})
    for place in (data_dir, folder(data_dir, "pending"), data_dir / "tmp"):
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder(data_dir, "pending") / "j1.json").stat().st_mode) == 0o600


async def test_a_job_dropped_by_hand_is_filled_in_and_run(queue: DirectoryQueue, data_dir: Path) -> None:
    drop(data_dir, "by-hand.json", '{"script_text": "hello", "channel_code": "BI"}')
    drop(data_dir, "My Script (2).json", '{"script_text": "a name that is no id"}')
    await queue.rescan()
    first = await queue.claim(Kind.AUDIO, WORKER)
    second = await queue.claim(Kind.AUDIO, WORKER)
    assert first is not None and second is not None
    by_hand = first if first.job.id == "by-hand" else second
    assert by_hand.job.organized_path == "2026-11-22/BI/video_1"
    assert list(folder(data_dir, "pending").iterdir()) == []


async def test_a_job_dropped_while_nobody_ran_is_run_after_the_start(
    queue: DirectoryQueue, data_dir: Path, clock: FakeClock
) -> None:
    await queue.close()
    drop(data_dir, "early.json", '{"script_text": "hello"}')
    again = await reopened(queue, data_dir, clock)
    delivery = await again.claim(Kind.AUDIO, WORKER)
    assert delivery is not None and delivery.job.id == "early"
    assert delivery.job.number("audio_counter") == 1
    await again.close()


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"script_text": 5}', "\0" * 100, '{"script_text": "x", "job_id": "NO"}', "[" * 100_000],
)
async def test_a_file_that_is_no_job_is_set_aside_and_the_rest_goes_on(
    queue: DirectoryQueue, data_dir: Path, content: str
) -> None:
    drop(data_dir, "bad.json", content)
    drop(data_dir, "good.json", '{"script_text": "x"}')
    await queue.rescan()
    assert queue.stats(Kind.AUDIO)["pending"] == 1
    assert [path.name for path in folder(data_dir, "pending").iterdir()] == ["good.json"]
    assert len(list((data_dir / "corrupt").iterdir())) == 1


async def test_a_file_still_being_copied_is_left_until_it_is_whole(
    queue: DirectoryQueue, data_dir: Path
) -> None:
    path = drop(data_dir, "slow.json", '{"script_te', age_s=0)
    await queue.rescan()
    assert path.exists()
    path.write_text('{"script_text": "whole"}')
    await queue.rescan()
    assert queue.stats(Kind.AUDIO)["pending"] == 1


async def test_a_failed_job_put_back_by_hand_is_a_retry(queue: DirectoryQueue, data_dir: Path) -> None:
    await queue.enqueue(Kind.AUDIO, {"job_id": "j1", "script_text": "x"})
    delivery = await queue.claim(Kind.AUDIO, WORKER)
    assert delivery is not None
    await queue.fail(delivery.claim, "no luck", permanent=True)
    (folder(data_dir, "failed") / "j1.json").rename(folder(data_dir, "pending") / "j1.json")
    await queue.rescan()
    again = await queue.claim(Kind.AUDIO, WORKER)
    assert again is not None and (again.job.id, again.job.retry_count, again.job.epoch) == ("j1", 0, 2)
    assert list(folder(data_dir, "failed").iterdir()) == []


async def test_a_job_taken_away_by_hand_is_gone(queue: DirectoryQueue, data_dir: Path) -> None:
    for job_id in ("j1", "j2"):
        await queue.enqueue(Kind.AUDIO, {"job_id": job_id, "script_text": "x"})
    (folder(data_dir, "pending") / "j1.json").unlink()
    delivery = await queue.claim(Kind.AUDIO, WORKER)
    assert delivery is not None and delivery.job.id == "j2"
    with pytest.raises(JobNotFound):
        await queue.get(Kind.AUDIO, "j1")


async def test_a_job_damaged_on_disk_is_set_aside_when_its_turn_comes(
    queue: DirectoryQueue, data_dir: Path
) -> None:
    for job_id in ("j1", "j2"):
        await queue.enqueue(Kind.AUDIO, {"job_id": job_id, "script_text": "x"})
    (folder(data_dir, "pending") / "j1.json").write_text("\0\0\0")
    delivery = await queue.claim(Kind.AUDIO, WORKER)
    assert delivery is not None and delivery.job.id == "j2"
    assert len(list((data_dir / "corrupt").iterdir())) == 1


async def test_everything_is_found_again_after_a_restart(
    queue: DirectoryQueue, data_dir: Path, clock: FakeClock
) -> None:
    for job_id in ("waits", "works", "done", "dead", "off"):
        await queue.enqueue(Kind.AUDIO, {"job_id": job_id, "script_text": "x"})
        if job_id == "off":
            await queue.cancel(Kind.AUDIO, "off", by="ann")
    await queue.reprioritize(Kind.AUDIO, "waits", -9)
    works = await queue.claim(Kind.AUDIO, WORKER, claim_id="c1")
    done = await queue.claim(Kind.AUDIO, WORKER, claim_id="c2")
    dead = await queue.claim(Kind.AUDIO, WORKER, claim_id="c3")
    assert works is not None and done is not None and dead is not None
    await queue.complete(done.claim, RESULT)
    await queue.fail(dead.claim, "no luck", permanent=True)

    again = await reopened(queue, data_dir, clock)
    states = {
        job: (await again.get(Kind.AUDIO, job)).state for job in ("waits", "works", "done", "dead", "off")
    }
    assert states == {
        "waits": State.PENDING,
        "works": State.PROCESSING,
        "done": State.COMPLETED,
        "dead": State.FAILED,
        "off": State.CANCELLED,
    }
    # The worker has outlived the bot: its old token is good, and nobody took its job away.
    await again.heartbeat(Kind.AUDIO, WorkerReport("gpu-1", "busy", "works"))
    clock.advance(60)
    await again.complete(works.claim, RESULT)
    await again.close()


async def test_numbers_are_never_given_twice_after_a_restart(
    queue: DirectoryQueue, data_dir: Path, clock: FakeClock
) -> None:
    for _ in range(3):
        await queue.enqueue(Kind.AUDIO, {"script_text": "x"})
    (data_dir / "counters.json").unlink(missing_ok=True)
    again = await reopened(queue, data_dir, clock)
    job = (await again.enqueue(Kind.AUDIO, {"script_text": "x"})).job
    assert (job.number("audio_counter"), job.number("video_number")) == (4, 4)
    await again.close()


async def test_of_a_job_in_two_folders_the_one_further_along_counts(
    queue: DirectoryQueue, data_dir: Path, clock: FakeClock
) -> None:
    await queue.enqueue(Kind.AUDIO, {"job_id": "j1", "script_text": "x"})
    delivery = await queue.claim(Kind.AUDIO, WORKER)
    assert delivery is not None
    kept = data_dir / "kept.json"
    shutil.copy(folder(data_dir, "processing") / "gpu-1_j1.json", kept)
    await queue.complete(delivery.claim, RESULT)
    kept.rename(folder(data_dir, "processing") / "gpu-1_j1.json")  # died before the unlink
    again = await reopened(queue, data_dir, clock)
    assert (await again.get(Kind.AUDIO, "j1")).state is State.COMPLETED
    assert list(folder(data_dir, "processing").iterdir()) == []
    await again.close()


async def test_of_a_job_handed_back_when_the_machine_died_the_later_epoch_counts(
    queue: DirectoryQueue, data_dir: Path, clock: FakeClock
) -> None:
    await queue.enqueue(Kind.AUDIO, {"job_id": "j1", "script_text": "x"})
    delivery = await queue.claim(Kind.AUDIO, WORKER)
    assert delivery is not None
    kept = data_dir / "kept.json"
    shutil.copy(folder(data_dir, "processing") / "gpu-1_j1.json", kept)
    await queue.fail(delivery.claim, "no luck")
    kept.rename(folder(data_dir, "processing") / "gpu-1_j1.json")
    again = await reopened(queue, data_dir, clock)
    view = await again.get(Kind.AUDIO, "j1")
    assert (view.state, view.job.retry_count) == (State.PENDING, 1)
    await again.close()


async def test_foreign_files_never_stop_a_start(
    queue: DirectoryQueue, data_dir: Path, clock: FakeClock
) -> None:
    await queue.close()
    drop(data_dir, "readme.txt", "hello", state="completed")
    drop(data_dir, "nonsense.json", "{", state="completed")
    drop(data_dir, "noworker.json", "{}", state="processing")
    drop(data_dir, "BAD NAME_x.json", "{}", state="processing")
    (folder(data_dir, "failed") / "folder.json").mkdir()
    again = await reopened(queue, data_dir, clock)
    assert (await again.enqueue(Kind.AUDIO, {"script_text": "x"})).state is State.PENDING
    await again.close()


async def test_odd_files_anywhere_stop_neither_a_start_nor_the_sweeper(
    queue: DirectoryQueue, data_dir: Path, clock: FakeClock
) -> None:
    await queue.heartbeat(Kind.AUDIO, WORKER)
    await queue.close()
    shutil.copy(data_dir / "workers/audio/gpu-1.json", data_dir / "workers/audio/copy.json")
    (data_dir / "workers/video/bot.json").write_text('{"worker_id": "bot", "jobs_failed": "many"}')
    os.mkfifo(data_dir / "workers/audio/pipe.json")
    for state in ("pending", "processing", "completed"):
        os.mkfifo(folder(data_dir, state) / "gpu_pipe.json")
        (folder(data_dir, state) / "gpu_loop.json").symlink_to("gpu_loop.json")
    (data_dir / "counters.json").write_text("[" * 100_000)
    again = await reopened(queue, data_dir, clock)
    clock.advance(10 * 24 * 3600)
    await again.sweep()
    await again.rescan()
    assert (await again.enqueue(Kind.AUDIO, {"script_text": "x"})).state is State.PENDING
    await again.close()


async def test_a_job_in_work_put_back_by_hand_is_handed_out_anew(
    queue: DirectoryQueue, data_dir: Path
) -> None:
    await queue.enqueue(Kind.AUDIO, {"job_id": "j1", "script_text": "x"})
    first = await queue.claim(Kind.AUDIO, WORKER)
    assert first is not None
    (folder(data_dir, "processing") / "gpu-1_j1.json").rename(folder(data_dir, "pending") / "j1.json")
    await queue.rescan()
    with pytest.raises(LeaseLost):
        await queue.complete(first.claim, RESULT)
    second = await queue.claim(Kind.AUDIO, WorkerReport("gpu-2"))
    assert second is not None and second.job.id == "j1"


async def test_a_job_put_aside_by_hand_is_not_made_twice(queue: DirectoryQueue, data_dir: Path) -> None:
    await queue.enqueue(Kind.AUDIO, {"job_id": "j1", "script_text": "x"})
    (folder(data_dir, "pending") / "j1.json").rename(folder(data_dir, "cancelled") / "j1.json")
    assert await queue.claim(Kind.AUDIO, WORKER) is None
    with pytest.raises(JobExists):
        await queue.enqueue(Kind.AUDIO, {"job_id": "j1", "script_text": "x"})


async def test_a_second_owner_is_refused(queue: DirectoryQueue, data_dir: Path, clock: FakeClock) -> None:
    second = DirectoryQueue(data_dir, PlainProfiles(), clock)
    with pytest.raises(AlreadyOwned, match="another bot already runs"):
        await second.open()


async def test_a_second_owner_is_refused_though_somebody_deleted_the_lock_file(
    queue: DirectoryQueue, data_dir: Path, clock: FakeClock
) -> None:
    (data_dir / "owner.lock").unlink()
    second = DirectoryQueue(data_dir, PlainProfiles(), clock)
    with pytest.raises(AlreadyOwned, match="another bot already runs"):
        await second.open()
    await queue.close()
    await second.open()
    await second.close()


async def test_a_dead_workers_job_comes_back_at_once_and_the_delivery_counts(
    queue: DirectoryQueue, data_dir: Path, clock: FakeClock
) -> None:
    await queue.enqueue(Kind.AUDIO, {"job_id": "j1", "script_text": "x"})
    await queue.claim(Kind.AUDIO, WORKER)
    again = await reopened(queue, data_dir, clock)
    await again.take_back(Kind.AUDIO, "gpu-1", "it died")
    view = await again.get(Kind.AUDIO, "j1")
    assert (view.state, view.job.retry_count) == (State.PENDING, 1)
    await again.close()


async def test_a_chat_is_owed_news_of_what_is_final_for_it(queue: DirectoryQueue, data_dir: Path) -> None:
    for job_id, chat in (
        ("fails", {"chat_id": 5}),
        ("link", {"chat_id": 5}),
        ("film", {"chat_id": 5}),
        ("mute", {}),
    ):
        await queue.enqueue(Kind.AUDIO, {"job_id": job_id, "script_text": "x", **chat})
        delivery = await queue.claim(Kind.AUDIO, WORKER)
        assert delivery is not None
        if job_id == "film":
            (data_dir / "recording").write_bytes(b"RIFF")
            await queue.storage.put(f"{delivery.job.organized_path}/audio.wav", data_dir / "recording")
        if job_id in ("fails", "mute"):
            await queue.fail(delivery.claim, "no luck", permanent=True)
        else:
            await queue.complete(delivery.claim, RESULT)
    assert {(news.kind, news.job_id, news.state) for news in queue.outbox.owed()} == {
        (Kind.AUDIO, "fails", State.FAILED),
        (Kind.AUDIO, "link", State.COMPLETED),
    }
    video = await queue.claim(Kind.VIDEO, WORKER)
    assert video is not None
    await queue.complete(video.claim, {})
    assert (Kind.VIDEO, "film-video") in {(news.kind, news.job_id) for news in queue.outbox.owed()}


def test_the_live_queue_folder_never_holds_python() -> None:
    """`queue/__init__.py` would shadow the standard library's queue and break asyncio.to_thread."""
    root = Path(__file__).resolve().parent.parent.parent
    assert not list((root / "queue").rglob("*.py"))
