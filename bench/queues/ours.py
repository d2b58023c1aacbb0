"""Our DirectoryQueue, asked directly."""

import itertools
import os
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from bench.queues.contestant import CROWD, OFFER, Act, Step
from bot.library.channels import Channels
from jobqueue import durable
from jobqueue.clock import SystemClock
from jobqueue.directory import DirectoryQueue
from jobqueue.intake import Intake
from jobqueue.job import Claim, Kind, WorkerReport
from jobqueue.wire import to_record

RESULT = {"gofile_link": "https://example.org/recording"}
"""A link and no recording: the job ends there, as in the other queues; no video job grows from it."""


class Ours:
    """The queue in this process."""

    name = "ours"

    def __init__(self) -> None:
        self._workers = itertools.cycle([WorkerReport(f"bench-{number}") for number in range(CROWD)])
        self._claims: deque[Claim] = deque()
        self.first_claim_s = 0.0
        """From opening the folder to the first job handed out."""

    async def open(self, folder: Path, pending: int) -> None:
        fill(folder, pending)
        begun = time.perf_counter()
        self._queue = DirectoryQueue(folder, channels(folder), SystemClock())
        await self._queue.open()
        await self._claim()
        self.first_claim_s = time.perf_counter() - begun

    def acts(self) -> Mapping[Step, Act]:
        return {Step.ACCEPT: self._accept, Step.CLAIM: self._claim, Step.COMPLETE: self._complete}

    async def close(self) -> None:
        await self._queue.close()

    async def _accept(self) -> None:
        await self._queue.enqueue(Kind.AUDIO, OFFER)

    async def _claim(self) -> None:
        delivery = await self._queue.claim(Kind.AUDIO, next(self._workers))
        if delivery is None:
            raise RuntimeError("there was no job to claim")
        self._claims.append(delivery.claim)

    async def _complete(self) -> None:
        await self._queue.complete(self._claims.popleft(), RESULT)


def fill(data_dir: Path, pending: int) -> None:
    """Write `pending` jobs as the queue would have written them, one after the other and not synced."""
    folder = data_dir / "audio-queue/pending"
    folder.mkdir(durable.PRIVATE_FOLDER, parents=True)
    intake, now = Intake(channels(data_dir)), time.time()
    for number in range(1, pending + 1):
        job_id, fields = intake.check(Kind.AUDIO, {**OFFER, "audio_counter": number})
        job = intake.complete(Kind.AUDIO, job_id, fields, now=now + number / 1000 - pending)
        data = durable.to_bytes(to_record(job))
        file = os.open(folder / f"{job.id}.json", os.O_WRONLY | os.O_CREAT, durable.PRIVATE_FILE)
        os.write(file, data)
        os.close(file)


def channels(data_dir: Path) -> Channels:
    return Channels(data_dir / "channels.json", SystemClock(), None)
