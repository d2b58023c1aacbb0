"""The claim, heartbeat, outcome loop that every worker shares."""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from enum import Enum
from typing import Any, Protocol, TypeVar

from jobqueue import tracing
from jobqueue.backend import WorkQueue
from jobqueue.errors import (
    InvalidTransition,
    JobInvalid,
    JobNotFound,
    LeaseLost,
    PermanentError,
    QueueUnreachable,
)
from jobqueue.job import Claim, Delivery, Job, Kind, Progress, Result, WorkerReport
from jobqueue.retry import backoff_s

log = logging.getLogger(__name__)
T = TypeVar("T")

HEARTBEAT_S = 30.0
RETRY_BASE_S = 0.5
RETRY_CAP_S = 15.0


class WorkBroken(Exception):
    """A handler ended as if it had been cancelled, and was not."""


class Report(Protocol):
    """How a handler tells how far it has come."""

    async def __call__(self, progress: Progress) -> None: ...


Handler = Callable[[Job, Report], Awaitable[Result]]
"""Does one job and returns what to note in its record. It is cancelled when the job
is called off, lost to another worker, or the process stops; an error that is a
PermanentError fails the job at once, any other lets it be tried again."""


class Interruption(Enum):
    """Why a job that has not finished is left."""

    STOP = "this worker is stopping"
    CANCELLED = "a person cancelled it"
    LOST = "its lease ran out"


class Worker:
    """Claims jobs of one kind, runs them one at a time, and reports exactly one outcome for each."""

    def __init__(
        self, queue: WorkQueue, kind: Kind, identity: WorkerReport, handle: Handler, *, wait_s: float
    ) -> None:
        """`wait_s`: how long one claim waits for a job, s."""
        self._queue = queue
        self._kind = kind
        self._identity = identity
        self._handle = handle
        self._wait_s = wait_s

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; the job in hand then goes back to the queue. Raises: KeyRefused."""
        while not stop.is_set():
            delivery = await _unless(stop, self._next_delivery())
            if delivery is not None:
                with tracing.following(delivery.job):
                    await self._run(delivery, stop)
        with contextlib.suppress(QueueUnreachable, TimeoutError):
            async with asyncio.timeout(3):
                await self._queue.heartbeat(self._kind, replace(self._identity, status="offline"))

    async def _next_delivery(self) -> Delivery | None:
        # The same claim_id until an answer arrives: a reply lost on the way loses no job.
        claim_id = uuid.uuid4().hex
        return await insist(
            lambda: self._queue.claim(self._kind, self._identity, claim_id=claim_id, wait_s=self._wait_s),
            "claiming a job",
        )

    async def _run(self, delivery: Delivery, stop: asyncio.Event) -> None:
        job, claim = delivery.job, delivery.claim
        log.info("job %s: attempt %d begins", job.id, job.attempt)
        reporter = _Reporter(self._queue, claim)
        work = asyncio.ensure_future(self._handle(job, reporter))
        async with asyncio.TaskGroup() as group:
            beating = group.create_task(self._keep_alive(delivery, reporter))
            stopping = group.create_task(_stopped(stop, reporter))
            try:
                await reporter.interrupted_or(work)
                if not work.done():
                    work.cancel()
                    await asyncio.wait({work})
                await _unless(stop, self._settle(claim, work, reporter), grace_s=5)
            finally:
                work.cancel()
                await asyncio.wait({work})
                beating.cancel()
                stopping.cancel()

    async def _settle(self, claim: Claim, work: "asyncio.Future[Result]", reporter: "_Reporter") -> None:
        """Tell the queue how it ended, however long that takes: the work must not be lost."""
        error = (
            WorkBroken("the work was given up and nobody knows why") if work.cancelled() else work.exception()
        )
        if work.cancelled() and reporter.interrupted.done():
            await self._leave(claim, reporter.interrupted.result())
        elif error is None:
            await self._finish(claim, work.result())
        elif isinstance(error, Exception):
            permanent = isinstance(error, PermanentError)
            log.error("job %s: failed: %s", claim.job_id, error, exc_info=None if permanent else error)
            await self._tell(
                claim,
                "reported as failed",
                lambda: self._queue.fail(claim, describe(error), permanent=permanent),
            )
        else:
            raise error

    async def _finish(self, claim: Claim, result: Result) -> None:
        try:
            await self._tell(claim, "completed", lambda: self._queue.complete(claim, result))
        except JobInvalid as error:
            reason = f"the result was refused: {error}"
            await self._tell(claim, "reported as failed", lambda: self._queue.fail(claim, reason))

    async def _leave(self, claim: Claim, why: Interruption) -> None:
        log.info("job %s: left, %s", claim.job_id, why.value)
        if why is Interruption.STOP:
            await self._tell(claim, "handed back", lambda: self._queue.release(claim))

    async def _tell(self, claim: Claim, what: str, call: Callable[[], Awaitable[object]]) -> None:
        try:
            await insist(call, f"job {claim.job_id} to be {what}")
        except (LeaseLost, InvalidTransition, JobNotFound) as error:
            log.warning("job %s: not %s: %s", claim.job_id, what, error)
        else:
            log.info("job %s: %s", claim.job_id, what)

    async def _keep_alive(self, delivery: Delivery, reporter: "_Reporter") -> None:
        job_id = delivery.job.id
        busy = replace(self._identity, status="busy", current_job=job_id)
        pause_s = min(HEARTBEAT_S, delivery.lease_s / 3)
        while True:
            with contextlib.suppress(QueueUnreachable):
                orders = await self._queue.heartbeat(self._kind, busy)
                if job_id in orders.cancel:
                    reporter.interrupt(Interruption.CANCELLED)
                elif job_id in orders.lost:
                    reporter.interrupt(Interruption.LOST)
            await asyncio.sleep(pause_s)


class _Reporter:
    """Passes progress on and learns from the reply whether the job is still ours."""

    def __init__(self, queue: WorkQueue, claim: Claim) -> None:
        self._queue = queue
        self._claim = claim
        self.interrupted: asyncio.Future[Interruption] = asyncio.get_running_loop().create_future()

    async def __call__(self, progress: Progress) -> None:
        # Progress is news, not a result: if the queue cannot hear it, the work goes on.
        with contextlib.suppress(QueueUnreachable):
            try:
                if await self._queue.progress(self._claim, progress):
                    self.interrupt(Interruption.CANCELLED)
            except (LeaseLost, InvalidTransition, JobNotFound):
                self.interrupt(Interruption.LOST)

    async def interrupted_or(self, work: "asyncio.Future[Result]") -> None:
        waited: set[asyncio.Future[Any]] = {work, self.interrupted}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)

    def interrupt(self, why: Interruption) -> None:
        if not self.interrupted.done():
            self.interrupted.set_result(why)


async def insist(call: Callable[[], Awaitable[T]], what: str) -> T:
    """Make the call until the queue can be reached; waits with backoff in between."""
    failures = 0
    while True:
        try:
            return await call()
        except QueueUnreachable as error:
            failures += 1
            if failures in (1, 5) or failures % 20 == 0:
                log.warning("%s waits: %s", what, error)
            await asyncio.sleep(RETRY_BASE_S + backoff_s(failures, base_s=RETRY_BASE_S, cap_s=RETRY_CAP_S))


def describe(error: Exception) -> str:
    """An error as a sentence for the job's record; never empty."""
    return str(error) or type(error).__name__


async def _stopped(stop: asyncio.Event, reporter: _Reporter) -> None:
    await stop.wait()
    reporter.interrupt(Interruption.STOP)


async def _unless(stop: asyncio.Event, wanted: Awaitable[T], *, grace_s: float = 0) -> T | None:
    """What `wanted` gives, or None if `stop` came first and `grace_s` more did not suffice."""
    task = asyncio.ensure_future(wanted)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done() and grace_s:
            await asyncio.wait({task}, timeout=grace_s)
        return task.result() if task.done() else None
    finally:
        for each in (task, stopping):
            each.cancel()
        await asyncio.wait({task, stopping})
