"""The real bot looks after itself: it removes what is old, and stays paused over a kill."""

import asyncio
import json
import time

from jobqueue.client import Connection, HttpQueue
from jobqueue.job import Kind, WorkerReport
from jobqueue.wire import timestamp
from tests.system.machine import Machine

DAY_S = 86400


def finish_by_hand(machine: Machine, job_id: str, days_ago: float) -> str:
    """A job as it lies there some days after it was finished; returns the folder of its media."""
    ended = timestamp(time.time() - days_ago * DAY_S)
    folder = f"2026-01-01/BI/{job_id}"
    record = {
        "job_id": job_id,
        "script_text": "words",
        "organized_path": folder,
        "created_at": ended,
        "completed_at": ended,
    }
    place = machine.data_dir / f"audio-queue/completed/{job_id}.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(record))
    media = machine.data_dir / "files" / folder
    media.mkdir(parents=True)
    (media / "audio.wav").touch()
    return folder


async def test_old_jobs_are_removed_soon_after_the_start(machine: Machine) -> None:
    old, young = finish_by_hand(machine, "old", 31), finish_by_hand(machine, "young", 29)
    bot = await machine.bot()
    async with asyncio.timeout(20):
        while machine.files("audio-queue/completed") != ["young.json"]:
            await asyncio.sleep(0.1)
    assert not (machine.data_dir / "files" / old).exists()
    assert (machine.data_dir / "files" / young / "audio.wav").exists()
    assert await machine.stop(bot) == 0


async def test_a_killed_bot_is_still_paused(machine: Machine, connection: Connection) -> None:
    bot = await machine.bot(KEEP_DAYS="0")
    queue = HttpQueue(connection)
    await connection.call("POST", "/queue/audio/pause")
    await queue.enqueue(Kind.AUDIO, {"job_id": "j1", "script_text": "words"})
    await machine.kill(bot)
    bot = await machine.bot()
    assert await queue.claim(Kind.AUDIO, WorkerReport("gpu-1")) is None
    await connection.call("POST", "/queue/audio/resume")
    delivery = await queue.claim(Kind.AUDIO, WorkerReport("gpu-1"))
    assert delivery is not None
    assert delivery.job.id == "j1"
    assert await machine.stop(bot) == 0
