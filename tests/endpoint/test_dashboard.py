"""The dashboard: anyone may load the empty page, only a login shows something, and a cookie can do little."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

import bot.endpoint
from bot.endpoint.dashboard import TYPES
from bot.endpoint.sessions import ACTION_HEADER, COOKIE, GOOD_FOR_S, Sessions
from bot.endpoint.worker_keys import KeyFile
from jobqueue.directory import DirectoryQueue
from jobqueue.job import Json, Kind, Progress, WorkerReport
from jobqueue.lifecycle import State
from tests.clock import FakeClock
from tests.endpoint.conftest import KEY, Server

PAGES = Path(bot.endpoint.__path__[0]) / "pages"
ACTION = {ACTION_HEADER: "1"}


@pytest.fixture
async def stranger(server: Server) -> AsyncIterator[aiohttp.ClientSession]:
    async with browser(server) as session:
        yield session


@pytest.fixture
async def person(server: Server) -> AsyncIterator[aiohttp.ClientSession]:
    """A browser that has logged in; it sends no key any more."""
    async with browser(server) as session:
        async with session.post("/login", headers={"X-API-Key": KEY}) as answer:
            assert answer.status == 204
        yield session


@asynccontextmanager
async def browser(server: Server) -> AsyncIterator[aiohttp.ClientSession]:
    jar = aiohttp.CookieJar(unsafe=True)  # of a bare address too
    async with aiohttp.ClientSession(server.make_url("/"), cookie_jar=jar) as session:
        yield session


async def status_of(session: aiohttp.ClientSession, method: str, path: str, **headers: str) -> int:
    async with session.request(method, path, headers=headers) as answer:
        return answer.status


async def overview_of(session: aiohttp.ClientSession) -> dict[str, dict[str, Json]]:
    async with session.get("/overview") as answer:
        assert answer.status == 200
        return await answer.json()  # type: ignore[no-any-return]


async def failed_job(queue: DirectoryQueue, job_id: str) -> None:
    await queue.enqueue(Kind.AUDIO, {"job_id": job_id, "script_text": "x"})
    delivery = await queue.claim(Kind.AUDIO, WorkerReport("gpu-1"), claim_id=job_id)
    assert delivery is not None
    await queue.fail(delivery.claim, "the voice is unusable", permanent=True)


# --- the page


async def test_anyone_may_load_the_page_and_it_says_nothing(
    stranger: aiohttp.ClientSession, queue: DirectoryQueue
) -> None:
    await queue.enqueue(Kind.AUDIO, {"job_id": "secret-job", "script_text": "secret words"})
    async with stranger.get("/") as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
        page = await answer.text()
    assert "secret" not in page
    linked = set(re.findall(r'(?:src|href)="([^"]+)"', page))
    assert linked == {f"/pages/{name}" for name in TYPES if name != "index.html"}
    for name, content_type in TYPES.items():
        path = "/" if name == "index.html" else f"/pages/{name}"
        async with stranger.get(path) as answer:
            assert (answer.status, answer.content_type) == (200, content_type)
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert await answer.read() == (PAGES / name).read_bytes()
            tag = answer.headers["ETag"]
        assert await status_of(stranger, "GET", path, **{"If-None-Match": tag}) == 304
    assert {path.name for path in PAGES.iterdir()} == set(TYPES)


async def test_the_page_runs_only_its_own_script_and_loads_nothing_from_elsewhere(
    stranger: aiohttp.ClientSession,
) -> None:
    async with stranger.get("/") as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy and "*" not in policy
    html, script = (PAGES / "index.html").read_text(), (PAGES / "dashboard.js").read_text()
    assert not re.search(r"<script(?![^>]*\ssrc=)|\son\w+=|style=|https?://", html)
    assert not re.search(
        r"innerHTML\s*=[^=]|insertAdjacentHTML|outerHTML\s*=[^=]|document\.write|eval\(", script
    )


@pytest.mark.parametrize(
    "path", ["/pages/", "/pages/nothing.js", "/pages/..%2fdashboard.py", "/pages/dashboardxjs"]
)
async def test_no_other_file_is_served(http: aiohttp.ClientSession, path: str) -> None:
    assert await status_of(http, "GET", path) == 404


# --- the login


async def test_without_a_login_nothing_is_shown(stranger: aiohttp.ClientSession) -> None:
    for path in ("/overview", "/events", "/metrics", "/queue/audio/jobs"):
        assert await status_of(stranger, "GET", path) == 401
    assert await status_of(stranger, "POST", "/login") == 401
    assert await status_of(stranger, "POST", "/login", **{"X-API-Key": "wrong"}) == 401
    assert await status_of(stranger, "POST", "/logout") == 204


async def test_wrong_keys_at_the_login_are_slowed_down_like_any(stranger: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(20):
        while (status := await status_of(stranger, "POST", "/login", **{"X-API-Key": "a guess"})) == 401:
            pass
    assert status == 429


async def test_the_cookie_is_kept_from_scripts_and_from_other_sites(stranger: aiohttp.ClientSession) -> None:
    async with stranger.post("/login", headers={"X-API-Key": KEY}) as answer:
        cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith(f"{COOKIE}=") and KEY not in cookie
    for part in ("HttpOnly", "SameSite=Strict", "Path=/", f"Max-Age={GOOD_FOR_S}"):
        assert part in cookie
    assert "Secure" not in cookie
    headers = {"X-API-Key": KEY, "X-Forwarded-Proto": "https"}
    async with stranger.post("/login", headers=headers) as answer:
        assert "Secure" in answer.headers["Set-Cookie"]


async def test_a_session_may_look_and_retry_and_nothing_else(
    person: aiohttp.ClientSession, queue: DirectoryQueue
) -> None:
    await failed_job(queue, "j1")
    for path in ("/overview", "/queue/audio/jobs", "/queue/audio/jobs/j1", "/workers/audio", "/metrics"):
        assert await status_of(person, "GET", path) == 200
    for method, path in (
        ("POST", "/queue/audio/jobs"),
        ("POST", "/queue/audio/claim"),
        ("DELETE", "/queue/audio/jobs/j1"),
        ("PATCH", "/queue/audio/jobs/j1"),
        ("PUT", "/files/a/b.wav"),
        ("POST", "/counter/increment/audio"),
        ("POST", "/workers/audio/heartbeat"),
        ("POST", "/login"),
        ("POST", "/nothing/here"),
    ):
        assert await status_of(person, method, path, **ACTION) == 401
    assert (await queue.get(Kind.AUDIO, "j1")).state is State.FAILED
    assert await status_of(person, "POST", "/queue/audio/jobs/j1/retry", **ACTION) == 200
    assert (await queue.get(Kind.AUDIO, "j1")).state is State.PENDING


async def test_a_page_of_another_site_cannot_act_for_a_person(
    person: aiohttp.ClientSession, queue: DirectoryQueue
) -> None:
    await failed_job(queue, "j1")
    # All that such a page can send without asking us first; asking is answered with a refusal.
    assert await status_of(person, "POST", "/queue/audio/jobs/j1/retry") == 401
    asked = {"Origin": "https://evil.example.org", "Access-Control-Request-Method": "POST"}
    async with person.options("/queue/audio/jobs/j1/retry", headers=asked) as answer:
        assert answer.status >= 400
        assert not any(name.startswith("Access-Control") for name in answer.headers)
    assert (await queue.get(Kind.AUDIO, "j1")).state is State.FAILED


async def test_a_session_ends_after_its_time_and_with_logging_out(
    person: aiohttp.ClientSession, clock: FakeClock
) -> None:
    clock.advance(GOOD_FOR_S - 10)
    assert await status_of(person, "GET", "/overview") == 200
    clock.advance(20)
    assert await status_of(person, "GET", "/overview") == 401
    assert await status_of(person, "POST", "/login", **{"X-API-Key": KEY}) == 204
    assert await status_of(person, "GET", "/overview") == 200
    assert await status_of(person, "POST", "/logout") == 204
    assert await status_of(person, "GET", "/overview") == 401


async def test_the_key_of_a_worker_opens_no_dashboard(
    stranger: aiohttp.ClientSession, data_dir: Path, clock: FakeClock
) -> None:
    key = KeyFile(data_dir, clock).add("gpu-1")
    assert await status_of(stranger, "POST", "/login", **{"X-API-Key": key}) == 403
    assert await status_of(stranger, "GET", "/overview", **{"X-API-Key": key}) == 403


async def test_a_forged_cookie_opens_nothing(server: Server, clock: FakeClock) -> None:
    others = [
        Sessions(KEY, "another secret", clock, actions=()).begin(),
        Sessions("another key", "a secret of the tests", clock, actions=()).begin(),
    ]
    later = int(clock.now()) + GOOD_FOR_S
    for cookie in (*others, "", ".", "..", f"{later}.x.", f"{later}..", "x.y.z", f"é{later}.1.2", "9" * 5000):
        headers = {"Cookie": f"{COOKIE}={cookie}"}
        async with aiohttp.ClientSession(server.make_url("/")) as forger:
            assert await status_of(forger, "GET", "/overview", **headers) == 401


def test_a_session_outlives_a_restart_and_not_a_new_key(clock: FakeClock) -> None:
    cookie = Sessions("key", "secret", clock, actions=()).begin()
    assert Sessions("key", "secret", clock, actions=())._is_open(cookie)
    assert not Sessions("new", "secret", clock, actions=())._is_open(cookie)
    number, rest = cookie.split(".", 1)
    assert not Sessions("key", "secret", clock, actions=())._is_open(f"{int(number) + 1}.{rest}")


# --- what it shows


async def test_the_overview_shows_what_a_person_wants_to_know(
    person: aiohttp.ClientSession, queue: DirectoryQueue
) -> None:
    await failed_job(queue, "bad")
    await queue.enqueue(Kind.AUDIO, {"job_id": "now", "script_text": "अब", "channel_code": "BI"})
    working = await queue.claim(Kind.AUDIO, WorkerReport("gpu-1", "busy"), claim_id="c1")
    assert working is not None
    await queue.progress(working.claim, Progress(25, "speaking", 3, 12))
    for number in range(30):
        script = "शब्द " * 100_000 if number == 0 else "x"
        await queue.enqueue(Kind.AUDIO, {"job_id": f"w{number}", "script_text": script})
    await queue.enqueue(Kind.AUDIO, {"job_id": "hurry", "script_text": "x", "priority": 5})
    async with person.get("/overview") as answer:
        assert len(await answer.read()) < 30_000  # whatever the scripts are
        audio = (await answer.json())["audio"]
    assert (audio["stats"]["pending"], audio["stats"]["processing"], audio["stats"]["failed"]) == (31, 1, 1)
    (job,) = audio["working"]
    assert (job["job_id"], job["title"], job["channel"], job["worker_id"]) == ("now", "अब", "BI", "gpu-1")
    assert (job["percent"], job["message"], job["chunk"], job["chunks"]) == (25, "speaking", 3, 12)
    (failed,) = audio["failed"]
    assert (failed["job_id"], failed["reason"]) == ("bad", "the voice is unusable")
    assert [row["job_id"] for row in audio["waiting"]] == ["hurry", *(f"w{number}" for number in range(19))]
    assert [row["position"] for row in audio["waiting"]] == list(range(1, 21))
    assert audio["waiting"][1]["title"].endswith("…")
    assert [worker["worker_id"] for worker in audio["workers"]] == ["gpu-1"]
