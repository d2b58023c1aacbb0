"""What a queue is, without disk, process or network: the pure model that the real one is held against."""

from dataclasses import dataclass, field

from jobqueue.job import Kind
from jobqueue.lifecycle import FINAL, State
from tests.clock import FakeClock

LEASE_S = 90.0
FIRST_LEASE_S = 15.0
STUCK_S = 1800.0
RETRY_CAP_S = 900.0
MAX_FAILURES = 3
HOUR_S = 3600.0
Key = tuple[Kind, str]


@dataclass(slots=True)
class Held:
    """A worker's hold on a job."""

    worker: str
    claim_id: str | None
    ends_at: float
    moved_at: float


@dataclass(slots=True)
class ModelJob:
    key: Key
    created_at: float
    priority: int
    not_before: float
    state: State = State.PENDING
    epoch: int = 1
    retry_count: int = 0
    turn: float = 0.0
    is_ripe: bool = False
    """Whether its time had come once; a clock set back afterwards does not matter."""
    held: Held | None = None
    last_worker: str | None = None
    """Who had it last, if it came back by itself."""


@dataclass(slots=True)
class Token:
    """One claim that was once given."""

    key: Key
    worker: str
    epoch: int
    token: str | None


@dataclass
class Model:
    """All jobs, and what each event makes of them."""

    clock: FakeClock
    jobs: dict[Key, ModelJob] = field(default_factory=dict)
    ahead_s: float = 0.0
    """The wall clock before the other, as it was looked at last."""
    was_set_back: bool = False
    """Whether jobs may be older than the clock that made them: their order is not promised then."""

    def __post_init__(self) -> None:
        self.look_at_clock()

    # --- questions

    def is_due(self, job: ModelJob) -> bool:
        return job.not_before <= self.clock.now()

    def ready(self, kind: Kind) -> list[ModelJob]:
        """Those that must be handed out before the queue may say it has none."""
        return [job for job in self._pending(kind) if self.is_due(job)]

    def may_come(self, kind: Kind) -> list[ModelJob]:
        return [job for job in self._pending(kind) if self.is_due(job) or job.is_ripe]

    def _pending(self, kind: Kind) -> list[ModelJob]:
        return [job for job in self.jobs.values() if job.key[0] is kind and job.state is State.PENDING]

    def repeated(self, kind: Kind, worker: str, claim_id: str | None) -> ModelJob | None:
        """The job that this claim has already."""
        for job in self.jobs.values():
            held = job.held
            if (
                claim_id
                and job.key[0] is kind
                and held
                and (held.worker, held.claim_id) == (worker, claim_id)
            ):
                return job
        return None

    def holds(self, token: Token) -> bool:
        """Whether the claim is the one that counts."""
        job = self.jobs.get(token.key)
        if job is None or job.held is None or job.held.worker != token.worker:
            return False
        return token.token is None or token.epoch == job.epoch

    def is_over(self, job: ModelJob) -> bool:
        return job.held is not None and job.held.ends_at <= self.clock.monotonic()

    def is_stuck(self, job: ModelJob) -> bool:
        return job.held is not None and self.clock.monotonic() - job.held.moved_at >= STUCK_S

    # --- events

    def look_at_clock(self) -> None:
        """If it was set back, what came later has come now, and no retry waits longer than ever."""
        before, self.ahead_s = self.ahead_s, self.clock.now() - self.clock.monotonic()
        if before - self.ahead_s > 1.0:
            self.was_set_back = True
            self.set_back()

    def set_back(self) -> None:
        now = self.clock.now()
        for job in self.jobs.values():
            if job.state is State.PENDING:
                job.turn = min(job.turn, now - job.priority * HOUR_S)
                if job.retry_count and not job.is_ripe:
                    job.not_before = min(job.not_before, now + RETRY_CAP_S)

    def enter(self, job: ModelJob) -> None:
        """The job is in line, or its record has changed."""
        job.turn = min(job.created_at, self.clock.now()) - job.priority * HOUR_S
        job.is_ripe = False
        self.jobs[job.key] = job
        self.look()

    def look(self) -> None:
        """Time has come for those whose time has come."""
        for job in self.jobs.values():
            job.is_ripe = job.is_ripe or self.is_due(job)

    def sweep(self, kind: Kind) -> None:
        for job in list(self.jobs.values()):
            if job.key[0] is kind and (self.is_over(job) or self.is_stuck(job)):
                self.expire(job)

    def expire(self, job: ModelJob) -> None:
        self.failed(job, not_before=0.0)

    def claimed(self, job: ModelJob, worker: str, claim_id: str | None) -> None:
        now = self.clock.monotonic()
        job.state = State.PROCESSING
        job.held = Held(worker, claim_id, now + (STUCK_S if claim_id is None else FIRST_LEASE_S), now)

    def renewed(self, job: ModelJob) -> None:
        assert job.held is not None
        job.held.ends_at = max(job.held.ends_at, self.clock.monotonic() + LEASE_S)

    def completed(self, job: ModelJob) -> None:
        assert job.held is not None
        job.state, job.last_worker, job.held = State.COMPLETED, job.held.worker, None

    def failed(self, job: ModelJob, *, not_before: float, permanent: bool = False) -> None:
        job.retry_count += 1
        if permanent or job.retry_count >= MAX_FAILURES:
            assert job.held is not None
            job.state, job.last_worker, job.held = State.FAILED, job.held.worker, None
            job.not_before = 0.0
        else:
            job.not_before = not_before
            self.handed_back(job)

    def handed_back(self, job: ModelJob) -> None:
        """Pending again, and whoever had it has it no more."""
        job.last_worker = job.held.worker if job.held else None
        job.state, job.held, job.epoch = State.PENDING, None, job.epoch + 1
        self.enter(job)

    def cancelled(self, job: ModelJob) -> None:
        job.state, job.held = State.CANCELLED, None

    def revived(self, job: ModelJob) -> None:
        assert job.state in FINAL
        job.state, job.retry_count, job.epoch, job.not_before = State.PENDING, 0, job.epoch + 1, 0.0
        self.enter(job)

    def restarted(self) -> None:
        """A new process: those who work get a fresh lease."""
        now = self.clock.monotonic()
        for job in self.jobs.values():
            if job.held is not None:
                job.held.ends_at = now + (LEASE_S if job.held.claim_id else STUCK_S)
                job.held.moved_at = now
            job.turn = min(job.created_at, self.clock.now()) - job.priority * HOUR_S
            job.is_ripe = False
        self.ahead_s = self.clock.now() - self.clock.monotonic()
        self.set_back()
        self.look()
