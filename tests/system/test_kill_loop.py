"""A queue that is killed again and again at whatever it does keeps all that it acknowledged."""

import asyncio
import random
import signal
import sys
from pathlib import Path

from jobqueue.clock import SystemClock
from jobqueue.directory import DirectoryQueue
from tests.hardship.busy_queue import FAULT, READY
from tests.hardship.claims import Claims, look
from tests.profiles import PlainProfiles
from tests.system.machine import ROOT

KILLS = 16
LONGEST_S = 0.5
"""Of the time between a start and its kill."""


async def one_life(data_dir: Path) -> list[str]:
    """Let a busy queue run on the folder and kill it at a random moment. Returns: what it said."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.hardship.busy_queue",
        str(data_dir),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    said: list[str] = []
    while not said or said[-1].startswith(FAULT):
        said.append((await child.stdout.readline()).decode())
    assert said[-1].startswith(READY), said
    reading = asyncio.ensure_future(child.communicate())
    await asyncio.sleep(random.uniform(0, LONGEST_S))
    child.send_signal(signal.SIGKILL)
    rest, _ = await reading
    return said[:-1] + rest.decode().splitlines(keepends=True)


async def test_what_was_acknowledged_is_there_after_each_of_many_kills(data_dir: Path) -> None:
    claims = Claims()
    for _ in range(KILLS):
        said = await one_life(data_dir)
        assert [line for line in said if line.startswith(FAULT)] == []
        claims.read(said)
    queue = DirectoryQueue(data_dir, PlainProfiles(), SystemClock())
    await queue.open()
    await queue.close()
    assert claims.broken(look(data_dir)) == []
    assert len(claims.accepted) > 10 * KILLS and len(claims.final) > 5 * KILLS  # it did work meanwhile
