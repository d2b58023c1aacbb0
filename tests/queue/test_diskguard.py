"""New jobs stop before the disk is full; what is in hand is finished from the reserve."""

import ctypes
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from jobqueue import durable
from jobqueue.directory import DirectoryQueue
from jobqueue.diskguard import DiskGuard
from jobqueue.errors import QueueUnwritable
from jobqueue.job import Kind, WorkerReport
from jobqueue.lifecycle import State
from jobqueue.policy import QueuePolicy
from tests.clock import FakeClock
from tests.profiles import PlainProfiles

MB = 1 << 20
SCRIPT = {"script_text": "words"}


@dataclass
class Disk:
    """A file system of 10 GB that tells what a test wants."""

    free_mb: int = 5000
    f_favail: int = 500_000
    f_files: int = 600_000
    f_frsize: int = MB
    f_blocks: int = 10_000
    looks: int = 0

    @property
    def f_bavail(self) -> int:
        return self.free_mb

    def __call__(self, _folder: Path) -> "Disk":
        self.looks += 1
        return self


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
async def queue(data_dir: Path, clock: FakeClock, disk: Disk) -> AsyncIterator[DirectoryQueue]:
    queue = DirectoryQueue(data_dir, PlainProfiles(), clock)
    guard = DiskGuard(data_dir, min_free_bytes=500 * MB, look=disk, look_s=0)
    # What the constructor of the queue would make of a real disk.
    queue.disk = queue._admission._guard = guard
    queue.storage.admit = guard.admit_media
    await queue.open()
    yield queue
    await queue.close()


async def pieces(size: int) -> AsyncIterator[bytes]:
    yield bytes(size)


async def test_below_the_reserve_no_new_job_is_accepted_and_the_reason_is_told(
    queue: DirectoryQueue, disk: Disk
) -> None:
    await queue.enqueue(Kind.AUDIO, SCRIPT | {"job_id": "before"})
    disk.free_mb = 499
    with pytest.raises(QueueUnwritable, match="only 499 MB are free on the disk, and 500 MB are kept"):
        await queue.enqueue(Kind.AUDIO, SCRIPT | {"job_id": "refused"})
    again = await queue.enqueue(Kind.AUDIO, SCRIPT | {"job_id": "before"})
    assert again.state is State.PENDING  # a repeat adds nothing, and its caller learns that all is well
    disk.free_mb = 500
    await queue.enqueue(Kind.AUDIO, SCRIPT | {"job_id": "refused"})


async def test_too_few_inodes_are_a_full_disk(queue: DirectoryQueue, disk: Disk) -> None:
    disk.f_favail = 1999
    with pytest.raises(QueueUnwritable, match="only 1999 more files fit on the disk, and 2000 are kept"):
        await queue.enqueue(Kind.AUDIO, SCRIPT)
    disk.f_favail, disk.f_files = 0, 0  # btrfs: inodes as they are needed
    await queue.enqueue(Kind.AUDIO, SCRIPT)


async def test_claimed_work_is_finished_from_the_reserve(queue: DirectoryQueue, disk: Disk) -> None:
    path = (await queue.enqueue(Kind.AUDIO, SCRIPT | {"job_id": "j1"})).job.organized_path
    disk.free_mb = 60
    delivery = await queue.claim(Kind.AUDIO, WorkerReport("gpu-1"))
    assert delivery is not None
    await queue.storage.receive(f"{path}/audio.wav", pieces(9 * MB))
    await queue.complete(delivery.claim, {"audio_path": f"{path}/audio.wav"})
    video = await queue.claim(Kind.VIDEO, WorkerReport("bot"))
    assert video is not None
    await queue.complete(video.claim, {})
    assert (await queue.get(Kind.VIDEO, video.job.id)).state is State.COMPLETED


async def test_an_upload_does_not_take_the_last_of_the_disk(
    queue: DirectoryQueue, disk: Disk, data_dir: Path
) -> None:
    disk.free_mb = 58
    with pytest.raises(QueueUnwritable, match="no file is taken until there is room"):
        await queue.storage.receive("a/audio.wav", pieces(9 * MB))
    assert not (data_dir / "files/a").exists()
    assert not list((data_dir / "tmp").iterdir())
    await queue.storage.receive("a/audio.wav", pieces(8 * MB))


async def test_jobs_dropped_by_hand_wait_until_there_is_room(
    queue: DirectoryQueue, disk: Disk, data_dir: Path
) -> None:
    disk.free_mb = 100
    dropped = data_dir / "audio-queue/pending/by-hand.json"
    (data_dir / "tmp/by-hand.json").write_text('{"script_text": "by hand"}')
    (data_dir / "tmp/by-hand.json").rename(dropped)
    await queue.rescan()
    assert dropped.exists()
    assert queue.stats(Kind.AUDIO)["pending"] == 0
    disk.free_mb = 600
    await queue.rescan()
    assert (await queue.get(Kind.AUDIO, "by-hand")).state is State.PENDING


def test_the_reserve_of_a_small_disk_is_a_tenth_of_it(tmp_path: Path) -> None:
    disk = Disk(free_mb=19, f_blocks=200, f_files=1000, f_favail=100)
    guard = DiskGuard(tmp_path, min_free_bytes=500 * MB, look=disk, look_s=0)
    assert guard.shortage() == "only 19 MB are free on the disk, and 20 MB are kept for work in hand"
    disk.free_mb = 20
    assert guard.shortage() is None
    disk.f_favail = 99
    assert guard.shortage() == "only 99 more files fit on the disk, and 100 are kept for work in hand"


def test_the_disk_is_not_asked_for_every_job(tmp_path: Path) -> None:
    disk = Disk()
    guard = DiskGuard(tmp_path, min_free_bytes=MB, look=disk, look_s=60)
    for _ in range(1000):
        guard.admit_job()
        guard.admit_media(1)
    assert disk.looks == 1


def test_a_disk_that_cannot_be_asked_refuses_nothing(tmp_path: Path) -> None:
    guard = DiskGuard(tmp_path / "gone", min_free_bytes=500 * MB, look_s=0)
    guard.admit_job()  # the write itself will tell what is wrong


# --- a real file system, where the kernel lets us mount one


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """40 MB of memory as a disk."""
    place = tmp_path / "disk"
    place.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", os.fsencode(place), b"tmpfs", 0, b"size=40m,nr_inodes=4000") != 0:
        pytest.skip("mounting is not permitted here; the tests above make the same promises")
    try:
        yield place
    finally:
        libc.umount2(os.fsencode(place), 2)


async def test_a_disk_that_really_fills_up_loses_nothing(small_disk: Path, clock: FakeClock) -> None:
    data_dir = small_disk / "data"
    queue = DirectoryQueue(data_dir, PlainProfiles(), clock, QueuePolicy(min_free_bytes=500 * MB))
    queue.disk._look_s = 0
    await queue.open()
    accepted, script = [], "x" * 900_000
    with pytest.raises(QueueUnwritable, match="kept for work in hand"):
        for number in range(100):
            await queue.enqueue(Kind.AUDIO, {"job_id": f"j{number}", "script_text": script})
            accepted.append(f"j{number}")
            durable.write_aside(small_disk, "ballast", bytes(MB), sync=False)
    delivery = await queue.claim(Kind.AUDIO, WorkerReport("gpu-1"))
    assert delivery is not None
    path = f"{delivery.job.organized_path}/audio.wav"
    await queue.storage.receive(path, pieces(500_000))
    await queue.complete(delivery.claim, {"audio_path": path})
    for ballast in small_disk.glob("*-ballast"):
        ballast.unlink()
    await queue.enqueue(Kind.AUDIO, {"job_id": "later", "script_text": script})
    await queue.close()
    again = DirectoryQueue(data_dir, PlainProfiles(), clock)
    await again.open()
    assert {each for _, each in again.matching("") if "video" not in each} == {*accepted, "later"}
    await again.close()
