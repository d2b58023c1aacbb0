"""A program that works a queue as fast as it can and says what was acknowledged, until something stops it.

    python -m tests.hardship.busy_queue FOLDER [accept|complete|fail|all] [CLIENTS]

Each line on standard output is written the moment a call has returned: see `claims`.
"""

import asyncio
import os
import random
import sys
import uuid
from pathlib import Path

from jobqueue.clock import SystemClock
from jobqueue.directory import DirectoryQueue
from jobqueue.job import Claim, Kind, WorkerReport
from jobqueue.lifecycle import State
from jobqueue.policy import QueuePolicy
from tests.hardship.claims import ACCEPTED, look
from tests.profiles import PlainProfiles

READY, FAULT = "ready", "fault:"
SCRIPT = "The sea has a memory of its own. " * 20
WORK = {"accept": (), "complete": ("complete",), "fail": ("fail", "fail for good")}
WORK["all"] = (*WORK["complete"], *WORK["fail"], "release", "cancel", "nothing")


def say(word: str, what: str) -> None:
    os.write(sys.stdout.fileno(), f"{word} {what}\n".encode())


async def main(data_dir: Path, mode: str, clients: int) -> None:
    policy = QueuePolicy(max_failures=2, retry_base_s=0.01, retry_cap_s=0.02)
    queue = DirectoryQueue(data_dir, PlainProfiles(), SystemClock(), policy)
    await queue.open()
    for fault in look(data_dir).faults:
        say(FAULT, fault)
    say(READY, "now")
    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(work(queue, WORK[mode], f"w{os.getpid()}-{number}"))


async def work(queue: DirectoryQueue, deeds: tuple[str, ...], worker_id: str) -> None:
    while True:
        view = await queue.enqueue(Kind.AUDIO, {"job_id": uuid.uuid4().hex, "script_text": SCRIPT})
        say(ACCEPTED, view.job.id)
        if deeds:
            delivery = await queue.claim(Kind.AUDIO, WorkerReport(worker_id))
            if delivery is not None:
                await end(queue, delivery.claim, random.choice(deeds))


async def end(queue: DirectoryQueue, claim: Claim, deed: str) -> None:
    match deed:
        case "complete":
            await queue.complete(claim, {"gofile_link": "https://example.org/x"})
            say(State.COMPLETED, claim.job_id)
        case "cancel":
            await queue.cancel(claim.kind, claim.job_id, by="a person")
            say(State.CANCELLED, claim.job_id)
        case "release":
            await queue.release(claim)
        case "fail" | "fail for good":
            verdict = await queue.fail(claim, "it broke", permanent=deed == "fail for good")
            if verdict.state is State.FAILED:
                say(State.FAILED, claim.job_id)


if __name__ == "__main__":
    how, crowd = [*sys.argv[2:], "all"][0], int([*sys.argv[3:], "16"][0])
    asyncio.run(main(Path(sys.argv[1]), how, crowd))
