"""Pausing, retrying everything and a full disk, as programs meet them."""

from pathlib import Path

import aiohttp
import pytest

from bot.endpoint.health_routes import disk_check
from jobqueue import revival
from jobqueue.directory import DirectoryQueue
from jobqueue.diskguard import DiskGuard
from jobqueue.job import Kind, WorkerReport
from jobqueue.lifecycle import State

JOB = {"script_text": "words"}


async def post(http: aiohttp.ClientSession, path: str, **body: object) -> tuple[int, dict[str, object]]:
    async with http.post(path, json=body or None) as response:
        return response.status, await response.json()


async def fail(queue: DirectoryQueue, job_id: str, **fields: object) -> None:
    await queue.enqueue(Kind.AUDIO, JOB | {"job_id": job_id} | fields)  # type: ignore[arg-type]
    delivery = await queue.claim(Kind.AUDIO, WorkerReport("gpu-1"))
    assert delivery is not None
    await queue.fail(delivery.claim, "no voice", permanent=True)


async def test_a_queue_is_paused_and_resumed(http: aiohttp.ClientSession) -> None:
    await post(http, "/queue/audio/jobs", **JOB)
    assert await post(http, "/queue/audio/pause") == (200, {"paused": True})
    assert await post(http, "/queue/audio/pause") == (200, {"paused": True})
    assert await post(http, "/queue/audio/claim", worker_id="gpu-1") == (200, {"job": None})
    async with http.get("/queue/audio/stats") as response:
        assert (await response.json())["paused"] is True
    assert await post(http, "/queue/audio/resume") == (200, {"paused": False})
    _, answer = await post(http, "/queue/audio/claim", worker_id="gpu-1")
    assert answer["job"] is not None


async def test_a_worker_is_drained(http: aiohttp.ClientSession) -> None:
    status, problem = await post(http, "/workers/audio/gpu-1/pause")
    assert (status, problem["detail"]) == (404, "no audio worker of this name has reported")
    for worker_id in ("gpu-1", "gpu-2"):
        await post(http, "/workers/audio/heartbeat", worker_id=worker_id)
    assert await post(http, "/workers/audio/gpu-1/pause") == (200, {"paused": True})
    async with http.get("/workers/audio") as response:
        listed = {each["worker_id"]: (each["paused"], each["status"]) for each in await response.json()}
    assert listed == {"gpu-1": (True, "online"), "gpu-2": (False, "online")}
    await post(http, "/queue/audio/jobs", **JOB)
    assert await post(http, "/queue/audio/claim", worker_id="gpu-1") == (200, {"job": None})
    assert await post(http, "/workers/audio/gpu-1/resume") == (200, {"paused": False})
    _, answer = await post(http, "/queue/audio/claim", worker_id="gpu-1")
    assert answer["job"] is not None


async def test_all_failed_jobs_are_retried(
    http: aiohttp.ClientSession, queue: DirectoryQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revival, "TOGETHER", 3)
    for number in range(10):
        await fail(queue, f"j{number}", channel_code="BI" if number < 4 else "AFG", chat_id=number % 2)
    await queue.enqueue(Kind.AUDIO, JOB | {"job_id": "called-off"})
    await queue.cancel(Kind.AUDIO, "called-off", by="a test")
    assert await post(http, "/queue/audio/retry?channel=BI&chat_id=1") == (200, {"retried": 2})
    assert await post(http, "/queue/audio/retry?channel=BI") == (200, {"retried": 2})
    assert await post(http, "/queue/audio/retry") == (200, {"retried": 6})
    assert await post(http, "/queue/audio/retry") == (200, {"retried": 0})
    assert queue.stats(Kind.AUDIO)["pending"] == 10
    assert (await queue.get(Kind.AUDIO, "called-off")).state is State.CANCELLED
    status, _ = await post(http, "/queue/audio/retry?chat_id=me")
    assert status == 400


async def test_a_full_disk_is_a_503_that_says_when_to_come_again(
    http: aiohttp.ClientSession, queue: DirectoryQueue, data_dir: Path
) -> None:
    guard = DiskGuard(data_dir, min_free_bytes=1 << 40, look=_nearly_full)
    queue.disk = queue._admission._guard = guard
    queue.storage.admit = guard.admit_media
    async with http.post("/queue/audio/jobs", json=JOB) as response:
        assert response.status == 503
        assert response.headers["Retry-After"] == "30"
        assert response.content_type == "application/problem+json"
        assert "only 40 MB are free on the disk" in (await response.json())["detail"]
    async with http.put("/files/a/audio.wav", data=b"x" * 100) as response:
        assert response.status == 503
    assert disk_check(queue)() == ("only 40 MB are free on the disk, and 1000 MB are kept for work in hand")


class _NearlyFull:
    f_frsize, f_blocks, f_bavail, f_files, f_favail = 1 << 20, 10_000, 40, 0, 0


def _nearly_full(_folder: Path) -> _NearlyFull:
    return _NearlyFull()
