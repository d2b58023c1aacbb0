"""`/metrics`: how the bot is doing, for Prometheus."""

import asyncio
import platform
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from aiohttp import web
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from bot.endpoint.calls import Call
from bot.endpoint.loop_lag import LoopLag
from bot.endpoint.metrics import Metrics
from bot.endpoint.openapi import version
from jobqueue.clock import Clock
from jobqueue.directory import DirectoryQueue
from jobqueue.job import Kind
from jobqueue.lifecycle import State

STATUSES = ("online", "busy", "offline")


class MetricsRoutes:
    """One call; what changes by itself is looked up when it is asked for, so that no job pays for it."""

    def __init__(
        self,
        metrics: Metrics,
        queue: DirectoryQueue,
        clock: Clock,
        *,
        lag: LoopLag,
        readers: Callable[[], int],
    ) -> None:
        """`readers`: tells how many streams of events are open."""
        self._metrics = metrics
        self._data_dir = queue.data_dir
        self._now = _Now(queue, clock, lag, readers)
        metrics.registry.register(self._now)

    def calls(self) -> list[Call]:
        return [
            Call(
                "GET",
                "/metrics",
                self.scrape,
                "Figures for Prometheus: as text, or as OpenMetrics if the caller accepts that",
                answer_type="*/*",
            )
        ]

    async def scrape(self, request: web.Request) -> web.Response:
        self._now.free_bytes = await asyncio.to_thread(_free_bytes, self._data_dir)
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._metrics.registry), headers={"Content-Type": content_type})


class _Now(Collector):
    """What is so at this moment."""

    def __init__(self, queue: DirectoryQueue, clock: Clock, lag: LoopLag, readers: Callable[[], int]) -> None:
        self._queue = queue
        self._clock = clock
        self._lag = lag
        self._readers = readers
        self._started_at = clock.monotonic()
        self._version = version()
        self.free_bytes: int | None = None
        """Of the disk; None if it cannot be asked."""

    def describe(self) -> Iterable[Metric]:
        return ()  # else the registry would collect once at the start, only to learn the names

    def collect(self) -> Iterable[Metric]:
        yield from self._of_jobs()
        yield self._of_workers()
        yield _gauge("scriptreel_event_readers", "Open streams of /events", self._readers())
        yield _gauge(
            "scriptreel_event_loop_lag_seconds",
            "The longest that the event loop was late, in the last one to two minutes",
            self._lag.worst_s,
        )
        uptime_s = self._clock.monotonic() - self._started_at
        yield _gauge("scriptreel_uptime_seconds", "Since the bot started", uptime_s)
        if self.free_bytes is not None:
            yield _gauge("scriptreel_disk_free_bytes", "Room where the queue lies", self.free_bytes)
        build = {"version": self._version, "python": platform.python_version()}
        yield InfoMetricFamily("scriptreel_build", "What runs here", value=build)

    def _of_jobs(self) -> Iterable[Metric]:
        jobs = GaugeMetricFamily("scriptreel_jobs", "Jobs in each state", labels=["kind", "state"])
        oldest = GaugeMetricFamily(
            "scriptreel_oldest_pending_seconds",
            "Age of the pending job whose turn is next; 0 if none is pending",
            labels=["kind"],
        )
        for kind in Kind:
            stats = self._queue.stats(kind)
            for state in State:
                jobs.add_metric([kind.value, state.value], _number(stats[state.value]))
            oldest.add_metric([kind.value], _number(stats["oldest_pending_s"]))
        return jobs, oldest

    def _of_workers(self) -> Metric:
        workers = GaugeMetricFamily("scriptreel_workers", "Workers we know", labels=["kind", "status"])
        for kind in Kind:
            counts = Counter(member["status"] for member in self._queue.roster.members(kind))
            for status in STATUSES:
                workers.add_metric([kind.value, status], counts[status])
        return workers


def _gauge(name: str, says: str, value: float) -> Metric:
    return GaugeMetricFamily(name, says, value=value)


def _number(value: object) -> float:
    return value if isinstance(value, int | float) else 0


def _free_bytes(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None
