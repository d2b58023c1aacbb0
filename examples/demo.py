"""The demo: script in, MP4 out, through the real bot and the real worker, as two processes of their own.

python examples/demo.py [--script FILE] [--images FOLDER] [--speak hi|en]
"""

import argparse
import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import filelock

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from jobqueue.backend import JobView  # noqa: E402
from jobqueue.client import Connection, HttpQueue  # noqa: E402
from jobqueue.errors import JobNotFound, KeyRefused, QueueError, QueueUnreachable  # noqa: E402
from jobqueue.job import Json, Kind, video_job_id  # noqa: E402
from jobqueue.lifecycle import State  # noqa: E402
from settings import BotSettings, load  # noqa: E402

EXAMPLES = ROOT / "examples"
DEMO = ROOT / "demo"
CHANNEL = "DEMO"
START_S = 60.0
POLL_S = 0.3
PR_SET_PDEATHSIG = 1


class DemoFailed(Exception):
    """The demo cannot go on; the message is one sentence for whoever runs it."""


async def main(arguments: argparse.Namespace) -> None:
    """Make one video. Raises: DemoFailed."""
    script = read_script(arguments.script, arguments.speak)
    if is_running(DEMO):
        raise DemoFailed("A demo is running already: wait for its end.")
    lay_out_pictures(arguments.images)
    port = free_port()
    async with process("bot", "run_bot.py", bot_environment(port)) as bot:
        key = await key_of(bot)
        async with Connection(f"http://127.0.0.1:{port}", key) as connection:
            await healthy(connection, bot)
            await clear_leftovers(connection)
            async with process("worker", "run_audio_worker.py", worker_environment(port, key)) as worker:
                print_result(await make(connection, script, arguments.speak, (bot, worker)))


def read_script(path: Path | None, speak: str | None) -> str:
    path = path or EXAMPLES / f"script_{speak or 'en'}.txt"
    try:
        script = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DemoFailed(f"The script {path} is not UTF-8 text: save it as UTF-8.") from None
    except OSError as error:
        raise DemoFailed(f"The script {path} cannot be read: {error.strerror}.") from None
    if not script.strip():
        raise DemoFailed(f"The script {path} is empty.")
    return script


def lay_out_pictures(folder: Path | None) -> None:
    """Put the pictures where the bot expects those of the demo's channel."""
    folder = folder or EXAMPLES / "pictures"
    if not folder.is_dir():
        raise DemoFailed(f"The picture folder {folder} does not exist.")
    place = DEMO / "images" / CHANNEL
    shutil.rmtree(place, ignore_errors=True)
    try:
        shutil.copytree(folder, place)
    except (OSError, shutil.Error) as error:
        raise DemoFailed(f"The pictures in {folder} cannot be copied: {error}.") from None


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def bot_environment(port: int) -> dict[str, str]:
    environment = {"DATA_DIR": str(DEMO), "API_HOST": "127.0.0.1", "API_PORT": str(port)}
    settings = load(BotSettings)
    if settings.bot_token and is_running(settings.data_dir):
        # Two bots on one token would take each other's messages.
        print("Your bot is running already, so the demo stays out of Telegram.")
        environment["BOT_TOKEN"] = ""
    return environment


def is_running(data_dir: Path) -> bool:
    lock = data_dir / "owner.lock"
    if not lock.exists():
        return False
    try:
        with filelock.FileLock(lock, timeout=0):
            return False
    except filelock.Timeout:
        return True


def worker_environment(port: int, key: str) -> dict[str, str]:
    return {
        "DATA_DIR": str(DEMO),
        "FILE_SERVER_URL": f"http://127.0.0.1:{port}",
        "FILE_SERVER_API_KEY": key,
        "SPEECH_ENGINE": "embedded",
    }


class Process:
    """One of ours, with its log in `demo/`."""

    def __init__(self, name: str, child: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.child = child
        self._log = log

    def check(self) -> None:
        """Raises: DemoFailed with its last words if it has ended."""
        if self.child.returncode is not None:
            lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or [
                "(no word)"
            ]
            raise DemoFailed(f"The {self.name} stopped: {lines[-1]}")


@asynccontextmanager
async def process(name: str, program: str, environment: dict[str, str]) -> AsyncIterator[Process]:
    """Run a program of ours; it is stopped at the end, and by the kernel if we are killed."""
    DEMO.mkdir(exist_ok=True)
    log = DEMO / f"{name}.log"
    with log.open("wb") as output:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            str(ROOT / program),
            env={**os.environ, **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
    try:
        yield Process(name, child, log)
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.terminate()
        try:
            async with asyncio.timeout(15):
                await child.wait()
        except TimeoutError:
            child.kill()
            await child.wait()


def die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


async def key_of(bot: Process) -> str:
    """The endpoint's key: yours if you set one, else the one the bot makes at its first start."""
    configured = load(BotSettings).file_server_api_key
    if configured:
        return configured
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        bot.check()
        with contextlib.suppress(FileNotFoundError):
            return (DEMO / "api_key").read_text(encoding="ascii").strip()
        await asyncio.sleep(POLL_S)
    raise DemoFailed(f"The bot did not start within {START_S:.0f} s; demo/bot.log says more.")


async def healthy(connection: Connection, bot: Process) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        bot.check()
        with contextlib.suppress(QueueUnreachable):
            await connection.call("GET", "/health")
            return
        await asyncio.sleep(POLL_S)
    raise DemoFailed(f"The bot did not answer within {START_S:.0f} s; demo/bot.log says more.")


async def clear_leftovers(connection: Connection) -> None:
    """Cancel what a demo that was interrupted left waiting."""
    for kind in Kind:
        path = f"/queue/{kind}/jobs?channel={CHANNEL}&status=pending,processing"
        _, answer = await connection.call("GET", path)
        jobs = answer.get("items")
        for job in jobs if isinstance(jobs, list) else []:
            if isinstance(job, dict):
                await connection.call("DELETE", f"/queue/{kind}/jobs/{job['job_id']}")


async def make(
    connection: Connection, script: str, speak: str | None, processes: tuple[Process, ...]
) -> JobView:
    """Enqueue the script and follow it to the end; the finished video job."""
    queue = HttpQueue(connection)
    title = script.strip().splitlines()[0][:80]
    profile: dict[str, Json] = {"language": speak or "auto", "image_folder": CHANNEL}
    record: dict[str, Json] = {
        "script_text": script,
        "channel_code": CHANNEL,
        "title": title,
        "profile": profile,
    }
    audio_id = await queue.enqueue(Kind.AUDIO, record)
    print(f"Job {audio_id[:8]}: {len(script)} characters")
    await follow(queue, Kind.AUDIO, audio_id, processes)
    return await follow(queue, Kind.VIDEO, video_job_id(audio_id), processes)


async def follow(queue: HttpQueue, kind: Kind, job_id: str, processes: tuple[Process, ...]) -> JobView:
    """Tell each step of the job until it is completed. Raises: DemoFailed."""
    told = ""
    while True:
        for each in processes:
            each.check()
        with contextlib.suppress(QueueUnreachable, JobNotFound):
            view = await queue.get(kind, job_id)
            line = in_words(kind, view)
            if line != told:
                print(line, flush=True)
                told = line
            if view.state is State.COMPLETED:
                return view
            if view.state in (State.FAILED, State.CANCELLED):
                raise DemoFailed(
                    f"The {kind} job {view.state}: {view.job.text('error_message') or 'no reason given'}"
                )
        await asyncio.sleep(POLL_S)


def in_words(kind: Kind, view: JobView) -> str:
    progress, what = view.progress, "recording" if kind is Kind.AUDIO else "video"
    if view.state is State.PROCESSING and progress is not None:
        part = (
            f", part {min((progress.chunk or 0) + 1, progress.chunks)} of {progress.chunks}"
            if progress.chunks
            else ""
        )
        return f"  {what}: {progress.message}{part}, {progress.percent:.0f} %"
    reason = (
        f" ({view.job.text('error_message')})"
        if view.job.retry_count and view.state is not State.COMPLETED
        else ""
    )
    return f"  {what}: {view.state}{reason}"


def print_result(view: JobView) -> None:
    job = view.job
    notes = job.fields.get("notes")
    for note in notes if isinstance(notes, list) else []:
        print(f"  note: {note}")
    video = DEMO / "files" / job.text("video_path")
    length, size_bytes = job.fields.get("duration_s"), video.stat().st_size
    print(f"Done: {video.relative_to(ROOT)}, {length} s, {size_bytes / 1e6:.1f} MB")


def parse_arguments() -> argparse.Namespace:
    def path(text: str) -> Path | None:
        return Path(text).expanduser() if text else None

    def language(text: str) -> str | None:
        if text not in ("", "hi", "en"):
            raise argparse.ArgumentTypeError("SPEAK must be hi or en")
        return text or None

    parser = argparse.ArgumentParser(description="Script in, MP4 out: no account, no GPU.")
    parser.add_argument("--script", type=path, default=None, help="a text file (default: one of ours)")
    parser.add_argument("--images", type=path, default=None, help="a folder of pictures (default: ours)")
    parser.add_argument("--speak", type=language, default=None, metavar="hi|en", help="the language")
    return parser.parse_args()


def stop_politely(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop_politely)
    try:
        asyncio.run(main(parse_arguments()))
    except (DemoFailed, KeyRefused, QueueError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("Stopped.")
