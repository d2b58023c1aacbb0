"""What a person who looks for the fault finds in a video job's log."""

import asyncio
from pathlib import Path

from jobqueue.directory import DirectoryQueue
from jobqueue.job import Kind, WorkerReport
from jobqueue.lifecycle import State
from jobqueue.worker import Worker
from run_bot import note_run
from tests.video import media
from workers.video.ffmpeg import FFmpeg
from workers.video.stage import VideoStage


async def test_each_run_of_ffmpeg_is_a_line_in_the_log_of_its_job(
    queue: DirectoryQueue, data_dir: Path
) -> None:
    job = (await queue.enqueue(Kind.VIDEO, {"job_id": "v1", "correlation_id": "abc"})).job
    recording = queue.storage.locate(f"{job.organized_path}/audio.wav")
    recording.parent.mkdir(parents=True)
    media.record(recording, 1.0)
    ffmpeg = FFmpeg(on_run=lambda job, run: note_run(queue, job, run))
    stage = VideoStage(data_dir / "files", data_dir / "images", data_dir / "tmp", ffmpeg=ffmpeg)
    stop = asyncio.Event()
    queue.feed.listen(lambda change: stop.set() if change.state is State.COMPLETED else None)
    async with asyncio.timeout(60):
        await Worker(queue, Kind.VIDEO, WorkerReport("bot"), stage.handle, wait_s=1).run(stop)
    assert (await queue.get(Kind.VIDEO, "v1")).state is State.COMPLETED
    lines = await queue.logs(Kind.VIDEO, "v1")
    assert {line["correlation_id"] for line in lines} == {"abc"}
    runs = [line for line in lines if line["event"] == "ffmpeg"]
    assert {
        "checking the recording",
        "drawing the title card",
        "rendering 25 frames",
        "encoding the sound",
        "joining",
        "checking the video",
    } <= {line["step"] for line in runs}
    assert {line["exit"] for line in runs} == {0}
    assert all(isinstance(line["seconds"], float) and line["seconds"] > 0 for line in runs)
