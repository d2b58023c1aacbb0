"""What happens to processes in the field: they are killed, stopped, slowed, cut off; the bot as well."""

import asyncio
import random
import signal
from collections import Counter
from pathlib import Path

from jobqueue.policy import QueuePolicy
from tests.hardship.cutting_proxy import CuttingProxy
from tests.system.machine import ROOT, Machine

PAUSE_S = 1.2
LEASE_S = 5
FIRST_LEASE_S = QueuePolicy().first_lease_s
"""No claim ends sooner, however short the leases that follow."""
STOP = "stop a worker past its lease"
DEEDS = {"kill a worker": 5, STOP: 4, "slow a worker": 4, "cut connections": 4}
DEEDS |= {"cut answers": 6, "kill the bot": 2, "stop the bot politely": 1}


class Mischief:
    """Owns the bot and the workers of a soak."""

    def __init__(self, machine: Machine, proxy: CuttingProxy, notes: Path, workers: int) -> None:
        self._machine = machine
        self._proxy = proxy
        self._notes = notes
        self._workers: list[asyncio.subprocess.Process] = []
        self._wanted = workers
        self._stopped: set[int] = set()
        self._started = 0
        self.done: Counter[str] = Counter()
        self.faults: list[str] = []

    async def begin(self) -> None:
        self._bot = await self._machine.bot()
        for _ in range(self._wanted):
            self._workers.append(await self._worker())

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; then all are running again."""
        async with asyncio.TaskGroup() as group:
            while not stop.is_set():
                await asyncio.sleep(random.expovariate(1 / PAUSE_S))
                (deed,) = random.choices(list(DEEDS), list(DEEDS.values()))
                self.done[deed] += 1
                match deed:
                    case "kill a worker":
                        await self._kill_one()
                    case "slow a worker":
                        group.create_task(self._stop_one(random.uniform(0.3, 2)))
                    case "cut connections":
                        self._proxy.cut_all()
                    case "cut answers":
                        self._proxy.cut_next_answers(random.randint(1, 4))
                    case _ if deed == STOP:
                        group.create_task(
                            self._stop_one(random.uniform(FIRST_LEASE_S + 1, FIRST_LEASE_S + 5))
                        )
                    case _:
                        await self._end_bot(politely=deed == "stop the bot politely")

    async def end(self) -> int:
        """Returns: the exit status of the bot, asked politely."""
        for worker in self._workers:
            await self._end_worker(worker)
        return await self._machine.stop(self._bot)

    async def _worker(self) -> asyncio.subprocess.Process:
        self._started += 1
        return await self._machine.start(
            "tests/hardship/fake_worker.py",
            PYTHONPATH=str(ROOT),
            FILE_SERVER_URL=f"http://127.0.0.1:{self._proxy.port}",
            WORKER_ID=f"fake-{self._started}",
            NOTES=str(self._notes),
        )

    async def _kill_one(self) -> None:
        victim = random.choice(self._workers)
        await self._end_worker(victim)
        self._workers[self._workers.index(victim)] = await self._worker()

    async def _end_worker(self, worker: asyncio.subprocess.Process) -> None:
        if worker.returncode is None:
            await self._machine.kill(worker)
        else:
            self.faults.append(f"a worker ended by itself, with status {worker.returncode}")

    async def _stop_one(self, seconds: float) -> None:
        victim = random.choice(self._workers)
        if victim.pid in self._stopped or victim.returncode is not None:
            return
        self._stopped.add(victim.pid)
        victim.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        if victim.returncode is None:
            victim.send_signal(signal.SIGCONT)
        self._stopped.discard(victim.pid)

    async def _end_bot(self, *, politely: bool) -> None:
        if politely:
            await self._machine.stop(self._bot)
        else:
            await self._machine.kill(self._bot)
        await asyncio.sleep(random.uniform(0, 3))
        self._bot = await self._machine.bot()
