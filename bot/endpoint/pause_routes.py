"""Pausing: a queue or a single worker finishes what it has, and gets no more."""

from http import HTTPStatus

from aiohttp import web

from bot.endpoint.answers import Paused
from bot.endpoint.calls import KIND, Call, Parameter
from bot.endpoint.problems import Problem
from jobqueue.directory import DirectoryQueue
from jobqueue.job import WORKER_ID, Kind

QUEUE = f"/queue/{KIND}"
WORKER = f"/workers/{KIND}/{{worker_id}}"
WORKER_PARAMETER = Parameter(
    "worker_id", "one that is in the list", {"type": "string", "pattern": f"^{WORKER_ID.pattern}$"}, "path"
)


class PauseRoutes:
    """The calls that pause and resume. A call for what is so already changes nothing."""

    def __init__(self, queue: DirectoryQueue) -> None:
        self._queue = queue

    def calls(self) -> list[Call]:
        return [
            Call("POST", f"{QUEUE}/pause", self.pause, "Hand out no more jobs", answer=Paused),
            Call("POST", f"{QUEUE}/resume", self.resume, "Hand out jobs again", answer=Paused),
            Call(
                "POST",
                f"{WORKER}/pause",
                self.pause,
                "Let a worker finish its job and give it no other",
                answer=Paused,
                parameters=[WORKER_PARAMETER],
            ),
            Call(
                "POST",
                f"{WORKER}/resume",
                self.resume,
                "Give a worker jobs again",
                answer=Paused,
                parameters=[WORKER_PARAMETER],
            ),
        ]

    async def pause(self, request: web.Request) -> web.Response:
        kind, worker_id = self._named(request)
        await self._queue.pause(kind, worker_id)
        return web.json_response({"paused": True})

    async def resume(self, request: web.Request) -> web.Response:
        kind, worker_id = self._named(request)
        await self._queue.resume(kind, worker_id)
        return web.json_response({"paused": False})

    def _named(self, request: web.Request) -> tuple[Kind, str | None]:
        """The queue, and the worker if it is about one. Raises: Problem if we know no such worker."""
        kind, worker_id = Kind(request.match_info["kind"]), request.match_info.get("worker_id")
        known = worker_id is None or self._queue.pauses.is_paused(kind, worker_id)
        if not known and not any(
            member["worker_id"] == worker_id for member in self._queue.roster.members(kind)
        ):
            raise Problem(HTTPStatus.NOT_FOUND, f"no {kind} worker of this name has reported")
        return kind, worker_id
