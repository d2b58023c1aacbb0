"""How long a job waits for a worker that waits for it: fifty workers in a long poll, over HTTP."""

import asyncio
import statistics
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from bench.queues.bot_process import KEY, BotProcess
from bench.queues.contestant import OFFER
from bench.queues.http_caller import HttpCaller
from bench.queues.ours import RESULT

WORKERS = 50
PAUSE_S = 0.03


@dataclass
class PickUp:
    """From the moment a caller sends the job to the moment a worker has read it, s."""

    wanted: int
    waits_s: list[float] = field(default_factory=list)
    complete: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, wait_s: float) -> None:
        self.waits_s.append(wait_s)
        if len(self.waits_s) == self.wanted:
            self.complete.set()

    @property
    def median_s(self) -> float:
        return statistics.median(self.waits_s)

    @property
    def p99_s(self) -> float:
        return statistics.quantiles(self.waits_s, n=100)[98]


async def pick_up(folder: Path, jobs: int) -> PickUp:
    bot = BotProcess(folder / "pick-up")
    await bot.start()
    await bot.answering()
    sent_at: dict[str, float] = {}
    found = PickUp(jobs)
    async with asyncio.TaskGroup() as group:
        workers = [group.create_task(_work(bot.port, number, sent_at, found)) for number in range(WORKERS)]
        await asyncio.sleep(1)
        caller = HttpCaller(bot.port, KEY)
        for _ in range(jobs):
            job_id = uuid.uuid4().hex
            sent_at[job_id] = time.monotonic()
            await caller.ask("POST", "/queue/audio/jobs", {**OFFER, "job_id": job_id})
            await asyncio.sleep(PAUSE_S)
        async with asyncio.timeout(30):
            await found.complete.wait()
        for worker in workers:
            worker.cancel()
    await bot.stop()
    return found


async def _work(port: int, number: int, sent_at: dict[str, float], found: PickUp) -> None:
    caller, worker_id = HttpCaller(port, KEY), f"gpu-{number}"
    while True:
        body = {"worker_id": worker_id, "claim_id": uuid.uuid4().hex, "wait": 30}
        job = (await caller.ask("POST", "/queue/audio/claim", body))["job"]
        if isinstance(job, dict):
            found.add(time.monotonic() - sent_at[str(job["job_id"])])
            holder = {"worker_id": worker_id, "claim_token": job["claim_token"], **RESULT}
            await caller.ask("POST", f"/queue/audio/jobs/{job['job_id']}/complete", holder)
