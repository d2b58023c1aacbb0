"""A bot and its workers as real processes, on a data folder of their own."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jobqueue.backend import JobView
from jobqueue.client import Connection, HttpQueue
from jobqueue.errors import JobNotFound, QueueUnreachable
from jobqueue.job import Kind
from jobqueue.lifecycle import State

ROOT = Path(__file__).resolve().parent.parent.parent
KEY = "the key of the tests"
PATIENCE_S = 90.0


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Machine:
    """Starts programs, kills them, and reads what is going on."""

    data_dir: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    """On top of the environment of every program."""
    port: int = field(default_factory=free_port)
    programs: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def start(self, program: str, **settings: str) -> asyncio.subprocess.Process:
        environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if name in ("PATH", "HOME", "LANG", "LC_ALL")
            },
            "DATA_DIR": str(self.data_dir),
            "BOT_TOKEN": "",
            "API_PORT": str(self.port),
            "FILE_SERVER_URL": f"http://127.0.0.1:{self.port}",
            "FILE_SERVER_API_KEY": KEY,
            **self.settings,
            **settings,
        }
        self.data_dir.mkdir(exist_ok=True)
        with self.log(program).open("ab") as log:
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-W",
                "error",
                str(ROOT / program),
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.programs.append(child)
        return child

    async def bot(self, **settings: str) -> asyncio.subprocess.Process:
        """A bot that answers."""
        child = await self.start("run_bot.py", **settings)
        async with Connection(self.url, KEY) as connection, asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    await connection.call("GET", "/health")
                    return child
                except QueueUnreachable:
                    if child.returncode is not None:
                        raise AssertionError(self.log("run_bot.py").read_text()) from None
                    await asyncio.sleep(0.05)

    async def worker(self, worker_id: str, **settings: str) -> asyncio.subprocess.Process:
        return await self.start("run_audio_worker.py", WORKER_ID=worker_id, **settings)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def log(self, program: str) -> Path:
        return self.data_dir.parent / f"{program}.log"

    def files(self, folder: str) -> list[str]:
        """Names in a folder of the queue, such as `audio-queue/pending`."""
        return sorted(path.name for path in (self.data_dir / folder).iterdir())

    async def kill(self, child: asyncio.subprocess.Process) -> None:
        """As the kernel would: no farewell."""
        child.send_signal(signal.SIGKILL)
        await child.wait()

    async def stop(self, child: asyncio.subprocess.Process) -> int:
        """Politely. Returns: the exit status."""
        if child.returncode is None:
            child.terminate()
        async with asyncio.timeout(20):
            return await child.wait()

    async def end(self) -> None:
        for child in self.programs:
            if child.returncode is None:
                await self.kill(child)


async def job_when(
    connection: Connection,
    kind: Kind,
    job_id: str,
    wanted: Callable[[JobView], bool],
    *,
    patience_s: float = PATIENCE_S,
) -> JobView:
    """The job as soon as it is as wanted, also across a restart of the bot."""
    queue = HttpQueue(connection)
    async with asyncio.timeout(patience_s):
        while True:
            try:
                view = await queue.get(kind, job_id)
                if wanted(view):
                    return view
            except (QueueUnreachable, JobNotFound):
                pass
            await asyncio.sleep(0.03)


async def job_done(
    connection: Connection, kind: Kind, job_id: str, *, patience_s: float = PATIENCE_S
) -> JobView:
    """The job once it is final. Raises: AssertionError if it failed."""
    final = (State.COMPLETED, State.FAILED, State.CANCELLED)
    view = await job_when(connection, kind, job_id, lambda view: view.state in final, patience_s=patience_s)
    assert view.state is State.COMPLETED, view.job.text("error_message")
    return view
