"""persist-queue's two durable queues: rows in SQLite that are acknowledged, and chunks of files."""

import sqlite3
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import persistqueue

from bench.queues.contestant import OFFER, Act, Step


class PersistSqlite:
    """SQLiteAckQueue: get marks the row, ack ends it."""

    name = "persist-queue, SQLite"

    def __init__(self) -> None:
        self._held: deque[int] = deque()

    async def open(self, folder: Path, pending: int) -> None:
        self._queue = persistqueue.SQLiteAckQueue(str(folder), multithreading=True)
        # In one transaction, with the library's own statement and serializer.
        data, putter = self._queue._serializer.dumps(OFFER), cast(sqlite3.Connection, self._queue._putter)
        with putter as connection:
            connection.executemany(self._queue._sql_insert, [(data, 0.0)] * pending)
        self._queue.total += pending

    def acts(self) -> Mapping[Step, Act]:
        return {Step.ACCEPT: self._put, Step.CLAIM: self._get, Step.COMPLETE: self._ack}

    async def close(self) -> None:
        self._queue.close()

    def _put(self) -> None:
        self._queue.put(OFFER)

    def _get(self) -> None:
        self._held.append(self._queue.get(block=False, raw=True)["pqid"])

    def _ack(self) -> None:
        self._queue.ack(id=self._held.popleft())


class PersistFiles:
    """The file queue: synced once per chunk of a hundred, task_done writes its place down."""

    name = "persist-queue, files"

    async def open(self, folder: Path, pending: int) -> None:
        self._queue = persistqueue.Queue(str(folder / "queue"))
        for _ in range(pending):
            self._queue.put(OFFER)

    def acts(self) -> Mapping[Step, Act]:
        return {Step.ACCEPT: self._put, Step.CLAIM: self._get, Step.COMPLETE: self._queue.task_done}

    async def close(self) -> None:
        pass

    def _put(self) -> None:
        self._queue.put(OFFER)

    def _get(self) -> None:
        self._queue.get(block=False)
