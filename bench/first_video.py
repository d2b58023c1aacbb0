"""What the first video costs: the queue beside the disk's own limit, the voice, the render. Prints a table.

    python bench/first_video.py

Each figure is a median of several rounds in this one run; the machine is named with them.
"""

import asyncio
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
import wave
from collections.abc import Awaitable, Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bot.library.channels import Channels  # noqa: E402
from jobqueue import durable  # noqa: E402
from jobqueue.clock import SystemClock  # noqa: E402
from jobqueue.directory import DirectoryQueue  # noqa: E402
from jobqueue.job import Job, Kind, Progress, WorkerReport  # noqa: E402
from jobqueue.storage import DirectoryStorage  # noqa: E402
from workers.audio.embedded import EmbeddedVoice  # noqa: E402
from workers.audio.narrator import Narrator  # noqa: E402
from workers.video.stage import VideoStage  # noqa: E402

ROUNDS = 5
JOBS = 200
SCRIPT = (ROOT / "examples/script_en.txt").read_text(encoding="utf-8")
WORKER = WorkerReport("bench")


async def main(data_dir: Path) -> None:
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{machine}; medians of {ROUNDS} rounds")
    queue = DirectoryQueue(data_dir, Channels(data_dir / "channels.json", SystemClock(), None), SystemClock())
    await queue.open()
    await bench_queue(queue, data_dir / "tmp")
    await bench_pick_up(queue)
    await queue.close()
    await bench_media(data_dir)


async def bench_queue(queue: DirectoryQueue, tmp: Path) -> None:
    disk, accept, life = [], [], []
    place = tmp / "limit"
    place.mkdir()
    for _ in range(ROUNDS):
        disk.append(await per_second(lambda: asyncio.to_thread(publish, tmp, place), JOBS))
        accept.append(await per_second(lambda: enqueue(queue), JOBS))
        life.append(await per_second(lambda: claim_and_complete(queue), JOBS))
    shutil.rmtree(place)
    limit = statistics.median(disk)
    print(f"disk: write, fsync, rename, fsync folder   {limit:8.0f} /s")
    print(
        f"queue: durable accept, one client          {statistics.median(accept):8.0f} /s"
        f"  {statistics.median(a / d for a, d in zip(accept, disk, strict=True)):.2f} of the disk's"
    )
    print(f"queue: claim and complete, one client      {statistics.median(life):8.0f} /s")


def publish(tmp: Path, place: Path) -> None:
    part = durable.write_aside(tmp, "limit.json", b"x" * 1000)
    part.rename(place / part.name)
    durable.sync_folder(place)


async def enqueue(queue: DirectoryQueue) -> None:
    await queue.enqueue(Kind.AUDIO, {"script_text": "x" * 500})


async def claim_and_complete(queue: DirectoryQueue) -> None:
    delivery = await queue.claim(Kind.AUDIO, WORKER)
    if delivery is not None:
        await queue.complete(delivery.claim, {"gofile_link": "https://example.org"})


async def per_second(work: Callable[[], Awaitable[None]], times: int) -> float:
    begun = time.perf_counter()
    for _ in range(times):
        await work()
    return times / (time.perf_counter() - begun)


async def bench_pick_up(queue: DirectoryQueue) -> None:
    waits = []
    for _ in range(20):
        waiting = asyncio.ensure_future(queue.claim(Kind.AUDIO, WORKER, wait_s=30))
        await asyncio.sleep(0.05)
        begun = time.perf_counter()
        await enqueue(queue)
        delivery = await waiting
        waits.append(time.perf_counter() - begun)
        if delivery is not None:
            await queue.complete(delivery.claim, {})
    print(f"queue: from enqueue to a waiting claim     {statistics.median(waits) * 1000:8.1f} ms")


async def bench_media(data_dir: Path) -> None:
    shutil.copytree(ROOT / "examples/pictures", data_dir / "images/bench")
    narrator = Narrator(
        EmbeddedVoice(), DirectoryStorage(data_dir / "files", data_dir / "tmp"), data_dir / "work"
    )
    stage = VideoStage(data_dir / "files", data_dir / "images", data_dir / "tmp")
    speech, renders, length_s = [], [], 0.0
    for number in range(ROUNDS):
        job = Job(
            f"bench-{number}",
            Kind.AUDIO,
            0.0,
            fields={
                "script_text": SCRIPT,
                "organized_path": f"2026-01-01/B/video_{number}",
                "image_folder": "bench",
            },
        )
        begun = time.perf_counter()
        await narrator.handle(job, nobody)
        spoken = time.perf_counter()
        await stage.handle(job, nobody)
        rendered = time.perf_counter()
        with wave.open(str(data_dir / "files" / job.organized_path / "audio.wav")) as recording:
            length_s = recording.getnframes() / recording.getframerate()
        speech.append(length_s / (spoken - begun))
        renders.append(length_s / (rendered - spoken))
    print(
        f"embedded voice, {length_s:.0f} s of speech             {statistics.median(speech):8.0f} x real time"
    )
    print(
        f"render, 1080p25, 6 pictures, {length_s:.0f} s         {statistics.median(renders):8.1f} x real time"
    )


async def nobody(progress: Progress) -> None:
    """Hears the reports of the bench's jobs."""


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="scriptreel-bench-", dir=ROOT) as folder:
        asyncio.run(main(Path(folder)))
