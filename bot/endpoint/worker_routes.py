"""`/workers`: who works for us."""

from aiohttp import web

from bot.endpoint.bodies import HeartbeatBody, read_body
from bot.endpoint.calls import KIND, Access, Call
from jobqueue.directory import DirectoryQueue
from jobqueue.job import Kind


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
            ),
            Call("GET", f"/workers/{KIND}", self.list_workers, "List the workers"),
        ]

    async def heartbeat(self, request: web.Request) -> web.Response:
        body = await read_body(request, HeartbeatBody)
        orders = await self._queue.heartbeat(Kind(request.match_info["kind"]), body.report())
        return web.json_response(
            {"status": "ok", "lost": sorted(orders.lost), "cancel": sorted(orders.cancel)}
        )

    async def list_workers(self, request: web.Request) -> web.Response:
        return web.json_response(self._queue.roster.members(Kind(request.match_info["kind"])))
