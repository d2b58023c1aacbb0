"""An audio worker that only pretends to speak: the real loop, over HTTP, with a short and moody handler.

Told by the environment: FILE_SERVER_URL, FILE_SERVER_API_KEY, WORKER_ID; NOTES, the file it notes answers in.
"""

import asyncio
import os
import random
import tempfile
from pathlib import Path

from jobqueue.client import Connection, HttpQueue
from jobqueue.errors import LeaseLost, PermanentError
from jobqueue.http_storage import HttpStorage
from jobqueue.job import Claim, Job, Kind, Orders, Progress, Result, WorkerReport
from jobqueue.worker import Report, Worker
from tests.video.media import record

USUALLY_S = 0.4
FAILS, FAILS_FOR_GOOD, DEAF = 0.05, 0.02, 0.5


class VoiceBroken(Exception):
    """As an engine may break: another attempt may succeed."""


class ScriptUnspeakable(PermanentError):
    """No attempt will succeed."""


class NotingQueue(HttpQueue):
    """Notes how the queue answered each completion: `completed {job id} {worker id}` or `refused …`."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._is_deaf = random.random() < DEAF
        """To being told that a job is another's: it goes on, and reports it all the same."""

    async def heartbeat(self, kind: Kind, worker: WorkerReport) -> Orders:
        orders = await super().heartbeat(kind, worker)
        return Orders() if self._is_deaf else orders

    async def progress(self, claim: Claim, progress: Progress) -> bool:
        try:
            return await super().progress(claim, progress) and not self._is_deaf
        except LeaseLost:
            if self._is_deaf:
                return False
            raise

    async def complete(self, claim: Claim, result: Result) -> None:
        try:
            await super().complete(claim, result)
        except LeaseLost:
            self._note("refused", claim)
            raise
        self._note("completed", claim)

    @staticmethod
    def _note(word: str, claim: Claim) -> None:
        with Path(os.environ["NOTES"]).open("a") as notes:
            notes.write(f"{word} {claim.job_id} {claim.worker_id}\n")


class Pretender:
    """Handles jobs."""

    def __init__(self, storage: HttpStorage, folder: Path) -> None:
        self._storage = storage
        self._folder = folder

    async def handle(self, job: Job, report: Report) -> Result:
        await report(Progress(10, "pretending", 1, 2))
        await asyncio.sleep(random.expovariate(1 / USUALLY_S))
        mood = random.random()
        if mood < FAILS_FOR_GOOD:
            raise ScriptUnspeakable("nobody can say this")
        if mood < FAILS_FOR_GOOD + FAILS:
            raise VoiceBroken("the voice broke")
        await report(Progress(90, "pretending", 2, 2))
        if not job.fields.get("records"):
            return {"gofile_link": f"https://example.org/{job.id}"}
        path = f"{job.organized_path}/audio.wav"
        recording = self._folder / f"{job.id}.wav"
        await asyncio.to_thread(record, recording, 0.6)
        await self._storage.put(path, recording)
        return {"audio_path": path, "duration_s": 0.6}


async def main() -> None:
    worker_id = os.environ["WORKER_ID"]
    async with Connection(os.environ["FILE_SERVER_URL"], os.environ["FILE_SERVER_API_KEY"]) as connection:
        with tempfile.TemporaryDirectory() as folder:
            pretender = Pretender(HttpStorage(connection), Path(folder))
            identity = WorkerReport(worker_id, hostname="soak")
            worker = Worker(NotingQueue(connection), Kind.AUDIO, identity, pretender.handle, wait_s=5)
            await worker.run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main())
