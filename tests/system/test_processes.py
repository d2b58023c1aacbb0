"""The real bot and the real worker: kills, restarts, crowds, and mistakes in the settings."""

import asyncio
import json
import os
import signal
import wave
from pathlib import Path

import pytest

from jobqueue.client import Connection, HttpQueue
from jobqueue.job import Kind, WorkerReport, video_job_id
from jobqueue.lifecycle import State
from tests.system.machine import Machine, job_done, job_when

SENTENCE = "The sea has a memory of its own, and every tide carries the shape of the one before. "
LONG_SCRIPT = SENTENCE * 220
"""About 19,000 characters: many chunks, some seconds of work."""
EXIT_CONFIG = os.EX_CONFIG


async def enqueue(connection: Connection, job_id: str, script: str = SENTENCE * 3, **fields: str) -> None:
    await HttpQueue(connection).enqueue(Kind.AUDIO, {"job_id": job_id, "script_text": script, **fields})


async def test_a_worker_killed_in_mid_job_costs_no_finished_chunk(
    machine: Machine, connection: Connection
) -> None:
    await machine.bot(LEASE_SECONDS="5")
    first = await machine.worker("first")
    await enqueue(connection, "j1", LONG_SCRIPT)
    await job_when(
        connection,
        Kind.AUDIO,
        "j1",
        lambda view: view.progress is not None and (view.progress.chunk or 0) >= 5,
    )
    await machine.kill(first)
    chunks = machine.data_dir / "files" / _folder(machine, "first_j1") / "chunks"
    spoken = {path: path.stat().st_mtime_ns for path in chunks.iterdir()}
    assert len(spoken) >= 5
    second = await machine.worker("second")
    done = await job_done(connection, Kind.AUDIO, "j1")
    assert (done.job.text("worker_id"), done.job.retry_count) == ("second", 1)
    assert {path: path.stat().st_mtime_ns for path in spoken} == spoken
    with wave.open(str(machine.data_dir / "files" / done.job.text("audio_path"))) as recording:
        length_s = recording.getnframes() / recording.getframerate()
    assert length_s == pytest.approx(float(str(done.job.fields["duration_s"])), abs=0.02)
    await machine.stop(second)


def _folder(machine: Machine, name: str) -> str:
    record = json.loads((machine.data_dir / f"audio-queue/processing/{name}.json").read_text())
    return str(record["organized_path"])


async def test_a_bot_that_stands_still_for_longer_than_a_lease_counts_no_attempt(
    machine: Machine, connection: Connection
) -> None:
    """As when its machine is paused: the worker went on, and only we did not hear it."""
    bot = await machine.bot(LEASE_SECONDS="5")
    await enqueue(connection, "j1")
    queue, busy = HttpQueue(connection), WorkerReport("gpu-1", "busy", "j1")
    held = await queue.claim(Kind.AUDIO, busy, claim_id="c1")
    assert held is not None
    await machine.kill(bot)
    bot = await machine.bot(LEASE_SECONDS="5")  # now it has those 5 s, and not the longer ones of a new claim
    await asyncio.sleep(1.5)  # it ticks
    await queue.heartbeat(Kind.AUDIO, busy)
    bot.send_signal(signal.SIGSTOP)
    await asyncio.sleep(7)
    bot.send_signal(signal.SIGCONT)
    await asyncio.sleep(2.5)  # it sweeps, and the worker's next beat is not due yet
    assert not (await queue.heartbeat(Kind.AUDIO, busy)).lost
    await queue.complete(held.claim, {"gofile_link": "https://example.org/recording"})
    assert (await queue.get(Kind.AUDIO, "j1")).job.retry_count == 0


async def test_what_a_killed_worker_left_is_cleared_by_the_next_one(
    machine: Machine, connection: Connection
) -> None:
    tmp = machine.data_dir.parent / "tmp"
    tmp.mkdir()
    await machine.bot()
    first = await machine.worker("first", TMPDIR=str(tmp))
    await enqueue(connection, "j1")
    await job_done(connection, Kind.AUDIO, "j1")
    (left,) = tmp.iterdir()
    await machine.kill(first)
    await machine.worker("second", TMPDIR=str(tmp))
    await enqueue(connection, "j2")
    await job_done(connection, Kind.AUDIO, "j2")
    assert left not in list(tmp.iterdir())


async def test_a_bot_killed_while_rendering_finishes_the_video_after_its_restart(
    machine: Machine, connection: Connection
) -> None:
    bot = await machine.bot()
    worker = await machine.worker("gpu")
    await enqueue(connection, "j1", SENTENCE * 12)
    await job_when(
        connection,
        Kind.VIDEO,
        "j1-video",
        lambda view: view.progress is not None and view.progress.message == "rendering",
    )
    await machine.kill(bot)
    assert machine.files("video-queue/processing") == ["bot_j1-video.json"]
    await machine.bot()
    done = await job_done(connection, Kind.VIDEO, "j1-video")
    assert done.job.retry_count == 1
    assert (machine.data_dir / "files" / done.job.text("video_path")).stat().st_size > 100_000
    await machine.stop(worker)


async def test_a_worker_asked_to_stop_hands_its_job_back_within_seconds(
    machine: Machine, connection: Connection
) -> None:
    await machine.bot()
    worker = await machine.worker("gpu")
    await enqueue(connection, "j1", LONG_SCRIPT)
    await job_when(
        connection,
        Kind.AUDIO,
        "j1",
        lambda view: view.progress is not None and (view.progress.chunk or 0) >= 1,
    )
    async with asyncio.timeout(5):
        assert await machine.stop(worker) == 0
    view = await HttpQueue(connection).get(Kind.AUDIO, "j1")
    assert (view.state, view.job.retry_count) == (State.PENDING, 0)


async def test_a_worker_goes_on_when_the_bot_was_away(machine: Machine, connection: Connection) -> None:
    bot = await machine.bot()
    worker = await machine.worker("gpu")
    await enqueue(connection, "j1", LONG_SCRIPT)
    await job_when(
        connection,
        Kind.AUDIO,
        "j1",
        lambda view: view.progress is not None and (view.progress.chunk or 0) >= 2,
    )
    await machine.kill(bot)
    await asyncio.sleep(1)
    await machine.bot()
    done = await job_done(connection, Kind.AUDIO, "j1")
    assert (done.job.text("worker_id"), done.job.retry_count) == ("gpu", 0)
    assert await machine.stop(worker) == 0


async def test_twenty_jobs_and_three_workers_lose_nothing(machine: Machine, connection: Connection) -> None:
    bot = await machine.bot()
    workers = [await machine.worker(f"gpu-{number}") for number in range(3)]
    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(enqueue(connection, f"j{number}", f"This is script number {number}. " * 3))
    done = [await job_done(connection, Kind.AUDIO, f"j{number}") for number in range(20)]
    assert len({view.job.organized_path for view in done}) == 20
    assert {view.job.text("worker_id") for view in done} <= {"gpu-0", "gpu-1", "gpu-2"}
    for number in range(20):
        await job_when(connection, Kind.VIDEO, video_job_id(f"j{number}"), lambda _: True)
    for worker in workers:
        assert await machine.stop(worker) == 0
    assert await machine.stop(bot) == 0
    states = [
        machine.files(f"video-queue/{state}") for state in ("pending", "processing", "completed", "failed")
    ]
    assert sum(map(len, states)) == 20
    assert states[1] == []  # stopped politely, the bot has handed its render back


async def test_a_job_dropped_into_the_folder_is_run_within_five_seconds(
    machine: Machine, connection: Connection
) -> None:
    await machine.bot()
    worker = await machine.worker("gpu")
    (machine.data_dir / "mine.json").write_text(json.dumps({"script_text": SENTENCE}))
    (machine.data_dir / "mine.json").rename(machine.data_dir / "audio-queue/pending/mine.json")
    await job_when(connection, Kind.AUDIO, "mine", lambda view: view.state is not State.PENDING, patience_s=5)
    await machine.stop(worker)


async def test_a_second_bot_on_the_same_folder_exits_with_one_clear_line(machine: Machine) -> None:
    await machine.bot()
    log = machine.log("run_bot.py")
    before = len(log.read_text())
    second = await machine.start("run_bot.py")
    async with asyncio.timeout(20):
        assert await second.wait() == EXIT_CONFIG
    assert log.read_text()[before:].strip().startswith("another bot already runs")


async def test_a_port_that_is_taken_is_one_clear_line(machine: Machine, tmp_path: Path) -> None:
    await machine.bot()
    other = Machine(tmp_path / "other" / "data", port=machine.port)
    (tmp_path / "other").mkdir()
    second = await other.start("run_bot.py")
    async with asyncio.timeout(20):
        assert await second.wait() == EXIT_CONFIG
    assert "API_PORT" in other.log("run_bot.py").read_text().strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("program", "settings", "word"),
    [
        ("run_bot.py", {"API_PORT": "many"}, "API_PORT"),
        ("run_bot.py", {"ALLOWED_USERS": "ann,bob"}, "ALLOWED_USERS"),
        ("run_bot.py", {"PUBLIC_URL": "my server"}, "PUBLIC_URL"),
        ("run_audio_worker.py", {"WORKER_ID": "GPU One"}, "WORKER_ID"),
        ("run_audio_worker.py", {"SPEECH_ENGINE": "f5"}, "SPEECH_ENGINE"),
        ("run_audio_worker.py", {"FILE_SERVER_API_KEY": ""}, "FILE_SERVER_API_KEY"),
    ],
)
async def test_a_mistake_in_a_setting_is_named_in_one_line(
    machine: Machine, program: str, settings: dict[str, str], word: str
) -> None:
    child = await machine.start(program, **settings)
    async with asyncio.timeout(20):
        assert await child.wait() == EXIT_CONFIG
    lines = machine.log(program).read_text().strip().splitlines()
    assert len(lines) == 1 and word in lines[0]


async def test_a_wrong_key_ends_the_worker_with_one_line(machine: Machine) -> None:
    await machine.bot()
    worker = await machine.worker("gpu", FILE_SERVER_API_KEY="wrong")
    async with asyncio.timeout(20):
        assert await worker.wait() == EXIT_CONFIG
    assert (
        "does not accept the key" in machine.log("run_audio_worker.py").read_text().strip().splitlines()[-1]
    )


async def test_the_key_stands_in_no_log(machine: Machine, connection: Connection) -> None:
    await machine.bot(LOG_LEVEL="debug")
    worker = await machine.worker("gpu", LOG_LEVEL="debug")
    await enqueue(connection, "j1")
    await job_done(connection, Kind.AUDIO, "j1")
    await machine.stop(worker)
    for program in ("run_bot.py", "run_audio_worker.py"):
        assert "the key of the tests" not in machine.log(program).read_text()
