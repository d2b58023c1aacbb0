"""What a hundred thousand waiting jobs weigh: the bot's start, its memory, the stalls of its event loop."""

import asyncio
import itertools
import time
from dataclasses import dataclass
from pathlib import Path

from bench.queues.bot_process import start_python
from bench.queues.contestant import CROWD
from bench.queues.ours_http import OursOverHttp
from bench.queues.pace import life, pace
from bench.queues.watchdog import Lateness

REST_S = 5.0
"""Long enough for two looks through `pending/`."""


@dataclass(frozen=True, slots=True)
class Start:
    """A bot that has started and rests."""

    first_claim_s: float
    """From starting the process to the first job in a worker's hand; without jobs to the first answer."""
    memory_kb: int


@dataclass(frozen=True, slots=True)
class Stall:
    """How late the loop was while it did something."""

    doing: str
    seen: Lateness


async def start(folder: Path, pending: int) -> Start:
    """A bot of its own with `pending` jobs."""
    ours = OursOverHttp()
    await ours.open(folder, pending)
    if pending:
        await ours.claim()
    taken_s = time.monotonic() - ours.bot.started_at
    if pending:
        await ours.complete()
    await asyncio.sleep(REST_S)
    memory_kb = ours.bot.memory_kb()
    await ours.close()
    return Start(taken_s, memory_kb)


async def stalls(folder: Path, pending: int, seconds: float) -> list[Stall]:
    """The loop's stalls at rest, under load, and while long lists are read."""
    ours = OursOverHttp()
    await ours.open(folder, pending)
    idle_at = folder / "idle-lateness.json"
    idle = await start_python("bench.queues.watchdog", idle_at)
    await asyncio.sleep(2)
    moments = [("at rest, looking through pending/", time.monotonic())]
    await asyncio.sleep(seconds)
    moments.append((f"{CROWD} clients, whole lives", time.monotonic()))
    await _load(ours, seconds)
    moments.append(("the same, and 500 jobs listed", time.monotonic()))
    await asyncio.gather(_load(ours, seconds), _list(ours, seconds))
    moments.append(("", time.monotonic()))
    idle.terminate()
    await idle.wait()
    await ours.close()
    return [
        Stall(doing, ours.bot.lateness(idle_at, begun, ended))
        for (doing, begun), (_, ended) in itertools.pairwise(moments)
    ]


async def _load(ours: OursOverHttp, seconds: float) -> None:
    whole = life(ours.acts())
    if whole is not None:
        await pace(whole, clients=CROWD - 2, times=10**9, budget_s=seconds)


async def _list(ours: OursOverHttp, seconds: float) -> None:
    async def a_page() -> None:
        status, data = await ours.call("GET", "/queue/audio/jobs?status=pending&limit=500")
        if status != 200 or not data.startswith(b"["):
            raise RuntimeError(f"the list: {status}")
        await asyncio.sleep(0.2)

    await pace(a_page, clients=1, times=10**9, budget_s=seconds)
