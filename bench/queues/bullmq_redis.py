"""BullMQ on a Redis of its own that syncs its log for every command (appendfsync always)."""

import asyncio
import shutil
from collections import deque
from collections.abc import Mapping
from pathlib import Path

import bullmq
from redis.asyncio import Redis

from bench.queues.bot_process import free_port
from bench.queues.contestant import OFFER, Act, Step

TOKEN = "bench"
BULK = 1000
LOCK_MS = 600_000


class BullMq:
    """One Queue to add with and one Worker that claims by hand, in this process."""

    name = "BullMQ, Redis"

    def __init__(self) -> None:
        self._held: deque[bullmq.Job] = deque()

    @staticmethod
    def is_there() -> bool:
        return shutil.which("redis-server") is not None

    async def open(self, folder: Path, pending: int) -> None:
        port = free_port()
        arguments = ["--port", str(port), "--dir", str(folder), "--save", "", "--appendonly", "yes"]
        arguments += ["--bind", "127.0.0.1", "--maxmemory-policy", "noeviction", "--appendfsync", "no"]
        quiet = asyncio.subprocess.DEVNULL
        self._server = await asyncio.create_subprocess_exec(
            "redis-server", *arguments, stdin=quiet, stdout=quiet, stderr=quiet
        )
        self._redis = Redis(port=port)
        await self._answering()
        connection = {"connection": {"host": "127.0.0.1", "port": port}}
        self._queue = bullmq.Queue("bench", connection)
        self._worker = bullmq.Worker("bench", None, {**connection, "autorun": False, "lockDuration": LOCK_MS})
        for _ in range(0, pending, BULK):
            await self._queue.addBulk([{"name": "audio", "data": OFFER, "opts": {}}] * min(BULK, pending))
        await self._redis.config_set("appendfsync", "always")

    async def _answering(self) -> None:
        async with asyncio.timeout(30):
            while True:
                try:
                    await self._redis.ping()
                    return
                except (ConnectionError, OSError):
                    await asyncio.sleep(0.05)

    def acts(self) -> Mapping[Step, Act]:
        return {Step.ACCEPT: self._add, Step.CLAIM: self._claim, Step.COMPLETE: self._complete}

    async def close(self) -> None:
        await self._worker.close(force=True)
        await self._queue.close()
        await self._redis.aclose()
        self._server.terminate()
        await self._server.wait()

    async def _add(self) -> None:
        await self._queue.add("audio", OFFER, {})

    async def _claim(self) -> None:
        job = await self._worker.getNextJob(TOKEN)
        if job is None:
            raise RuntimeError("there was no job to claim")
        self._held.append(job)

    async def _complete(self) -> None:
        await self._held.popleft().moveToCompleted({"gofile_link": "https://example.org/recording"}, TOKEN)
