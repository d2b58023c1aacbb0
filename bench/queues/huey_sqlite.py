"""Huey's queue on SQLite with its default durability (WAL, synchronous=FULL). A take deletes the job."""

from collections.abc import Mapping
from pathlib import Path

from huey.storage import SqliteStorage

from bench.queues.contestant import BODY, Act, Step

BUSY_S = 60
"""32 clients contend for one writer; at Huey's five seconds some would give up."""


class Huey:
    """Has no claim that must be completed: what is taken is gone, also if its worker dies."""

    name = "Huey, SQLite"

    async def open(self, folder: Path, pending: int) -> None:
        filling = SqliteStorage(filename=str(folder / "huey.db"), fsync=False)
        for _ in range(pending):
            filling.enqueue(BODY)
        filling.close()
        self._storage = SqliteStorage(filename=str(folder / "huey.db"), timeout=BUSY_S)

    def acts(self) -> Mapping[Step, Act]:
        return {Step.ACCEPT: self._enqueue, Step.CLAIM: self._dequeue}

    async def close(self) -> None:
        self._storage.close()

    def _enqueue(self) -> None:
        self._storage.enqueue(BODY)

    def _dequeue(self) -> None:
        if self._storage.dequeue() is None:
            raise RuntimeError("there was no job to take")
