"""Records that are odd, and accepted: they must hold up neither themselves nor anyone else."""

import errno
import os
from pathlib import Path
from unittest import mock

import pytest

from jobqueue.directory import DirectoryQueue
from jobqueue.errors import JobInvalid, QueueUnwritable
from jobqueue.intake import VIDEO_NUMBER_MAX
from jobqueue.job import Json, Kind, WorkerReport
from jobqueue.lifecycle import State
from tests.clock import FakeClock
from tests.profiles import PlainProfiles

WORKER = WorkerReport("gpu-1")


async def enqueue(queue: DirectoryQueue, job_id: str, **fields: Json) -> str:
    record: dict[str, Json] = {"job_id": job_id, "script_text": f"script of {job_id}", **fields}
    return (await queue.enqueue(Kind.AUDIO, record)).job.organized_path


async def complete_next(queue: DirectoryQueue, data_dir: Path, **result: Json) -> None:
    """With a recording."""
    delivery = await queue.claim(Kind.AUDIO, WORKER)
    assert delivery is not None
    folder = data_dir / "files" / delivery.job.organized_path
    folder.mkdir(parents=True)
    (folder / "audio.wav").write_bytes(b"RIFF")
    await queue.complete(delivery.claim, result)


async def test_a_deeply_nested_record_stays_as_small_as_it_was_sent(
    queue: DirectoryQueue, data_dir: Path
) -> None:
    nested: Json = list(range(100_000))
    for _ in range(90):
        nested = [nested]
    await enqueue(queue, "j1", x_mine=nested)
    assert (data_dir / "audio-queue/pending/j1.json").stat().st_size < 1_000_000
    assert await queue.claim(Kind.AUDIO, WORKER) is not None


async def test_a_record_that_could_not_be_read_again_is_refused(queue: DirectoryQueue) -> None:
    with pytest.raises(JobInvalid) as refused:
        await enqueue(queue, "j1", x_mine="x" * (9 << 20))
    assert "job" in refused.value.fields
    assert not queue.matching("j1")


async def test_no_result_and_no_file_can_run_the_numbers_away(
    queue: DirectoryQueue, data_dir: Path, clock: FakeClock
) -> None:
    await enqueue(queue, "j1")
    await complete_next(queue, data_dir, audio_counter=10**4000, video_number=7)
    (data_dir / "audio-queue/completed/j2.json").write_text(
        '{"script_text": "x", "audio_counter": 1' + "0" * 30 + "}"
    )
    await queue.close()
    again = DirectoryQueue(data_dir, PlainProfiles(), clock)
    await again.open()
    number = (await again.enqueue(Kind.AUDIO, {"script_text": "x"})).job.number("audio_counter")
    assert number == 2
    await again.close()


async def test_the_highest_number_of_a_day_holds_no_later_video_up(
    queue: DirectoryQueue, data_dir: Path
) -> None:
    await enqueue(queue, "j1", video_number=VIDEO_NUMBER_MAX)
    await enqueue(queue, "j2")
    for _ in range(2):
        await complete_next(queue, data_dir)
    for video in ("j1-video", "j2-video"):
        assert (await queue.get(Kind.VIDEO, video)).state is State.PENDING


async def test_what_an_audio_job_was_accepted_with_cannot_keep_its_video_back(
    queue: DirectoryQueue, data_dir: Path
) -> None:
    await enqueue(queue, "j1")
    path = data_dir / "audio-queue/pending/j1.json"
    path.write_text(path.read_text().replace('"video_number": 1', '"video_number": "the first"'))
    await complete_next(queue, data_dir)
    assert (await queue.get(Kind.VIDEO, "j1-video")).state is State.PENDING


async def test_the_id_of_an_own_video_is_nobody_elses(queue: DirectoryQueue, data_dir: Path) -> None:
    for record in ({"job_id": "j1-video"}, {"job_id": "j1-video", "audio_job_id": "other"}):
        with pytest.raises(JobInvalid) as refused:
            await queue.enqueue(Kind.VIDEO, record)
        assert "job_id" in refused.value.fields
    await enqueue(queue, "j1")
    await complete_next(queue, data_dir)
    assert (await queue.get(Kind.VIDEO, "j1-video")).job.text("audio_job_id") == "j1"


async def test_a_number_is_not_given_again_after_a_refusal(queue: DirectoryQueue) -> None:
    first = await enqueue(queue, "j1")
    with (
        mock.patch.object(os, "fsync", side_effect=OSError(errno.EIO, "broken")),
        pytest.raises(QueueUnwritable),
    ):
        await queue.enqueue(Kind.VIDEO, {"audio_job_id": "j1"})
    assert await enqueue(queue, "j2") != first


async def test_a_job_that_may_lie_on_disk_after_all_keeps_its_folder(queue: DirectoryQueue) -> None:
    real, calls = os.fsync, 0

    def second_fails(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:  # its bytes are safe and its name is there; only the folder's sync fails
            raise OSError(errno.EIO, "broken")
        real(descriptor)

    with mock.patch.object(os, "fsync", second_fails), pytest.raises(QueueUnwritable):
        await enqueue(queue, "a")
    other = await enqueue(queue, "b")
    await queue.rescan()
    assert (await queue.get(Kind.AUDIO, "a")).job.organized_path != other
