"""The endpoint: the aiohttp application that workers and other programs speak to."""

import asyncio
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from aiohttp import web

from bot.endpoint.audit import Audit
from bot.endpoint.bodies import BODY_MAX_BYTES
from bot.endpoint.callers import WorkerRights
from bot.endpoint.calls import Call
from bot.endpoint.claim_routes import ClaimRoutes
from bot.endpoint.connections import ConnectionLimits, ConnectionRunner, keep_known
from bot.endpoint.dashboard import ACTIONS, DashboardRoutes
from bot.endpoint.descriptors import connections_max
from bot.endpoint.event_routes import EventRoutes
from bot.endpoint.expectations import expectations
from bot.endpoint.file_routes import FileRoutes
from bot.endpoint.health_routes import Check, HealthRoutes
from bot.endpoint.keys import KeyCheck, ServedCalls
from bot.endpoint.loop_lag import LoopLag
from bot.endpoint.metrics import Metrics
from bot.endpoint.metrics_routes import MetricsRoutes
from bot.endpoint.openapi import SpecRoutes
from bot.endpoint.pause_routes import PauseRoutes
from bot.endpoint.problems import as_problems
from bot.endpoint.queue_routes import QueueRoutes
from bot.endpoint.request_ids import put_request_id, with_request_id
from bot.endpoint.seldom import FewAcceptErrors
from bot.endpoint.sessions import Sessions
from bot.endpoint.upload_routes import UploadRoutes
from bot.endpoint.worker_keys import KeyFile, WorkerKeys
from bot.endpoint.worker_routes import WorkerRoutes
from bot.endpoint.wrong_keys import WrongKeys
from bot.publishing.links import SignedLinks
from jobqueue.clock import Clock
from jobqueue.directory import DirectoryQueue
from jobqueue.history import History

log = logging.getLogger(__name__)

SHUTDOWN_S = 3.0


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """Where it listens, and its key."""

    host: str
    port: int
    key: str
    lease_s: float
    session_secret: str = field(default_factory=secrets.token_hex, repr=False)
    """Signs the dashboard's sessions; without one they last as long as the process."""
    limits: ConnectionLimits = field(default_factory=lambda: ConnectionLimits(connections_max()))


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
        served, metrics, lag = ServedCalls(), Metrics(clock), LoopLag()
        sessions = Sessions(settings.key, settings.session_secret, clock, actions=ACTIONS)
        worker_keys = WorkerKeys(KeyFile(queue.data_dir, clock))
        key_check = KeyCheck(
            settings.key,
            worker_keys=worker_keys,
            links=links,
            calls=served,
            rights=WorkerRights(queue, worker_keys),
            wrong_keys=WrongKeys(clock),
            sessions=sessions,
        )
        self._audit = Audit(queue.data_dir, clock)
        self.application = web.Application(
            middlewares=[
                metrics.middleware,
                with_request_id,
                self._audit.middleware(served),
                as_problems,
                key_check.middleware,
                keep_known,
                expectations(served),
            ],
            client_max_size=BODY_MAX_BYTES,
        )
        self.application.on_response_prepare.append(put_request_id)
        self.application.cleanup_ctx.append(lag.watched)
        spec = SpecRoutes()
        history = History(clock)
        queue.feed.listen(history.heard)
        queue.feed.listen(metrics.heard)
        self._events = events = EventRoutes(history)
        self.calls: list[Call] = [
            *QueueRoutes(queue, queue.counters).calls(),
            *ClaimRoutes(queue, settings.lease_s).calls(),
            *WorkerRoutes(queue).calls(),
            *PauseRoutes(queue).calls(),
            *FileRoutes(queue.storage).calls(),
            *UploadRoutes(queue.uploads).calls(),
            *HealthRoutes(clock, checks).calls(),
            *events.calls(),
            *MetricsRoutes(metrics, queue, clock, lag=lag, readers=lambda: events.readers).calls(),
            *DashboardRoutes(queue, sessions).calls(),
            *spec.calls(),
        ]
        spec.describe(self.calls)
        served.add(self.application.router, self.calls)

    async def serve(self, stop: asyncio.Event) -> None:
        """Listen until `stop`. Raises: PortTaken."""
        runner = ConnectionRunner(self.application, self._settings.limits, shutdown_s=SHUTDOWN_S)
        few_errors = FewAcceptErrors()
        logging.getLogger("asyncio").addFilter(few_errors)
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
            await self._audit.keep(stop)
            self._queue.dismiss_waiting()
        finally:
            self._events.close()
            await runner.cleanup()
            await self._audit.flush(is_last=True)
            logging.getLogger("asyncio").removeFilter(few_errors)
