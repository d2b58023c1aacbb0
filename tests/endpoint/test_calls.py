"""The endpoint's calls: what they answer, and what they refuse."""

import asyncio
import base64
import hashlib
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from yarl import URL

from bot.publishing.links import GOOD_FOR_S, SignedLinks
from jobqueue.directory import DirectoryQueue
from jobqueue.job import Json, Kind
from jobqueue.lifecycle import State
from tests.clock import FakeClock
from tests.endpoint.conftest import KEY, Server


async def call(http: aiohttp.ClientSession, method: str, path: str, **more: object) -> tuple[int, Json]:
    async with http.request(method, path, **more) as answer:  # type: ignore[arg-type]
        body: Json = await answer.json()
        if answer.status >= 400:
            assert answer.content_type == "application/problem+json"
            assert isinstance(body, dict) and body["status"] == answer.status and body["detail"]
        return answer.status, body


async def enqueue(http: aiohttp.ClientSession, job_id: str, **fields: object) -> None:
    status, _ = await call(
        http, "POST", "/queue/audio/jobs", json={"job_id": job_id, "script_text": "x", **fields}
    )
    assert status == 201


async def claim(http: aiohttp.ClientSession, **more: object) -> dict[str, Json]:
    status, body = await call(http, "POST", "/queue/audio/claim", json={"worker_id": "gpu-1", **more})
    assert status == 200 and isinstance(body, dict)
    job = body["job"]
    assert isinstance(job, dict)
    return job


# --- keys


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": ""},
        {"X-API-Key": "wrong"},
        {"Authorization": "Bearer wrong"},
        {"X-API-Key": "schlüssel"},
    ],
)
async def test_nothing_is_learned_without_the_key(server: Server, headers: dict[str, str]) -> None:
    async with aiohttp.ClientSession(server.make_url("/"), headers=headers) as stranger:
        for method, path in (
            ("POST", "/queue/audio/jobs"),
            ("POST", "/queue/audio/claim"),
            ("GET", "/queue/audio/jobs"),
            ("GET", "/queue/audio/jobs/j1"),
            ("GET", "/workers/audio"),
            ("PUT", "/files/a/b.wav"),
            ("GET", "/files/a/b.wav"),
            ("GET", "/files/a/"),
            ("POST", "/counter/increment/audio"),
            ("GET", "/nothing/here"),
        ):
            assert (await call(stranger, method, path))[0] == 401


async def test_the_key_is_taken_in_either_header(server: Server) -> None:
    for headers in (
        {"X-API-Key": KEY},
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": f"bearer {KEY}"},
    ):
        async with aiohttp.ClientSession(server.make_url("/"), headers=headers) as http:
            assert (await call(http, "GET", "/queue/audio/stats"))[0] == 200


async def test_health_needs_no_key_and_tells_no_secret(server: Server) -> None:
    async with aiohttp.ClientSession(server.make_url("/")) as stranger:
        status, body = await call(stranger, "GET", "/health")
    assert status == 200 and isinstance(body, dict)
    assert (body["status"], body["reasons"]) == ("ok", [])


# --- jobs


async def test_an_accepted_job_is_on_disk_before_the_answer(
    http: aiohttp.ClientSession, data_dir: Path
) -> None:
    status, body = await call(http, "POST", "/queue/audio/jobs", json={"script_text": "नमस्ते"})
    assert status == 201 and isinstance(body, dict) and body["status"] == "pending"
    written = json.loads((data_dir / f"audio-queue/pending/{body['job_id']}.json").read_text())
    assert written["script_text"] == "नमस्ते"


async def test_an_idempotency_key_makes_a_repeat_return_the_first(http: aiohttp.ClientSession) -> None:
    answers = [
        await call(
            http, "POST", "/queue/audio/jobs", json={"script_text": "x"}, headers={"Idempotency-Key": key}
        )
        for key in ("a", "a", "b")
    ]
    ids = [body["job_id"] for _, body in answers if isinstance(body, dict)]
    assert ids[0] == ids[1] != ids[2]
    status, _ = await call(
        http, "POST", "/queue/audio/jobs", json={"script_text": "x"}, headers={"Idempotency-Key": "a" * 300}
    )
    assert status == 400


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'"text"', "application/json", 400),
        (b'{"priority": NaN, "script_text": "x"}', "application/json", 400),
        (b'{"priority": 1e999, "script_text": "x"}', "application/json", 400),
        (b'{"created_at": "0001-01-01T00:00:00+14:00", "script_text": "x"}', "application/json", 422),
        (b"[" * 100_000, "application/json", 400),
        (b"script_text=x", "application/x-www-form-urlencoded", 415),
        (b'{"script_text": ""}', "application/json", 422),
        (b'{"script_text": "x", "priority": "high"}', "application/json", 422),
        (b'{"script_text": "' + b"x" * (1 << 20) + b'"}', "application/json", 413),
    ],
)
async def test_a_malformed_body_gets_its_status_and_a_sentence(
    http: aiohttp.ClientSession, body: bytes, content_type: str, status: int
) -> None:
    got, _ = await call(
        http, "POST", "/queue/audio/jobs", data=io.BytesIO(body), headers={"Content-Type": content_type}
    )
    assert got == status


async def test_a_refused_field_is_named(http: aiohttp.ClientSession) -> None:
    _, body = await call(http, "POST", "/queue/audio/claim", json={"worker_id": "UPPER", "wait": 1000})
    assert isinstance(body, dict) and isinstance(body["errors"], dict)
    assert set(body["errors"]) == {"worker_id", "wait"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/queue/music/jobs", 404),
        ("GET", "/queue/audio/jobs/unknown", 404),
        ("GET", "/queue/audio/jobs/..%2f..%2fetc", 404),
        ("DELETE", "/queue/audio/jobs/unknown", 404),
        ("POST", "/queue/audio/jobs/unknown/retry", 404),
        ("GET", "/queue/audio/jobs/unknown/logs", 404),
        ("PUT", "/queue/audio/jobs", 405),
        ("GET", "/queue/audio/jobs?limit=0", 400),
        ("GET", "/queue/audio/jobs?limit=many", 400),
        ("GET", "/queue/audio/jobs?limit=1e9", 400),
        ("GET", "/queue/audio/jobs?limit=000001999999", 400),
        ("GET", f"/queue/audio/jobs?limit=000001{'9' * 5000}", 400),
        ("GET", "/queue/audio/jobs?cursor=x", 400),
        ("GET", "/queue/audio/jobs?status=lost", 400),
    ],
)
async def test_what_is_not_there_is_said_so(
    http: aiohttp.ClientSession, method: str, path: str, status: int
) -> None:
    assert (await call(http, method, path))[0] == status


async def test_a_job_is_shown_with_state_place_and_progress(http: aiohttp.ClientSession) -> None:
    await enqueue(http, "j1")
    await enqueue(http, "j2")
    _, waiting = await call(http, "GET", "/queue/audio/jobs/j2")
    assert isinstance(waiting, dict) and (waiting["status"], waiting["position"]) == ("pending", 2)
    job = await claim(http)
    progress = {"percent": 25, "message": "speaking", "chunk": 3, "chunks": 12}
    status, answer = await call(
        http,
        "POST",
        "/queue/audio/jobs/j1/progress",
        json={"worker_id": "gpu-1", "claim_token": job["claim_token"], **progress},
    )
    assert (status, answer) == (200, {"cancel": False, "lease_s": 90})
    _, working = await call(http, "GET", "/queue/audio/jobs/j1")
    assert isinstance(working, dict) and (working["status"], working["progress"]) == ("processing", progress)


async def test_lists_come_in_pages_that_link_to_the_next(http: aiohttp.ClientSession) -> None:
    for number in range(5):
        await enqueue(http, f"j{number}", channel_code="BI" if number % 2 else "JM")
    found, path = [], "/queue/audio/jobs?limit=2&status=pending"
    while path:
        async with http.get(path) as answer:
            found += [job["job_id"] for job in await answer.json()]
            path = URL(answer.links["next"]["url"]).path_qs if "next" in answer.links else ""
    assert found == [f"j{number}" for number in range(5)]
    _, some = await call(http, "GET", "/queue/audio/jobs?channel=BI")
    assert isinstance(some, list) and len(some) == 2


async def test_a_stale_or_foreign_holder_gets_409(http: aiohttp.ClientSession) -> None:
    await enqueue(http, "j1")
    job = await claim(http)
    for body in (
        {"worker_id": "gpu-2"},
        {"worker_id": "gpu-1", "claim_token": "1.forged"},
        {"worker_id": "gpu-2", "claim_token": job["claim_token"]},
    ):
        for what in ("complete", "fail", "release", "progress"):
            status, _ = await call(http, "POST", f"/queue/audio/jobs/j1/{what}", json={"percent": 1, **body})
            assert status == 409
    status, _ = await call(http, "DELETE", "/queue/audio/jobs/j1")
    assert status == 200
    assert (await call(http, "DELETE", "/queue/audio/jobs/j1"))[0] == 409


async def test_people_can_cancel_retry_and_hurry_a_job(http: aiohttp.ClientSession) -> None:
    await enqueue(http, "j1")
    assert (await call(http, "PATCH", "/queue/audio/jobs/j1", json={"priority": 7}))[0] == 200
    assert (await call(http, "PATCH", "/queue/audio/jobs/j1", json={"priority": "high"}))[0] == 422
    _, body = await call(http, "DELETE", "/queue/audio/jobs/j1")
    assert isinstance(body, dict) and (body["status"], body["priority"]) == ("cancelled", 7)
    _, body = await call(http, "POST", "/queue/audio/jobs/j1/retry")
    assert isinstance(body, dict) and body["status"] == "pending"
    _, lines = await call(http, "GET", "/queue/audio/jobs/j1/logs")
    assert isinstance(lines, list) and len(lines) == 4


async def test_a_claim_waits_for_a_job_and_gets_it_at_once(http: aiohttp.ClientSession) -> None:
    waiting = asyncio.ensure_future(claim(http, wait=30, claim_id="c1"))
    await asyncio.sleep(0.1)
    await enqueue(http, "j1")
    async with asyncio.timeout(1):
        assert (await waiting)["job_id"] == "j1"


async def test_a_caller_that_hung_up_is_given_no_job(
    http: aiohttp.ClientSession, server: Server, queue: DirectoryQueue
) -> None:
    async with aiohttp.ClientSession(server.make_url("/"), headers={"X-API-Key": KEY}) as gone:
        waiting = asyncio.ensure_future(
            gone.post("/queue/audio/claim", json={"worker_id": "gone", "wait": 60})
        )
        while not queue.roster.online(Kind.AUDIO):
            await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.wait({waiting})
    await asyncio.sleep(0.1)
    await enqueue(http, "j1")
    view = await queue.get(Kind.AUDIO, "j1")
    assert (view.state, view.job.retry_count) == (State.PENDING, 0)


async def test_workers_are_listed_as_they_reported(http: aiohttp.ClientSession) -> None:
    await call(
        http,
        "POST",
        "/workers/audio/heartbeat",
        json={"worker_id": "gpu-1", "status": "busy", "gpu_model": "RTX 4090"},
    )
    _, workers = await call(http, "GET", "/workers/audio")
    assert isinstance(workers, list) and isinstance(workers[0], dict)
    assert (workers[0]["worker_id"], workers[0]["gpu_model"], workers[0]["status"]) == (
        "gpu-1",
        "RTX 4090",
        "busy",
    )
    status, _ = await call(
        http, "POST", "/workers/audio/heartbeat", json={"worker_id": "../x", "status": "busy"}
    )
    assert status == 422


# --- files


async def test_a_file_comes_back_as_it_went_in_also_in_part(
    http: aiohttp.ClientSession, data_dir: Path
) -> None:
    data = bytes(range(256)) * 4096
    digest = hashlib.sha256(data)
    headers = {"Content-Digest": f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"}
    status, body = await call(
        http, "PUT", "/files/2025-01-27/BI/video_1/audio.wav", data=data, headers=headers
    )
    assert status == 201
    assert body == {
        "path": "2025-01-27/BI/video_1/audio.wav",
        "size_bytes": len(data),
        "sha256": digest.hexdigest(),
    }
    async with http.get("/files/2025-01-27/BI/video_1/audio.wav") as answer:
        assert await answer.read() == data
    async with http.get(
        "/files/2025-01-27/BI/video_1/audio.wav", headers={"Range": "bytes=256-511"}
    ) as answer:
        assert (answer.status, await answer.read()) == (206, bytes(range(256)))
    assert await call(http, "GET", "/files/2025-01-27/BI/video_1/") == (
        200,
        {"files": {"audio.wav": len(data)}},
    )
    assert list((data_dir / "tmp").iterdir()) == []


async def test_a_damaged_upload_leaves_what_was_there(http: aiohttp.ClientSession, data_dir: Path) -> None:
    await call(http, "PUT", "/files/a/b.wav", data=b"first")
    wrong = hashlib.sha256(b"something else").hexdigest()
    status, _ = await call(http, "PUT", "/files/a/b.wav", data=b"second", headers={"X-Content-SHA256": wrong})
    assert status == 422
    assert (data_dir / "files/a/b.wav").read_bytes() == b"first"
    status, _ = await call(http, "PUT", "/files/a/b.wav", data=b"second", headers={"X-Content-SHA256": "zz"})
    assert status == 400
    assert list((data_dir / "tmp").iterdir()) == []


async def test_an_upload_that_breaks_off_leaves_nothing(server: Server, data_dir: Path) -> None:
    _, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(
        b"PUT /files/a/b.wav HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
        + f"X-API-Key: {KEY}\r\n\r\n".encode()
        + b"x" * 5000
    )
    await writer.drain()
    while not list((data_dir / "tmp").iterdir()):
        await asyncio.sleep(0.01)
    writer.close()
    await writer.wait_closed()
    async with asyncio.timeout(5):
        while list((data_dir / "tmp").iterdir()):
            await asyncio.sleep(0.01)
    assert not (data_dir / "files/a").exists()


@pytest.mark.parametrize(
    "path",
    [
        "..%2f..%2fsecret",
        "a/..%2f..%2f..%2fsecret",
        "%2fetc%2fpasswd",
        "a%00b",
        ".hidden",
        "a/.hidden",
        "a//b",
        "a%5cb",
        "x" * 300,
        "%e2%80%aeb",
    ],
)
async def test_a_path_cannot_leave_the_folder(http: aiohttp.ClientSession, server: Server, path: str) -> None:
    url = URL(f"/files/{path}", encoded=True)
    for method in ("PUT", "GET"):
        async with http.request(method, url, data=b"x" if method == "PUT" else None) as answer:
            assert answer.status in (400, 404), await answer.text()


async def test_a_file_cannot_take_the_place_of_a_folder(http: aiohttp.ClientSession) -> None:
    await call(http, "PUT", "/files/a/b.wav", data=b"x")
    assert (await call(http, "PUT", "/files/a", data=b"x"))[0] == 400
    assert (await call(http, "PUT", "/files/a/b.wav/c", data=b"x"))[0] == 400


async def test_a_body_that_is_not_what_it_says_is_refused(http: aiohttp.ClientSession) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert (await call(http, "POST", "/queue/audio/jobs", data=b"{}", headers=headers))[0] == 400


async def test_a_link_planted_in_the_folder_leads_nowhere(
    http: aiohttp.ClientSession, data_dir: Path
) -> None:
    (data_dir / "files" / "out").symlink_to(data_dir)
    assert (await call(http, "GET", "/files/out/secret"))[0] == 400
    assert (await call(http, "PUT", "/files/out/api_key", data=b"x"))[0] == 400


async def test_a_signed_link_opens_one_file_for_a_week(
    http: aiohttp.ClientSession, server: Server, links: SignedLinks, clock: FakeClock
) -> None:
    await call(http, "PUT", "/files/a/वीडियो 1.mp4", data=b"video")
    await call(http, "PUT", "/files/a/other.mp4", data=b"other")
    link = links.for_file("a/वीडियो 1.mp4")
    assert link is not None
    path = link.removeprefix("https://videos.example.org")
    async with aiohttp.ClientSession(server.make_url("/")) as stranger:
        async with stranger.get(URL(path, encoded=True)) as answer:
            assert (answer.status, await answer.read()) == (200, b"video")
        query = path.partition("?")[2]
        assert (await call(stranger, "GET", f"/files/a/other.mp4?{query}"))[0] == 401
        assert (await call(stranger, "PUT", path, data=b"x"))[0] == 401
        clock.advance(GOOD_FOR_S + 1)
        async with stranger.get(URL(path, encoded=True)) as answer:
            assert answer.status == 401


# --- parts of files, and versions of them


async def fetch(
    http: aiohttp.ClientSession, headers: dict[str, str], path: str = "/files/movie.mp4"
) -> tuple[int, bytes, Mapping[str, str]]:
    async with http.get(path, headers=headers) as answer:
        if answer.status >= 400:
            problem = await answer.json(content_type="application/problem+json")
            assert problem["status"] == answer.status and problem["detail"]
        return answer.status, await answer.read(), answer.headers


@pytest.mark.parametrize(
    ("asked", "status", "found"),
    [
        ("bytes=0-3", 206, b"0123"),
        ("Bytes=2-", 206, b"23456789"),
        ("bytes=-3", 206, b"789"),
        ("bytes=-99", 206, b"0123456789"),
        ("bytes=8-99999999999999999999", 206, b"89"),
        ("bytes=0-1,3-4", 200, b"0123456789"),
        ("items=0-1", 200, b"0123456789"),
        ("bytes=5-2", 200, b"0123456789"),
        ("bytes=-", 200, b"0123456789"),
        ("bytes=٣-٤", 200, b"0123456789"),
        ("bytes=" + "9" * 5000 + "-", 200, b"0123456789"),
        ("bytes=10-", 416, None),
        ("bytes=-0", 416, None),
    ],
)
async def test_a_part_is_sent_as_asked_and_an_odd_wish_gets_the_whole_file(
    http: aiohttp.ClientSession, asked: str, status: int, found: bytes | None
) -> None:
    await call(http, "PUT", "/files/movie.mp4", data=b"0123456789")
    got, data, headers = await fetch(http, {"Range": asked})
    assert got == status
    if found is None:
        assert headers["Content-Range"] == "bytes */10"
    else:
        assert data == found
    async with http.head("/files/movie.mp4", headers={"Range": asked}) as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, "10")


async def test_no_part_of_an_empty_file_can_be_had(http: aiohttp.ClientSession) -> None:
    await call(http, "PUT", "/files/movie.mp4", data=b"")
    assert (await fetch(http, {"Range": "bytes=0-"}))[0] == 416
    assert (await fetch(http, {}))[:2] == (200, b"")


async def test_a_download_that_goes_on_never_joins_two_versions(
    http: aiohttp.ClientSession, data_dir: Path
) -> None:
    place = data_dir / "files/movie.mp4"
    await call(http, "PUT", "/files/movie.mp4", data=b"A" * 1000)
    os.utime(place, (1e9, 1e9))
    _, _, old = await fetch(http, {})
    for named in (old["ETag"], old["Last-Modified"]):
        status, data, _ = await fetch(http, {"Range": "bytes=500-", "If-Range": named})
        assert (status, data) == (206, b"A" * 500)
    await call(http, "PUT", "/files/movie.mp4", data=b"B" * 1000)
    os.utime(place, (1e9 - 5, 1e9 - 5))  # an older date is another version as well
    _, _, new = await fetch(http, {})
    for named in (old["ETag"], old["Last-Modified"], f"W/{new['ETag']}", "yesterday", "*"):
        status, data, _ = await fetch(http, {"Range": "bytes=500-", "If-Range": named})
        assert (status, data) == (200, b"B" * 1000), named
        # Nor is a part that the new one has not a reason to refuse.
        assert (await fetch(http, {"Range": "bytes=5000-", "If-Range": named}))[0] == 200


async def test_a_file_replaced_in_the_moment_before_it_is_opened_is_not_sent_in_part(
    http: aiohttp.ClientSession, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await call(http, "PUT", "/files/movie.mp4", data=b"A" * 1000)
    prepare = web.FileResponse.prepare

    async def late(self: web.FileResponse, request: web.BaseRequest) -> AbstractStreamWriter | None:
        (data_dir / "files/movie.mp4").write_bytes(b"B" * 1001)
        return await prepare(self, request)

    monkeypatch.setattr(web.FileResponse, "prepare", late)
    with pytest.raises(aiohttp.ClientConnectionError):
        await http.get("/files/movie.mp4", headers={"Range": "bytes=500-"})


async def test_what_a_caller_knows_of_a_file_is_minded(http: aiohttp.ClientSession, data_dir: Path) -> None:
    await call(http, "PUT", "/files/movie.mp4", data=b"0123456789")
    await call(http, "PUT", "/files/movie.mp4.gz", data=b"somebody else's")
    os.utime(data_dir / "files/movie.mp4", (1e9, 1e9))
    before = {"If-Unmodified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"}
    _, data, known = await fetch(http, {"Accept-Encoding": "gzip"})
    tag, day = known["ETag"], known["Last-Modified"]
    assert (data, "Content-Encoding" in known) == (b"0123456789", False)
    for headers in ({"If-None-Match": tag}, {"If-None-Match": f"W/{tag}"}, {"If-Modified-Since": day}):
        status, data, told = await fetch(http, {**headers, "Range": "bytes=99-"})
        assert (status, data, told["ETag"]) == (304, b"", tag)
    for headers in ({"If-Match": '"other"'}, {"If-Match": f"W/{tag}"}, before):
        assert (await fetch(http, headers))[0] == 412
    for headers in ({"If-Match": tag}, {"If-Match": f'"other", {tag}'}, {"If-Match": tag, **before}):
        assert (await fetch(http, {**headers, "Range": "bytes=0-1"}))[:2] == (206, b"01")
    assert (await fetch(http, {"If-None-Match": '"other"', "If-Modified-Since": day}))[0] == 200
