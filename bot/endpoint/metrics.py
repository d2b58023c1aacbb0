"""What is counted while the bot works, for Prometheus. Every label has few values, whoever calls."""

import asyncio

from aiohttp import web
from aiohttp.typedefs import Middleware
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

from bot.endpoint.problems import Handler
from jobqueue.clock import Clock
from jobqueue.feed import Change

JOB_BUCKETS_S = (1, 5, 15, 60, 120, 300, 600, 1200, 1800, 3600, 7200)
CALL_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 15, 60)
"""A claim may wait for a minute."""
HUNG_UP = "499"
"""Status of a call whose caller did not wait for the answer; nginx's number for it."""
UNMATCHED = "unmatched"


class Metrics:
    """Counters fed by the feed and by each HTTP call, in a registry of their own."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._events = Counter(
            "scriptreel_job_events", "What happened to jobs", ["kind", "event"], registry=self.registry
        )
        self._job_seconds = Histogram(
            "scriptreel_job_duration_seconds",
            "From the claim of a job to its completion",
            ["kind"],
            buckets=JOB_BUCKETS_S,
            registry=self.registry,
        )
        self._calls = Counter(
            "scriptreel_http_requests", "Calls of the endpoint", ["call", "status"], registry=self.registry
        )
        self._call_seconds = Histogram(
            "scriptreel_http_request_duration_seconds",
            "How long calls took, waiting for a job and bodies included; streams of events are left out",
            ["call"],
            buckets=CALL_BUCKETS_S,
            registry=self.registry,
        )

    def heard(self, change: Change) -> None:
        """Listens on the feed."""
        self._events.labels(change.kind.value, str(change.what)).inc()
        if change.taken_s is not None:
            self._job_seconds.labels(change.kind.value).observe(change.taken_s)

    @property
    def middleware(self) -> Middleware:
        """To be the outermost, so that it sees refusals as they leave."""

        @web.middleware
        async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
            began, call = self._clock.monotonic(), _call_of(request)
            try:
                response = await handler(request)
            except (asyncio.CancelledError, ConnectionError):
                self._calls.labels(call, HUNG_UP).inc()
                raise
            self._calls.labels(call, str(response.status)).inc()
            if response.content_type != "text/event-stream":
                self._call_seconds.labels(call).observe(self._clock.monotonic() - began)
            return response

        return measure


def _call_of(request: web.Request) -> str:
    """The call as a label: never a path or a method that the caller made up."""
    resource = request.match_info.route.resource
    return UNMATCHED if resource is None else f"{request.method} {resource.canonical}"
