"""The life of a job: its states, what can happen to it, and the one table of legal moves.

All that decides a move is here; nothing here does I/O or knows a clock.
"""

from enum import StrEnum

from jobqueue.errors import InvalidTransition


class State(StrEnum):
    """Where a job is; also the name of the folder its file lies in."""

    PENDING = "pending"  # may be claimed, once `not_before` has passed
    PROCESSING = "processing"  # a worker holds the lease
    COMPLETED = "completed"  # finished; nothing follows
    FAILED = "failed"  # given up, the dead letters; a person must look
    CANCELLED = "cancelled"  # called off by a person


class Event(StrEnum):
    """What can happen to a job."""

    CLAIM = "claim"
    COMPLETE = "complete"
    RETRY = "retry"
    RELEASE = "release"
    EXPIRE = "expire"
    GIVE_UP = "give up"
    CANCEL = "cancel"
    REVIVE = "revive"


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.PENDING, Event.CLAIM): State.PROCESSING,
    (State.PENDING, Event.CANCEL): State.CANCELLED,
    (State.PROCESSING, Event.COMPLETE): State.COMPLETED,
    (State.PROCESSING, Event.RETRY): State.PENDING,  # counted, and after a backoff
    (State.PROCESSING, Event.RELEASE): State.PENDING,  # polite shutdown: not counted
    (State.PROCESSING, Event.EXPIRE): State.PENDING,  # counted: a job may be what kills its worker
    (State.PROCESSING, Event.GIVE_UP): State.FAILED,
    (State.PROCESSING, Event.CANCEL): State.CANCELLED,
    (State.FAILED, Event.REVIVE): State.PENDING,
    (State.CANCELLED, Event.REVIVE): State.PENDING,
}

FINAL = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})
"""States in which nothing happens any more unless a person wants it."""

PRECEDENCE = (State.COMPLETED, State.FAILED, State.CANCELLED, State.PROCESSING, State.PENDING)
"""Which record counts when a crash left a job in two folders: the furthest along first."""


def next_state(job_id: str, state: State, event: Event) -> State:
    """The state that follows. Raises: InvalidTransition if the table has no such move."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise InvalidTransition(job_id, state, event) from None


def after_failure(failures: int, *, max_failures: int, permanent: bool, expired: bool = False) -> Event:
    """What a failed delivery means for its job.

    Args:
        failures: failed deliveries including this one.
        max_failures: at this many the job is given up.
        permanent: no retry can cure it.
        expired: the worker fell silent, rather than reporting the failure.
    """
    if permanent or failures >= max_failures:
        return Event.GIVE_UP
    return Event.EXPIRE if expired else Event.RETRY
