"""A bot in a process of its own, to be asked over HTTP and weighed."""

import asyncio
import ctypes
import os
import re
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.queues.http_caller import HttpCaller
from bench.queues.watchdog import Lateness, worst

ROOT = Path(__file__).resolve().parent.parent.parent
KEY = "the-key-of-the-bench"
PATIENCE_S = 120.0
PR_SET_PDEATHSIG = 1


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class BotProcess:
    """Started on a data folder; stopped politely."""

    data_dir: Path
    port: int = field(default_factory=free_port)

    async def start(self) -> None:
        settings = {"DATA_DIR": str(self.data_dir), "API_PORT": str(self.port), "FILE_SERVER_API_KEY": KEY}
        self.started_at = time.monotonic()
        self._child = await start_python(
            "bench.queues.watched_bot", self._lateness, BOT_TOKEN="", LOG_LEVEL="warning", **settings
        )

    @property
    def _lateness(self) -> Path:
        return self.data_dir.with_name(f"{self.data_dir.name}-lateness.json")

    async def answering(self) -> None:
        """Returns once the bot answers."""
        while True:
            try:
                await HttpCaller(self.port, KEY).call("GET", "/health")
                return
            except OSError:
                if self._child.returncode is not None or time.monotonic() - self.started_at > PATIENCE_S:
                    raise RuntimeError("the bot did not start") from None
                await asyncio.sleep(0.01)

    def memory_kb(self) -> int:
        """What it holds in memory now (resident), KiB."""
        status = Path(f"/proc/{self._child.pid}/status").read_text()
        found = re.search(r"^VmRSS:\s+(\d+)", status, re.MULTILINE)
        return int(found[1]) if found else 0

    async def stop(self) -> None:
        self._child.terminate()
        await self._child.wait()

    def lateness(self, idle: Path, begun: float, ended: float) -> Lateness:
        """As `watchdog.worst`; once it has stopped."""
        return worst(self._lateness, idle, begun, ended)


async def start_python(module: str, *arguments: Path, **settings: str) -> asyncio.subprocess.Process:
    """Run a module of ours with a bare environment."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "LC_ALL")}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *map(str, arguments),
        cwd=ROOT,
        env={**kept, **settings},
        stdin=asyncio.subprocess.DEVNULL,
        preexec_fn=_die_with_parent,
    )


def _die_with_parent() -> None:
    """A bench that is broken off must not leave a bot behind."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
