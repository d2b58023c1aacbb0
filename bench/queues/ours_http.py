"""Our queue over HTTP: the whole bot in a process of its own, the clients in this one."""

import asyncio
import itertools
import uuid
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from bench.queues.bot_process import KEY, BotProcess
from bench.queues.contestant import CROWD, OFFER, Act, Step
from bench.queues.http_caller import HttpCaller, good
from bench.queues.ours import RESULT, fill


class OursOverHttp:
    """Each client has a connection that it keeps."""

    name = "ours over HTTP"

    def __init__(self) -> None:
        self._workers = itertools.cycle([f"bench-{number}" for number in range(CROWD)])
        self._held: deque[tuple[str, dict[str, object]]] = deque()

    async def open(self, folder: Path, pending: int) -> None:
        fill(folder / "data", pending)
        self.bot = BotProcess(folder / "data")
        await self.bot.start()
        await self.bot.answering()
        self._callers: asyncio.LifoQueue[HttpCaller] = asyncio.LifoQueue()
        for _ in range(CROWD):
            self._callers.put_nowait(HttpCaller(self.bot.port, KEY))

    def acts(self) -> Mapping[Step, Act]:
        return {Step.ACCEPT: self.accept, Step.CLAIM: self.claim, Step.COMPLETE: self.complete}

    async def close(self) -> None:
        await self.bot.stop()

    async def ask(
        self, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> dict[str, object]:
        status, data = await self.call(method, path, body)
        return good(method, path, status, data)

    async def call(
        self, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> tuple[int, bytes]:
        caller = await self._callers.get()
        try:
            return await caller.call(method, path, body)
        finally:
            self._callers.put_nowait(caller)

    async def accept(self) -> None:
        await self.ask("POST", "/queue/audio/jobs", OFFER)

    async def claim(self) -> None:
        worker_id = next(self._workers)
        body = {"worker_id": worker_id, "claim_id": uuid.uuid4().hex}
        job = (await self.ask("POST", "/queue/audio/claim", body))["job"]
        if not isinstance(job, dict):
            raise RuntimeError("there was no job to claim")
        holder = {"worker_id": worker_id, "claim_token": job["claim_token"]}
        self._held.append((str(job["job_id"]), holder))

    async def complete(self) -> None:
        job_id, holder = self._held.popleft()
        await self.ask("POST", f"/queue/audio/jobs/{job_id}/complete", {**holder, **RESULT})
