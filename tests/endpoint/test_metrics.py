"""`/metrics`: the figures Prometheus reads are the queue's own, and their number is bounded."""

import asyncio
import time
from collections.abc import Mapping

import aiohttp
import pytest
from aiohttp import web
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families

from bot.endpoint.loop_lag import LoopLag
from jobqueue.directory import DirectoryQueue
from jobqueue.job import Kind, Progress, WorkerReport
from tests.clock import FakeClock
from tests.endpoint.conftest import KEY, Server


class Figures:
    """One scrape."""

    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self.samples = [sample for family in self.families.values() for sample in family.samples]

    def value(self, name: str, **labels: str) -> float:
        found = [one.value for one in self.samples if one.name == name and _has(one.labels, labels)]
        assert len(found) == 1, (name, labels, found)
        return float(found[0])


def _has(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(labels.get(name) == value for name, value in wanted.items())


async def scrape(http: aiohttp.ClientSession) -> Figures:
    async with http.get("/metrics") as answer:
        assert (answer.status, answer.content_type) == (200, "text/plain")
        return Figures(await answer.text())


async def test_the_figures_are_those_of_the_queue(
    http: aiohttp.ClientSession, queue: DirectoryQueue, clock: FakeClock
) -> None:
    for number in range(5):
        await queue.enqueue(Kind.AUDIO, {"job_id": f"j{number}", "script_text": "x"})
    done = await queue.claim(Kind.AUDIO, WorkerReport("gpu-1"), claim_id="c1")
    assert done is not None
    await queue.progress(done.claim, Progress(50))
    clock.advance(40)
    await queue.complete(done.claim, {})
    failed = await queue.claim(Kind.AUDIO, WorkerReport("gpu-1", "busy"), claim_id="c2")
    assert failed is not None
    await queue.fail(failed.claim, "no", permanent=True)
    await queue.claim(Kind.AUDIO, WorkerReport("gpu-1", "busy"), claim_id="c3")
    figures = await scrape(http)
    states = ("pending", "processing", "completed", "failed", "cancelled")
    counts = [figures.value("scriptreel_jobs", kind="audio", state=state) for state in states]
    assert counts == [2, 1, 1, 1, 0]
    assert figures.value("scriptreel_jobs", kind="video", state="pending") == 0
    assert figures.value("scriptreel_oldest_pending_seconds", kind="audio") == 40
    assert figures.value("scriptreel_job_events_total", kind="audio", event="enqueue") == 5
    assert figures.value("scriptreel_job_events_total", kind="audio", event="claim") == 3
    assert figures.value("scriptreel_job_events_total", kind="audio", event="give up") == 1
    assert figures.value("scriptreel_job_duration_seconds_count", kind="audio") == 1
    assert figures.value("scriptreel_job_duration_seconds_sum", kind="audio") == 40
    assert figures.value("scriptreel_workers", kind="audio", status="busy") == 1
    assert figures.value("scriptreel_workers", kind="video", status="online") == 0
    assert figures.value("scriptreel_uptime_seconds") == 40
    assert figures.value("scriptreel_disk_free_bytes") > 0
    assert figures.value("scriptreel_event_loop_lag_seconds") >= 0
    assert figures.value("scriptreel_build_info", version="0.1.0") == 1
    assert figures.families["scriptreel_jobs"].type == "gauge"
    assert figures.families["scriptreel_job_events"].type == "counter"


async def test_calls_are_counted_by_their_template_whatever_was_asked_for(
    http: aiohttp.ClientSession, server: Server
) -> None:
    for number in range(50):
        async with http.get(f"/queue/audio/jobs/job-{number}") as answer:
            assert answer.status == 404
        async with http.get(f"/there/is/nothing/{number}"):
            pass
        async with http.request(f"METHOD{number}", "/queue/audio/jobs"):
            pass
    async with aiohttp.ClientSession(server.make_url("/")) as stranger, stranger.get("/queue/audio/stats"):
        pass
    figures = await scrape(http)
    job = "GET /queue/{kind}/jobs/{job_id}"
    assert figures.value("scriptreel_http_requests_total", call=job, status="404") == 50
    assert figures.value("scriptreel_http_requests_total", call="GET /queue/{kind}/stats", status="401") == 1
    calls = {one.labels["call"] for one in figures.samples if "call" in one.labels}
    assert calls == {job, "GET /queue/{kind}/stats", "unmatched"}


async def test_open_streams_are_counted_and_not_timed(http: aiohttp.ClientSession) -> None:
    async with http.get("/events", timeout=aiohttp.ClientTimeout(total=None)) as stream:
        await stream.content.readuntil(b"\n\n")
        assert (await scrape(http)).value("scriptreel_event_readers") == 1
    async with asyncio.timeout(5):
        while (figures := await scrape(http)).value("scriptreel_event_readers"):
            await asyncio.sleep(0.01)
    assert figures.value("scriptreel_http_requests_total", call="GET /events", status="499") == 1
    timed = {one.labels.get("call") for one in figures.samples if one.name.endswith("duration_seconds_count")}
    assert "GET /events" not in timed


async def test_a_scraper_may_ask_for_openmetrics_and_use_a_bearer_token(server: Server) -> None:
    wanted = {"Accept": "application/openmetrics-text; version=1.0.0", "Authorization": f"Bearer {KEY}"}
    async with (
        aiohttp.ClientSession(server.make_url("/"), headers=wanted) as prometheus,
        prometheus.get("/metrics") as answer,
    ):
        assert (answer.status, answer.content_type) == (200, "application/openmetrics-text")
        families = {family.name for family in open_families(await answer.text())}  # type: ignore[no-untyped-call]
    assert {"scriptreel_jobs", "scriptreel_job_events"} <= families


async def test_nobody_reads_the_figures_without_the_key(server: Server) -> None:
    async with aiohttp.ClientSession(server.make_url("/")) as stranger, stranger.get("/metrics") as answer:
        assert answer.status == 401


async def test_what_blocks_the_loop_is_seen() -> None:
    lag = LoopLag()
    watching = lag.watched(web.Application())
    await anext(watching)
    await asyncio.sleep(0)
    time.sleep(0.6)  # what nobody may do here
    await asyncio.sleep(0.05)
    assert lag.worst_s > 0.25
    with pytest.raises(StopAsyncIteration):
        await anext(watching)
