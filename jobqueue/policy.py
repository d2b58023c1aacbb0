"""How patient the queue is with its workers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """How patient the queue is."""

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
