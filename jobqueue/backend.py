"""What may be asked of a queue: Protocols that any engine can fill."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from jobqueue.job import Claim, Delivery, Job, Json, Kind, Orders, Progress, Result, WorkerReport
from jobqueue.lifecycle import State


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a job whose attempt failed."""

    state: State
    """Pending again, or failed."""
    retry_count: int
    not_before: float | None
    """Unix seconds before which it is not tried again."""


class WorkQueue(Protocol):
    """What a worker may ask of any queue, in the bot's process or across the network.

    Delivery is at least once: a job can run twice, so handlers are idempotent.
    Every call that takes a claim raises LeaseLost once its lease has run out, and
    every call raises QueueUnreachable when the queue cannot be asked just now.
    """

    async def claim(
        self, kind: Kind, worker: WorkerReport, *, claim_id: str | None = None, wait_s: float = 0
    ) -> Delivery | None:
        """The next job, waiting up to `wait_s` for one; repeated with the same `claim_id`, the same job."""
        ...

    async def heartbeat(self, kind: Kind, worker: WorkerReport) -> Orders:
        """Renew the leases of all jobs of this worker."""
        ...

    async def progress(self, claim: Claim, progress: Progress) -> bool:
        """Note how far the work is and renew the lease; True if a person has cancelled the job."""
        ...

    async def complete(self, claim: Claim, result: Result) -> None: ...

    async def fail(self, claim: Claim, reason: str, *, permanent: bool = False) -> Verdict:
        """The attempt failed; `permanent` if no retry can cure it."""
        ...

    async def release(self, claim: Claim) -> None:
        """Hand the job back, no attempt counted."""
        ...


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as people see it: its record, its state and how far it is."""

    job: Job
    state: State
    progress: Progress | None = None
    position: int | None = None
    """Place in the queue, from 1, while it is pending."""
    eta_s: float | None = None
    """Seconds until it is done, if that can be told from jobs done before."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which jobs of a kind to list; None means any."""

    kind: Kind
    states: frozenset[State] | None = None
    channel: str | None = None
    date: str | None = None
    chat_id: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs of a longer list."""

    jobs: list[JobView]
    cursor: str | None
    """Give it back to get the next page; None: there is none."""


class QueueBackend(WorkQueue, Protocol):
    """What the bot may ask of a queue, beyond what a worker may."""

    async def enqueue(
        self, kind: Kind, record: Mapping[str, Json], *, idempotency_key: str | None = None
    ) -> JobView:
        """Accept a job; when this returns, it survives a power cut.

        `record` holds the fields of the job; the queue fills what is missing. A repeat
        (same id and inputs, or same key) returns the job that is already there.
        Raises: JobInvalid, JobExists.
        """
        ...

    async def get(self, kind: Kind, job_id: str) -> JobView:
        """Raises: JobNotFound."""
        ...

    async def jobs(
        self, wanted: Filter, *, limit: int = 100, cursor: str | None = None, newest_first: bool = False
    ) -> Page:
        """The jobs that match, in the order they were accepted."""
        ...

    def matching(self, prefix: str) -> list[tuple[Kind, str]]:
        """All jobs whose id begins with `prefix`."""
        ...

    async def cancel(self, kind: Kind, job_id: str, *, by: str) -> JobView:
        """Raises: JobNotFound, InvalidTransition."""
        ...

    async def retry(self, kind: Kind, job_id: str, *, by: str) -> JobView:
        """Put a failed or cancelled job back, its attempts starting anew. Raises: as cancel."""
        ...

    async def reprioritize(self, kind: Kind, job_id: str, priority: int) -> JobView:
        """Raises: as cancel, also when the job is not pending."""
        ...

    async def pause(self, kind: Kind, worker_id: str | None = None) -> None:
        """Hand out no more jobs of the kind, or none to this worker; what is claimed is finished."""
        ...

    async def resume(self, kind: Kind, worker_id: str | None = None) -> None:
        """Hand out jobs again."""
        ...

    async def logs(self, kind: Kind, job_id: str) -> list[dict[str, Json]]:
        """What happened to the job, oldest first. Raises: JobNotFound."""
        ...

    def stats(self, kind: Kind) -> dict[str, Json]: ...
