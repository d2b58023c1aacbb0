"""`/workers`: who works for us."""

from dataclasses import dataclass

from aiohttp import web

from bot.endpoint.answers import Orders
from bot.endpoint.bodies import HeartbeatBody, read_body
from bot.endpoint.callers import signed_report
from bot.endpoint.calls import KIND, Access, Call
from jobqueue.directory import DirectoryQueue
from jobqueue.job import Kind
from jobqueue.roster import Member


@dataclass(slots=True)
class ListedWorker(Member):
    """A worker as the endpoint shows it."""

    paused: bool = False
    """It gets no more jobs until somebody lets it go on."""


class WorkerRoutes:
    """Heartbeats and the list of workers."""

    def __init__(self, queue: DirectoryQueue) -> None:
        self._queue = queue

    def calls(self) -> list[Call]:
        return [
            Call(
                "POST",
                f"/workers/{KIND}/heartbeat",
                self.heartbeat,
                "Say that a worker is there, and renew its leases",
                Access.WORKER,
                HeartbeatBody,
                Orders,
                is_audited=False,
            ),
            Call("GET", f"/workers/{KIND}", self.list_workers, "List the workers", answer=list[ListedWorker]),
        ]

    async def heartbeat(self, request: web.Request) -> web.Response:
        body = await read_body(request, HeartbeatBody)
        orders = await self._queue.heartbeat(
            Kind(request.match_info["kind"]), signed_report(request, body.report())
        )
        return web.json_response(
            {"status": "ok", "lost": sorted(orders.lost), "cancel": sorted(orders.cancel)}
        )

    async def list_workers(self, request: web.Request) -> web.Response:
        kind = Kind(request.match_info["kind"])
        return web.json_response(
            [
                member | {"paused": self._queue.pauses.is_paused(kind, str(member["worker_id"]))}
                for member in self._queue.roster.members(kind)
            ]
        )
