"""Those who put jobs in and call some off, and write down what they were told in a network that breaks."""

import asyncio
import itertools
import random
import uuid
from dataclasses import dataclass, field

from jobqueue.client import Connection
from jobqueue.errors import QueueUnreachable
from jobqueue.job import Json
from jobqueue.lifecycle import State
from tests.hardship.claims import Claims

PAUSE_S = 0.1
HANGS_UP, CANCELS, RECORDS, HAS_CHAT = 0.1, 0.04, 0.015, 0.05
FIRST_CHAT = 5000
SCRIPT = "The tide carries the shape of the one before. " * 5


@dataclass
class Customers:
    """Their ledger: `claims` is what the bot acknowledged."""

    claims: Claims = field(default_factory=Claims)
    attempted: set[str] = field(default_factory=set)
    """Every id that was ever sent, answered or not."""
    chats: dict[int, str] = field(default_factory=dict)
    """Chat to the id of its only job."""
    _chat_ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(FIRST_CHAT))

    async def come(self, connection: Connection, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await asyncio.sleep(random.expovariate(1 / PAUSE_S))
            job_id = uuid.uuid4().hex
            offer: dict[str, Json] = {"job_id": job_id, "script_text": SCRIPT}
            if random.random() < RECORDS:
                offer["records"] = True
            if random.random() < HAS_CHAT:
                chat_id = next(self._chat_ids)
                self.chats[chat_id], offer["chat_id"] = job_id, chat_id
            await self._offer(connection, job_id, offer)
            if random.random() < CANCELS and job_id in self.claims.accepted:
                await self._cancel(connection, job_id)

    async def _offer(self, connection: Connection, job_id: str, offer: dict[str, Json]) -> None:
        self.attempted.add(job_id)
        is_patient = random.random() > HANGS_UP
        while True:
            try:
                status, answer = await connection.call("POST", "/queue/audio/jobs", offer, timeout_s=10)
            except QueueUnreachable:
                if not is_patient:
                    return  # whether there is such a job, only the bot knows
                await asyncio.sleep(0.2)
                continue
            if status == 201 and answer["job_id"] == job_id:
                self.claims.accepted.add(job_id)
            else:
                raise AssertionError(f"POST of {job_id}: {status} {answer}")
            return

    async def _cancel(self, connection: Connection, job_id: str) -> None:
        try:
            status, _ = await connection.call("DELETE", f"/queue/audio/jobs/{job_id}", timeout_s=10)
        except QueueUnreachable:
            return
        if status == 200:
            self.claims.final[job_id] = State.CANCELLED
