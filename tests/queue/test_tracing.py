"""One id joins all that is logged about a script: in the job's log, in the process's, in the worker's."""

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobqueue import tracing
from jobqueue.directory import DirectoryQueue
from jobqueue.disk import in_thread
from jobqueue.errors import PermanentError
from jobqueue.job import Job, Kind, Progress, Result, WorkerReport, video_job_id
from jobqueue.worker import Report, Worker
from logs import WithoutSecrets
from tests.clock import FakeClock

log = logging.getLogger("tests.work")


class Lines(logging.Handler):
    """What a process would write, line by line."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self.setFormatter(WithoutSecrets(frozenset(), as_json=as_json))
        self.written: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.written.append(self.format(record))

    def about(self, text: str) -> list[str]:
        return [line for line in self.written if text in line]


@pytest.fixture(params=["text", "json"])
def lines(request: pytest.FixtureRequest) -> Iterator[Lines]:
    handler, root = Lines(as_json=request.param == "json"), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


async def work_until_empty(queue: DirectoryQueue, kind: Kind, handle: object) -> None:
    """The loop that all workers share, for as long as there is work."""
    stop = asyncio.Event()

    async def stopping(job: Job, report: Report) -> Result:
        try:
            return await handle(job, report)  # type: ignore[operator, no-any-return]
        finally:
            asyncio.get_running_loop().call_later(0.2, stop.set)

    async with asyncio.timeout(10):
        await Worker(queue, kind, WorkerReport("gpu-1"), stopping, wait_s=0.1).run(stop)


async def speak(job: Job, report: Report) -> Result:
    log.info("the engine speaks")
    await in_thread(lambda: log.info("a thread of the engine"))
    async with asyncio.TaskGroup() as group:
        group.create_task(report(Progress(50, "speaking", 1, 2)))
    return {"gofile_link": "https://example.org/a"}


async def test_every_line_of_a_jobs_log_and_of_its_work_carries_its_id(
    queue: DirectoryQueue, lines: Lines
) -> None:
    await queue.enqueue(Kind.AUDIO, {"job_id": "j1", "script_text": "x", "correlation_id": "from-caller.7"})
    await work_until_empty(queue, Kind.AUDIO, speak)
    told = await queue.logs(Kind.AUDIO, "j1")
    assert [line["event"] for line in told] == ["enqueue", "claim", "progress", "complete"]
    assert {line["correlation_id"] for line in told} == {"from-caller.7"}
    for text in (
        "enqueue",
        "claim",
        "attempt 1 begins",
        "the engine",
        "a thread",
        "complete, now",
        "completed",
    ):
        assert lines.about(text), text
        for line in lines.about(text):
            if line.startswith("{"):
                assert json.loads(line)["correlation_id"] == "from-caller.7"
            else:
                assert "[c:from-caller.7] " in line
    log.info("nothing in particular")
    assert "from-caller.7" not in lines.written[-1]


async def test_a_failure_is_logged_with_the_id_of_its_job(queue: DirectoryQueue, lines: Lines) -> None:
    class NoVoice(PermanentError):
        pass

    async def fail(job: Job, report: Report) -> Result:
        raise NoVoice("no voice")

    view = await queue.enqueue(Kind.AUDIO, {"job_id": "j1", "script_text": "x"})
    await work_until_empty(queue, Kind.AUDIO, fail)
    (line,) = lines.about("failed: no voice")
    assert view.job.text("correlation_id") in line


async def test_the_video_job_goes_on_under_the_id_of_its_audio_job(queue: DirectoryQueue) -> None:
    audio = (await queue.enqueue(Kind.AUDIO, {"job_id": "j1", "script_text": "x"})).job
    delivery = await queue.claim(Kind.AUDIO, WorkerReport("gpu-1"), claim_id="c1")
    assert delivery is not None
    place = queue.storage.locate(f"{audio.organized_path}/audio.wav")
    place.parent.mkdir(parents=True)
    place.write_bytes(b"RIFF")
    await queue.complete(delivery.claim, {"correlation_id": "of-a-worker", "duration_s": 5})
    video = (await queue.get(Kind.VIDEO, video_job_id("j1"))).job
    assert video.text("correlation_id") == audio.text("correlation_id")
    assert len(video.text("correlation_id")) == 12


@pytest.mark.parametrize("given", ["", "a b", "-x", "x" * 65, "a\nb", 7, None, {"a": 1}])
async def test_an_id_that_would_spoil_a_log_is_replaced(queue: DirectoryQueue, given: object) -> None:
    record = {"script_text": "x", "correlation_id": given}
    job = (await queue.enqueue(Kind.AUDIO, record)).job  # type: ignore[arg-type]
    assert tracing.is_correlation_id(job.fields["correlation_id"])
    assert job.fields["correlation_id"] != given


async def test_a_job_from_before_there_were_ids_has_one_all_the_same(
    queue: DirectoryQueue, data_dir: Path
) -> None:
    old = Job("0123456789abcdef", Kind.AUDIO, 0.0, fields={"organized_path": "d/MAIN/video_1"})
    grown = Job(video_job_id(old.id), Kind.VIDEO, 0.0)
    assert tracing.correlation_id_of(old) == tracing.correlation_id_of(grown) == "0123456789ab"
    with tracing.following(Job("j", Kind.AUDIO, 0.0, fields={"correlation_id": "a\nb"})):
        assert tracing.marks() == {"correlation_id": "j"}


async def test_progress_tells_which_chunk_which_attempt_and_how_long(
    queue: DirectoryQueue, clock: FakeClock
) -> None:
    await queue.enqueue(Kind.AUDIO, {"job_id": "j1", "script_text": "x"})
    delivery = await queue.claim(Kind.AUDIO, WorkerReport("gpu-1"), claim_id="c1")
    assert delivery is not None
    for chunk, seconds in ((1, 4.2), (2, 6.3)):
        clock.advance(seconds)
        await queue.progress(delivery.claim, Progress(chunk * 10, "speaking", chunk, 9))
    told = [line for line in await queue.logs(Kind.AUDIO, "j1") if line["event"] == "progress"]
    assert [(line["chunk"], line["attempt"], line["seconds"]) for line in told] == [(1, 1, 4.2), (2, 1, 6.3)]
