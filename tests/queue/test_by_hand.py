"""What people do to the queue's folders: nothing is lost, nothing stands still, no old claim is good."""

import asyncio
import errno
import json
import os
from pathlib import Path

import aiohttp
import pytest

from bot.publishing.links import SignedLinks
from jobqueue import durable
from jobqueue.backend import Filter
from jobqueue.directory import DirectoryQueue
from jobqueue.errors import JobExists, JobNotFound, JobUnreadable, LeaseLost, QueueUnwritable
from jobqueue.handover import UNREADABLE_MAX, UNREADABLE_S
from jobqueue.job import Claim, Delivery, Json, Kind, WorkerReport
from jobqueue.lifecycle import State
from tests.clock import FakeClock
from tests.endpoint.conftest import KEY, served
from tests.queue.test_admission_and_recovery import RESULT, WORKER, drop, folder, record, reopened


async def enqueue(queue: DirectoryQueue, *job_ids: str, **fields: Json) -> None:
    for job_id in job_ids:
        offer: dict[str, Json] = {"job_id": job_id, "script_text": f"script of {job_id}", **fields}
        await queue.enqueue(Kind.AUDIO, offer)


async def claim(queue: DirectoryQueue, claim_id: str | None = None) -> Delivery:
    delivery = await queue.claim(Kind.AUDIO, WORKER, claim_id=claim_id)
    assert delivery is not None
    return delivery


async def script_of(queue: DirectoryQueue, job_id: str) -> str:
    return (await queue.get(Kind.AUDIO, job_id)).job.text("script_text")


def by_hand(text: str, **fields: Json) -> str:
    return json.dumps({"script_text": text, **fields})


class Locked:
    """Files that cannot be opened, whoever asks: those who run the tests may be root."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: set[str] = set()
        self.error = errno.EACCES
        self._open = os.open
        monkeypatch.setattr(os, "open", self._refuse)

    def _refuse(self, path: str | Path, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if os.path.basename(path) in self.names:  # noqa: PTH119  it may be either
            raise OSError(self.error, os.strerror(self.error))
        return self._open(path, flags, mode, dir_fd=dir_fd)


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> Locked:
    return Locked(monkeypatch)


# --- a file that cannot be read


async def test_a_folder_in_place_of_a_job_is_set_aside_and_the_next_job_goes_out(
    queue: DirectoryQueue, data_dir: Path
) -> None:
    await enqueue(queue, "j1", "j2")
    place = folder(data_dir, "pending") / "j1.json"
    place.unlink()
    place.mkdir()
    assert (await claim(queue)).job.id == "j2"
    assert [path.name.endswith("j1.json") for path in (data_dir / "corrupt").iterdir()] == [True]
    with pytest.raises(JobNotFound):
        await queue.get(Kind.AUDIO, "j1")


@pytest.mark.parametrize("kind", ["folder", "pipe", "loop", "huge"])
def test_what_is_no_file_is_no_record_and_is_not_kept_open(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.json"
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "loop":
            path.symlink_to(path.name)
        case _:
            path.write_bytes(b"")
            os.truncate(path, durable.RECORD_MAX_BYTES + 1)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        with pytest.raises(ValueError, match=r"odd\.json"):
            durable.read_record(path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("error", [errno.EACCES, errno.EIO])
async def test_a_job_whose_file_cannot_be_read_waits_and_holds_up_nobody(
    queue: DirectoryQueue, clock: FakeClock, locked: Locked, error: int
) -> None:
    await enqueue(queue, "j1", "j2")
    locked.names, locked.error = {"j1.json"}, error
    assert (await claim(queue)).job.id == "j2"
    assert await queue.claim(Kind.AUDIO, WORKER) is None
    locked.names.clear()
    clock.advance(UNREADABLE_S + 1)
    assert (await claim(queue)).job.id == "j1"


async def test_a_foreign_file_alone_in_the_queue_is_no_error_of_the_queue(
    queue: DirectoryQueue, locked: Locked
) -> None:
    await enqueue(queue, "j1")
    locked.names = {"j1.json"}
    assert await queue.claim(Kind.AUDIO, WORKER) is None
    assert queue.stats(Kind.AUDIO)["pending"] == 1


async def test_many_files_that_cannot_be_read_are_an_error_of_the_disk(
    queue: DirectoryQueue, locked: Locked
) -> None:
    names = [f"j{number}" for number in range(UNREADABLE_MAX + 1)]
    await enqueue(queue, *names)
    locked.names = {f"{name}.json" for name in names[:UNREADABLE_MAX]}
    with pytest.raises(QueueUnwritable):
        await queue.claim(Kind.AUDIO, WORKER)
    assert (await claim(queue)).job.id == names[-1]


async def test_a_list_leaves_out_the_job_that_cannot_be_read(
    queue: DirectoryQueue, clock: FakeClock, locked: Locked
) -> None:
    await enqueue(queue, "j1", "j2", "j3")
    locked.names = {"j2.json"}
    page = await queue.jobs(Filter(Kind.AUDIO))
    assert [view.job.id for view in page.jobs] == ["j1", "j3"]
    links = SignedLinks("https://videos.example.org", clock, "a secret of the tests")
    async with (
        served(queue, links, clock) as server,
        aiohttp.ClientSession(server.make_url("/"), headers={"X-API-Key": KEY}) as http,
    ):
        async with http.get("/queue/audio/jobs") as answer:
            assert [job["job_id"] for job in await answer.json()] == ["j1", "j3"]
        async with http.get("/queue/audio/jobs/j2") as answer:
            assert answer.status == 503
    with pytest.raises(JobUnreadable, match="j2"):
        await queue.get(Kind.AUDIO, "j2")


# --- a job that comes while another has its id


async def test_of_two_files_dropped_for_one_id_both_are_kept(queue: DirectoryQueue, data_dir: Path) -> None:
    for number in range(5):  # in whatever order they are found
        drop(data_dir, f"x{number}.json", by_hand("by its name"))
        drop(data_dir, f"aa{number}.json", by_hand("by its field", job_id=f"x{number}"))
    await queue.rescan()
    texts = [await script_of(queue, f"x{number}") for number in range(5)]
    aside = [json.loads(path.read_text())["script_text"] for path in (data_dir / "corrupt").iterdir()]
    assert sorted(texts + aside) == ["by its field"] * 5 + ["by its name"] * 5


async def test_an_offer_does_not_overwrite_what_was_dropped_a_moment_before(
    queue: DirectoryQueue, data_dir: Path
) -> None:
    drop(data_dir, "y.json", by_hand("by hand"))
    with pytest.raises(JobExists):
        await enqueue(queue, "y", script_text="by a program")
    await queue.rescan()
    assert await script_of(queue, "y") == "by hand"


@pytest.mark.parametrize("key", [None, "a new key"])
async def test_another_script_under_a_given_id_is_refused_with_a_key_or_without(
    queue: DirectoryQueue, key: str | None
) -> None:
    await enqueue(queue, "j1")
    with pytest.raises(JobExists):
        await queue.enqueue(Kind.AUDIO, {"job_id": "j1", "script_text": "another"}, idempotency_key=key)
    same = {"job_id": "j1", "script_text": "script of j1"}
    assert (await queue.enqueue(Kind.AUDIO, same, idempotency_key=key)).job.id == "j1"
    assert queue.stats(Kind.AUDIO)["pending"] == 1


# --- a job moved back into pending


async def dead(queue: DirectoryQueue, job_id: str) -> tuple[Delivery, Delivery]:
    """A job that has ended in failed at its second epoch; the claims it had."""
    await enqueue(queue, job_id)
    first = await claim(queue, "c1")
    await queue.release(first.claim)
    second = await claim(queue, "c2")
    await queue.fail(second.claim, "no luck", permanent=True)
    return first, second


@pytest.mark.parametrize("is_asked_for", [True, False])
async def test_no_claim_of_an_earlier_life_is_good_for_a_job_put_back(
    queue: DirectoryQueue, data_dir: Path, is_asked_for: bool
) -> None:
    claims = await dead(queue, "j1")
    (folder(data_dir, "failed") / "j1.json").rename(folder(data_dir, "pending") / "j1.json")
    if is_asked_for:  # before it is found: the index forgets it
        with pytest.raises(JobNotFound):
            await queue.get(Kind.AUDIO, "j1")
    await queue.rescan()
    again = await claim(queue, "c3")
    assert (again.job.epoch, again.job.retry_count) == (3, 0)
    for old in claims:
        with pytest.raises(LeaseLost):
            await queue.complete(old.claim, RESULT)


async def test_nor_for_one_put_back_while_nobody_ran(
    queue: DirectoryQueue, data_dir: Path, clock: FakeClock
) -> None:
    claims = await dead(queue, "j1")
    await queue.close()
    (folder(data_dir, "failed") / "j1.json").rename(folder(data_dir, "pending") / "j1.json")
    again = await reopened(queue, data_dir, clock)
    assert (await claim(again, "c3")).job.epoch == 3
    for old in claims:
        with pytest.raises(LeaseLost):
            await again.complete(old.claim, RESULT)
    await again.close()


async def test_a_job_that_waits_for_its_next_attempt_keeps_it_over_a_restart(
    queue: DirectoryQueue, data_dir: Path, clock: FakeClock
) -> None:
    await enqueue(queue, "j1")
    await queue.fail((await claim(queue, "c1")).claim, "no luck")
    before = (await queue.get(Kind.AUDIO, "j1")).job
    again = await reopened(queue, data_dir, clock)
    assert (await again.get(Kind.AUDIO, "j1")).job == before
    await again.close()


@pytest.mark.parametrize("is_asked_for", [True, False])
async def test_the_worker_of_a_job_put_back_hears_of_it_and_gets_no_dead_claim(
    queue: DirectoryQueue, data_dir: Path, is_asked_for: bool
) -> None:
    await enqueue(queue, "j1")
    first = await claim(queue, "c1")
    (folder(data_dir, "processing") / "gpu-1_j1.json").rename(folder(data_dir, "pending") / "j1.json")
    if is_asked_for:
        with pytest.raises(JobNotFound):
            await queue.get(Kind.AUDIO, "j1")
        assert (await queue.heartbeat(Kind.AUDIO, WorkerReport("gpu-1", "busy", "j1"))).lost == {"j1"}
    await queue.rescan()
    assert queue.leases() == []
    assert (await queue.heartbeat(Kind.AUDIO, WorkerReport("gpu-1", "busy", "j1"))).lost == {"j1"}
    again = await claim(queue, "c1")
    assert again.claim.token != first.claim.token
    await queue.complete(again.claim, RESULT)


async def test_a_claim_repeated_for_a_job_that_has_gone_gets_another(
    queue: DirectoryQueue, data_dir: Path
) -> None:
    await enqueue(queue, "j1", "j2")
    await claim(queue, "c1")
    (folder(data_dir, "processing") / "gpu-1_j1.json").unlink()
    with pytest.raises(JobNotFound):
        await queue.get(Kind.AUDIO, "j1")
    assert (await claim(queue, "c1")).job.id == "j2"


# --- a job put into processing


@pytest.mark.parametrize("has_worker", [True, False])
async def test_a_job_put_into_a_workers_hands_may_be_completed_twice(
    queue: DirectoryQueue, data_dir: Path, has_worker: bool
) -> None:
    await enqueue(queue, "j1")
    place = folder(data_dir, "pending") / "j1.json"
    if has_worker:
        place.write_text(json.dumps({**record(data_dir, "pending", "j1"), "worker_id": "another"}))
    place.rename(folder(data_dir, "processing") / "gpu-1_j1.json")
    await queue.rescan()
    for _ in range(2):
        await queue.complete(Claim(Kind.AUDIO, "j1", "gpu-1", token=None), RESULT)
    assert record(data_dir, "completed", "j1")["worker_id"] == "gpu-1"


# --- a folder that has gone


async def test_a_folder_that_has_gone_costs_no_job(queue: DirectoryQueue, data_dir: Path) -> None:
    await enqueue(queue, "j1", "j2")
    (folder(data_dir, "processing")).rmdir()
    assert [(await claim(queue)).job.id for _ in range(2)] == ["j1", "j2"]


async def test_each_folder_that_has_gone_is_made_anew(queue: DirectoryQueue, data_dir: Path) -> None:
    for state in State:
        folder(data_dir, state).rmdir()
    await queue.rescan()
    await enqueue(queue, "j1")
    await queue.complete((await claim(queue)).claim, RESULT)
    assert (await queue.get(Kind.AUDIO, "j1")).state is State.COMPLETED


async def test_a_disk_that_has_gone_is_not_built_up_again_elsewhere(
    queue: DirectoryQueue, data_dir: Path
) -> None:
    await enqueue(queue, "j1")
    aside = data_dir.rename(data_dir.with_name("unmounted"))
    data_dir.mkdir()
    with pytest.raises(QueueUnwritable):
        await queue.rescan()
    assert await asyncio.to_thread(lambda: list(data_dir.iterdir())) == []
    data_dir.rmdir()
    aside.rename(data_dir)
    assert (await claim(queue)).job.id == "j1"
