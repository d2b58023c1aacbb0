"""How patient the queue is with its workers, how long it keeps what is done, and how much room it needs."""

from dataclasses import dataclass

DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class KeepPolicy:
    """How long finished jobs are kept."""

    keep_s: float = 30 * DAY_S
    """0: for ever."""
    keep_jobs: int = 100_000
    """How many finished jobs of a kind are kept at most, the latest; 0: any number."""


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """How the queue goes about its work."""

    max_failures: int = 3
    """Failed deliveries after which a job is given up."""
    retry_base_s: float = 30
    retry_cap_s: float = 900
    lease_s: float = 90
    """How long a claim lives without a heartbeat."""
    first_lease_s: float = 15
    """The same before the first heartbeat, for a claim that names a claim_id."""
    stuck_s: float = 30 * 60
    """How long a claim lives without progress; without heartbeats too, if it names no claim_id."""
    keep: KeepPolicy = KeepPolicy()
    min_free_bytes: int = 0
    """Below so much free disk no new jobs are accepted; 0: as long as they can be written."""
