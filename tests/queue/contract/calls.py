"""What the tests of the contract say to a queue, in short."""

import asyncio
from collections.abc import Awaitable, Callable

from jobqueue.errors import LeaseLost
from jobqueue.job import Claim, Delivery, Json, Kind, Progress, WorkerReport
from jobqueue.lifecycle import State
from tests.queue.engines import Engine

LEASE_S = 90
FIRST_LEASE_S = 15
STUCK_S = 30 * 60
RETRY_CAP_S = 900
HANDED_BACK = frozenset({"fail", "release"})
"""Reports that hand a job back; told again when it is back already, they change nothing."""
RESULT: dict[str, Json] = {"gofile_link": "https://example.org/recording"}


async def enqueue(engine: Engine, job_id: str, **fields: Json) -> str:
    record: dict[str, Json] = {"job_id": job_id, "script_text": f"script of {job_id}", **fields}
    return (await engine.queue.enqueue(Kind.AUDIO, record)).job.id


async def claim(engine: Engine, by: str = "gpu-1", *, claim_id: str | None = "c1") -> Delivery | None:
    return await engine.workers.claim(Kind.AUDIO, WorkerReport(by), claim_id=claim_id)


async def claim_one(engine: Engine, by: str = "gpu-1", *, claim_id: str | None = "c1") -> Delivery:
    delivery = await claim(engine, by, claim_id=claim_id)
    assert delivery is not None
    return delivery


async def started(engine: Engine, job_id: str = "j1", by: str = "gpu-1") -> Delivery:
    """A new job that a worker has, under a full lease."""
    await enqueue(engine, job_id)
    delivery = await claim_one(engine, by, claim_id=f"claim-of-{job_id}")
    assert delivery.job.id == job_id
    await beat(engine, by, job_id)
    return delivery


async def beat(engine: Engine, by: str = "gpu-1", job_id: str | None = "j1") -> frozenset[str]:
    """A heartbeat; the jobs it says are lost."""
    return (await engine.workers.heartbeat(Kind.AUDIO, WorkerReport(by, "busy", job_id))).lost


async def state_of(engine: Engine, job_id: str = "j1") -> State:
    return (await engine.queue.get(Kind.AUDIO, job_id)).state


async def epoch_of(engine: Engine, job_id: str = "j1") -> int:
    return (await engine.queue.get(Kind.AUDIO, job_id)).job.epoch


def counts(engine: Engine, kind: Kind = Kind.AUDIO) -> dict[str, Json]:
    stats = engine.queue.stats(kind)
    return {state.value: stats[state.value] for state in State if stats[state.value]}


def every_report(engine: Engine, claim: Claim) -> dict[str, Callable[[], Awaitable[object]]]:
    """All that a holder can say of its job."""
    workers = engine.workers
    return {
        "progress": lambda: workers.progress(claim, Progress(50)),
        "complete": lambda: workers.complete(claim, RESULT),
        "fail": lambda: workers.fail(claim, "no luck"),
        "release": lambda: workers.release(claim),
    }


async def is_refused(engine: Engine, claim: Claim, *, but: frozenset[str] = frozenset()) -> bool:
    """Whether the claim is good for nothing any more: the job stays as it is, and every report is
    refused; those in `but` may get an answer, as the repetition of one that was given before."""
    before = await engine.queue.get(claim.kind, claim.job_id)
    for name, report in every_report(engine, claim).items():
        try:
            await report()
        except LeaseLost:
            continue
        if name not in but:
            return False
    after = await engine.queue.get(claim.kind, claim.job_id)
    return (before.state, before.job) == (after.state, after.job)


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while not await condition():
            await asyncio.sleep(0.01)
