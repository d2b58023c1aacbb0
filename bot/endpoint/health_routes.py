"""`/health`: whether the bot can do its work, and if not, why. It tells nothing else."""

from collections.abc import Callable, Sequence
from http import HTTPStatus

from aiohttp import web

from bot.endpoint.answers import Health
from bot.endpoint.calls import Access, Call
from jobqueue.clock import Clock
from jobqueue.directory import DirectoryQueue
from jobqueue.job import Kind
from jobqueue.lifecycle import State

Check = Callable[[], str | None]
"""Returns what is wrong, None if nothing is."""


class HealthRoutes:
    """One call, open to all."""

    def __init__(self, clock: Clock, checks: Sequence[Check]) -> None:
        self._clock = clock
        self._checks = checks
        self._started_at = clock.monotonic()

    def calls(self) -> list[Call]:
        return [
            Call(
                "GET",
                "/health",
                self.health,
                "Whether the bot can do its work",
                Access.ANYONE,
                answer=Health,
            )
        ]

    async def health(self, _request: web.Request) -> web.Response:
        reasons = [reason for check in self._checks if (reason := check()) is not None]
        body = {
            "status": "degraded" if reasons else "ok",
            "reasons": reasons,
            "uptime_s": round(self._clock.monotonic() - self._started_at, 1),
        }
        return web.json_response(body, status=HTTPStatus.OK)


def disk_check(queue: DirectoryQueue) -> Check:
    """A check of the room left for new work: without it, no new job is accepted."""
    return queue.disk.shortage


def write_check(queue: DirectoryQueue) -> Check:
    """A check that what the queue wrote last went to disk, whatever room there seems to be."""

    def check() -> str | None:
        failing = queue.write_failure
        return None if failing is None else f"the last record could not be written: {failing}"

    return check


def worker_check(queue: DirectoryQueue) -> Check:
    """A check that somebody is there to speak what waits."""

    def check() -> str | None:
        waiting = queue.stats(Kind.AUDIO)[State.PENDING]
        if not waiting or queue.roster.online(Kind.AUDIO):
            return None
        return "scripts wait and no audio worker is online"

    return check
