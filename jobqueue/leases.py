"""Who holds which job, and for how long: leases on the monotonic clock, and the tokens that prove them."""

import hashlib
import heapq
import hmac
import itertools
import logging
from collections.abc import Iterator
from dataclasses import dataclass

from jobqueue.job import Claim, Job, Kind, Progress
from jobqueue.stalls import Stalls

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Lease:
    """One worker's hold on one job."""

    kind: Kind
    job: Job
    worker_id: str
    claim_id: str | None
    granted_at: float
    """Monotonic seconds, like the two below."""
    ends_at: float
    moved_at: float
    """When the worker last told of progress."""
    progress: Progress | None = None


class Leases:
    """All leases of this process, in memory: after a restart, every job in work gets a fresh one."""

    def __init__(self, stuck_s: float, stalls: Stalls) -> None:
        """
        Args:
            stuck_s: how long a lease lives without progress, s.
            stalls: tells when it was not the workers that were silent, but we who did not listen.
        """
        self._stuck_s = stuck_s
        self._stalls = stalls
        self._leases: dict[tuple[Kind, str], Lease] = {}
        self._of_worker: dict[tuple[Kind, str], dict[str, Lease]] = {}
        self._looks: list[tuple[float, int, Lease]] = []
        """A heap of when to look at which lease again; renewing one leaves it where it is."""
        self._numbers = itertools.count()

    def grant(self, lease: Lease) -> None:
        self.end(lease.kind, lease.job.id)
        self._leases[lease.kind, lease.job.id] = lease
        self._of_worker.setdefault((lease.kind, lease.worker_id), {})[lease.job.id] = lease
        self._look_at(lease, self._over_at(lease))

    def get(self, kind: Kind, job_id: str) -> Lease | None:
        return self._leases.get((kind, job_id))

    def __iter__(self) -> Iterator[Lease]:
        return iter(self._leases.values())

    def end(self, kind: Kind, job_id: str) -> None:
        lease = self._leases.pop((kind, job_id), None)
        if lease is not None:
            held = self._of_worker[kind, lease.worker_id]
            del held[job_id]
            if not held:
                del self._of_worker[kind, lease.worker_id]

    def of_worker(self, kind: Kind, worker_id: str) -> list[Lease]:
        return list(self._of_worker.get((kind, worker_id), {}).values())

    def of_claim(self, kind: Kind, worker_id: str, claim_id: str) -> Lease | None:
        """The lease that this claim got, if its reply was lost on the way."""
        held = self._of_worker.get((kind, worker_id), {}).values()
        return next((lease for lease in held if lease.claim_id == claim_id), None)

    def expired(self, now: float) -> list[tuple[Lease, str]]:
        """Leases that are over at `now` (monotonic s), each with the reason in words."""
        self.make_up()
        over = []
        while self._looks and self._looks[0][0] <= now:
            _, _, lease = heapq.heappop(self._looks)
            if self.get(lease.kind, lease.job.id) is not lease:
                continue
            if (reason := self.why_over(lease, now)) is not None:
                over.append((lease, reason))
            else:
                self._look_at(lease, self._over_at(lease))
        for lease, _ in over:
            self._look_at(lease, now)  # in case the disk cannot take the job back just now
        return over

    def why_over(self, lease: Lease, now: float) -> str | None:
        """Why the lease is over at `now` (monotonic s), in words; None if it is good."""
        self.make_up()
        if lease.ends_at <= now:
            return f"worker {lease.worker_id} fell silent"
        if now - lease.moved_at >= self._stuck_s:
            return f"worker {lease.worker_id} made no progress for {self._stuck_s / 60:.0f} minutes"
        return None

    def make_up(self) -> None:
        """Let no lease end for the time that this process has missed."""
        lost_s = self._stalls.lost_s()
        if lost_s:
            log.warning("this process stood still for %.1f s: all leases are as much longer", lost_s)
            for lease in self:
                lease.ends_at += lost_s
                lease.moved_at += lost_s

    def _over_at(self, lease: Lease) -> float:
        return min(lease.ends_at, lease.moved_at + self._stuck_s)

    def _look_at(self, lease: Lease, when: float) -> None:
        heapq.heappush(self._looks, (when, next(self._numbers), lease))


class ClaimTokens:
    """Tokens that say which claim of a job a caller means; they need no storage and survive a restart."""

    def __init__(self) -> None:
        self._secret = b""

    def sign_with(self, secret: bytes) -> None:
        self._secret = secret

    def mint(self, kind: Kind, job_id: str, worker_id: str, epoch: int) -> str:
        message = f"claim\n{kind}\n{job_id}\n{worker_id}\n{epoch}".encode()
        return f"{epoch}.{hmac.new(self._secret, message, hashlib.sha256).hexdigest()}"

    def proves(self, claim: Claim, epoch: int) -> bool:
        """Whether the claim is the one of that epoch; one without a token is taken at its word."""
        if claim.token is None:
            return True
        minted = self.mint(claim.kind, claim.job_id, claim.worker_id, epoch)
        return hmac.compare_digest(minted.encode(), claim.token.encode(errors="replace"))
