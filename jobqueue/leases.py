"""Who holds which job, and for how long: leases on the monotonic clock, and the tokens that prove them."""

import hashlib
import hmac
from dataclasses import dataclass

from jobqueue.job import Claim, Job, Kind, Progress


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

    def __init__(self) -> None:
        self._leases: dict[tuple[Kind, str], Lease] = {}

    def grant(self, lease: Lease) -> None:
        self._leases[lease.kind, lease.job.id] = lease

    def get(self, kind: Kind, job_id: str) -> Lease | None:
        return self._leases.get((kind, job_id))

    def end(self, kind: Kind, job_id: str) -> None:
        self._leases.pop((kind, job_id), None)

    def of_worker(self, kind: Kind, worker_id: str) -> list[Lease]:
        return [
            lease for lease in self._leases.values() if lease.kind is kind and lease.worker_id == worker_id
        ]

    def of_claim(self, kind: Kind, worker_id: str, claim_id: str) -> Lease | None:
        """The lease that this claim got, if its reply was lost on the way."""
        held = self.of_worker(kind, worker_id)
        return next((lease for lease in held if lease.claim_id == claim_id), None)

    def expired(self, now: float, *, stuck_s: float) -> list[tuple[Lease, str]]:
        """Leases that are over at `now` (monotonic s), each with the reason in words."""
        over = []
        for lease in self._leases.values():
            if lease.ends_at <= now:
                over.append((lease, f"worker {lease.worker_id} fell silent"))
            elif now - lease.moved_at >= stuck_s:
                over.append(
                    (lease, f"worker {lease.worker_id} made no progress for {stuck_s / 60:.0f} minutes")
                )
        return over


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
