"""News of jobs inside the bot's process: whoever listens hears of every change."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from jobqueue.job import Kind, Progress
from jobqueue.lifecycle import State

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Change:
    """Something about a job is different now; ask the queue what."""

    kind: Kind
    job_id: str
    state: State
    what: str
    """The lifecycle event, or `enqueue`, `progress`, `priority`."""
    progress: Progress | None = None
    """How far it is, where that is the news."""
    worker_id: str = ""
    """Who has it, or had it until now; empty if nobody."""
    channel: str = ""
    taken_s: float | None = None
    """Seconds the work took, where that is done."""


Listener = Callable[[Change], None]


class Feed:
    """Tells listeners of changes, at once and in order; nothing is kept."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """`listener` runs on the event loop: it must be quick and leave the work to a task of its own."""
        self._listeners.append(listener)

    def publish(self, change: Change) -> None:
        for listener in self._listeners:
            try:
                listener(change)
            except Exception:
                log.exception("job %s: a listener failed", change.job_id)
