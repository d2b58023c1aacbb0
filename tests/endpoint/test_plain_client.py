"""The simplest program anyone wrote against the endpoint; it must work unchanged for ever."""

import aiohttp

from jobqueue.directory import DirectoryQueue
from jobqueue.job import Kind
from jobqueue.lifecycle import State
from tests.clock import FakeClock


class PlainClient:
    """No tokens, no claim ids, no waiting: worker_id and nothing else."""

    def __init__(self, session: aiohttp.ClientSession, worker_id: str) -> None:
        self._session = session
        self._worker_id = worker_id

    async def post(self, path: str, **body: object) -> dict[str, object]:
        async with self._session.post(path, json=body) as answer:
            assert answer.status in (200, 201), await answer.text()
            found: dict[str, object] = await answer.json()
            return found

    async def claim(self) -> dict[str, object] | None:
        job = (await self.post("/queue/audio/claim", worker_id=self._worker_id)).get("job")
        assert job is None or isinstance(job, dict)
        return job


async def test_the_plain_client_works_through_a_day(
    http: aiohttp.ClientSession, queue: DirectoryQueue
) -> None:
    client = PlainClient(http, "vast_12345")
    assert await client.claim() is None
    posted = await client.post("/queue/audio/jobs", script_text="hello", channel_code="BI", chat_id=42)
    assert posted["status"] == "pending"
    assert await client.post(
        "/workers/audio/heartbeat", worker_id="vast_12345", status="online", gpu_model="RTX 4090"
    ) == {
        "status": "ok",
        "lost": [],
        "cancel": [],
    }
    job = await client.claim()
    assert job is not None and job["script_text"] == "hello" and job["chat_id"] == 42
    done = await client.post(
        f"/queue/audio/jobs/{job['job_id']}/complete",
        worker_id="vast_12345",
        gofile_link="https://gofile.io/d/x",
    )
    assert done == {"status": "completed"}
    assert (await queue.get(Kind.AUDIO, str(job["job_id"]))).job.text(
        "gofile_link"
    ) == "https://gofile.io/d/x"
    video = await client.post(
        "/queue/video/jobs",
        audio_job_id=job["job_id"],
        channel_code="BI",
        video_number=1,
        date=job["date"],
        organized_path=job["organized_path"],
        image_folder="nature",
        chat_id=42,
    )
    assert video["status"] == "pending"
    assert (await client.post("/counter/increment/video"))["value"] == 2
    assert (await client.post("/counter/increment/video"))["value"] == 3


async def test_the_plain_client_fails_a_job_three_times(
    http: aiohttp.ClientSession, queue: DirectoryQueue, clock: FakeClock
) -> None:
    client = PlainClient(http, "gpu")
    await client.post("/queue/audio/jobs", script_text="hello", job_id="j1")
    for failures in (1, 2, 3):
        clock.advance(1000)  # past the backoff
        assert await client.claim() is not None
        answer = await client.post("/queue/audio/jobs/j1/fail", worker_id="gpu", error_message="no CUDA")
        assert answer["retry_count"] == failures
        assert answer["status"] == ("failed" if failures == 3 else "pending")
    view = await queue.get(Kind.AUDIO, "j1")
    assert (view.state, view.job.text("error_message")) == (State.FAILED, "no CUDA")
