"""The endpoint: the aiohttp application that workers and other programs speak to."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from bot.endpoint.bodies import BODY_MAX_BYTES
from bot.endpoint.calls import Call
from bot.endpoint.file_routes import FileRoutes
from bot.endpoint.health_routes import Check, HealthRoutes
from bot.endpoint.keys import KeyCheck
from bot.endpoint.problems import as_problems
from bot.endpoint.queue_routes import QueueRoutes
from bot.endpoint.worker_routes import WorkerRoutes
from bot.publishing.links import SignedLinks
from jobqueue.clock import Clock
from jobqueue.directory import DirectoryQueue

log = logging.getLogger(__name__)

SHUTDOWN_S = 3.0


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """Where it listens, and its key."""

    host: str
    port: int
    key: str
    lease_s: float


class PortTaken(Exception):
    """The address the endpoint shall listen on is not to be had."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(
            f"the endpoint cannot listen on {host}:{port} ({reason}): set API_PORT to a free port"
        )


class Endpoint:
    """Serves the queue over HTTP."""

    def __init__(
        self,
        queue: DirectoryQueue,
        links: SignedLinks,
        clock: Clock,
        checks: Sequence[Check],
        settings: EndpointSettings,
    ) -> None:
        self._queue = queue
        self._settings = settings
        self.listening = asyncio.Event()
        self.addresses: list[tuple[str, int]] = []
        """Where it listens, once it does: port 0 means any free one."""
        self._application = web.Application(
            middlewares=[as_problems, KeyCheck(settings.key, links).middleware],
            client_max_size=BODY_MAX_BYTES,
        )
        self.calls: list[Call] = [
            *QueueRoutes(queue, queue.counters, settings.lease_s).calls(),
            *WorkerRoutes(queue).calls(),
            *FileRoutes(queue.storage).calls(),
            *HealthRoutes(clock, checks).calls(),
        ]
        self._application.add_routes([call.route() for call in self.calls])

    async def serve(self, stop: asyncio.Event) -> None:
        """Listen until `stop`. Raises: PortTaken."""
        # A caller that hangs up in a long wait must not be given a job: its handler is cancelled.
        runner = web.AppRunner(
            self._application, access_log=None, handler_cancellation=True, shutdown_timeout=SHUTDOWN_S
        )
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._settings.host, self._settings.port)
            try:
                await site.start()
            except OSError as error:
                raise PortTaken(
                    self._settings.host, self._settings.port, error.strerror or str(error)
                ) from None
            self.addresses = [(str(address[0]), int(address[1])) for address in runner.addresses]
            log.info(
                "endpoint: listens on %s",
                " and ".join(f"http://{host}:{port}" for host, port in self.addresses),
            )
            self.listening.set()
            await stop.wait()
            self._queue.dismiss_waiting()
        finally:
            await runner.cleanup()
