"""What nobody should send: every odd request gets a clear refusal, and the connection stays usable."""

import asyncio
import gzip
import json
import tracemalloc
from collections.abc import Iterator

import aiohttp
import pytest
from yarl import URL

from jobqueue.directory import DirectoryQueue
from jobqueue.errors import QueueUnwritable
from jobqueue.job import Kind
from tests.endpoint.conftest import KEY, Server

JSON = {"Content-Type": "application/json"}
DEEP = '{"script_text": "x", "odd": ' + "[" * 150 + "]" * 150 + "}"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ('{"script_text": "x", "script_text": "y"}', 400, "names 'script_text' twice"),
        ('{"script_text": "x", "profile": {"a": 1, "a": 2}}', 400, "names 'a' twice"),
        (DEEP, 400, "nested deeper"),
        ('{"script_text": "x", "priority": 1.5}', 422, "priority"),
        ('{"script_text": "x", "profile": {"priority": "high"}}', 422, "profile"),
        ('{"script_text": "x", "profile": {"chat_id": {}}}', 422, "profile"),
        ('{"script_text": "x", "audio_counter": "many"}', 422, "audio_counter"),
        ('{"script_text": "x", "date": "2025-W05-1"}', 422, "date"),
        ('{"script_text": "x", "chat_id": "१२३"}', 422, "chat_id"),
    ],
)
async def test_an_odd_job_is_refused_in_words(
    http: aiohttp.ClientSession, body: str, status: int, said: str
) -> None:
    async with http.post("/queue/audio/jobs", data=body.encode(), headers=JSON) as answer:
        assert (answer.status, said in (await answer.json())["detail"]) == (status, True)


async def test_a_job_with_odd_but_lawful_json_is_kept_as_it_is(http: aiohttp.ClientSession) -> None:
    odd = {
        "job_id": "odd",
        "script_text": "a\x00b",
        "big": 10**300,
        "": {"\u2028": [None]},
        "position": "mine",
    }
    async with http.post("/queue/audio/jobs", json={**odd, "priority": 7.0}) as answer:
        assert answer.status == 201
    async with http.get("/queue/audio/jobs/odd") as answer:
        shown = await answer.json()
    assert {name: shown[name] for name in odd} == {
        **odd,
        "position": 1,
    }  # what we say goes before what it says
    assert shown["priority"] == 7


async def test_half_a_character_does_not_cost_the_whole_script(http: aiohttp.ClientSession) -> None:
    body = b'{"job_id": "cut", "script_text": "caf\\u00e9 \\ud83d\\ude00 \\ud83d"}'
    for _ in range(2):  # the second time it is the same job
        async with http.post("/queue/audio/jobs", data=body, headers=JSON) as answer:
            assert answer.status == 201
    async with http.get("/queue/audio/jobs/cut") as answer:
        assert (await answer.json())["script_text"] == "café 😀 ?"


async def test_a_body_of_very_many_names_is_refused_quickly(http: aiohttp.ClientSession) -> None:
    body = "{" + ",".join(f'"{number}": 0' for number in range(90_000)) + ', "0": 1}'
    async with asyncio.timeout(2), http.post("/queue/audio/jobs", data=body.encode(), headers=JSON) as answer:
        assert answer.status == 400


async def test_numbers_written_as_text_are_refused(http: aiohttp.ClientSession) -> None:
    async with http.post("/queue/audio/claim", json={"worker_id": "gpu-1", "wait": "5"}) as answer:
        assert (answer.status, list((await answer.json())["errors"])) == (422, ["wait"])


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "0"}])
async def test_a_claim_without_a_body_is_told_what_is_missing(
    http: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    async with http.post("/queue/audio/claim", headers=headers) as answer:
        assert (answer.status, list((await answer.json())["errors"])) == (422, ["worker_id"])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("OPTIONS", "/queue/audio/jobs", 405),
        ("TRACE", "/health", 405),
        ("GET", f"/queue/audio/jobs/{'x' * 7000}", 404),
        ("GET", "/queue/audio/jobs/%zz", 404),
        ("GET", "/queue/audio/jobs/%ff%00", 404),
        ("GET", "/queue/audio/jobs?date=tomorrow", 400),
        ("GET", "/queue/audio/jobs?limit=%00", 400),
    ],
)
async def test_odd_methods_and_addresses_are_refused(
    http: aiohttp.ClientSession, server: Server, method: str, path: str, status: int
) -> None:
    async with http.request(method, URL(path, encoded=True)) as answer:
        assert (answer.status, answer.content_type) == (status, "application/problem+json")
        assert ("Allow" in answer.headers) == (status == 405)


async def test_an_expectation_nobody_knows_is_refused(http: aiohttp.ClientSession) -> None:
    async with http.post("/queue/audio/claim", json={}, headers={"Expect": "a miracle"}) as answer:
        assert (answer.status, answer.content_type) == (417, "application/problem+json")
    async with http.post("/queue/audio/claim", json={"worker_id": "gpu-1"}, expect100=True) as answer:
        assert answer.status == 200


async def test_the_answer_to_head_has_no_body(server: Server) -> None:
    """What followed would be read as the answer to the next request on the connection."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    for path in ("/queue/audio/jobs", "/queue/audio/stats", "/openapi.json", "/health"):
        writer.write(f"HEAD {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\n\r\n".encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    writer.write(f"GET /health HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nConnection: close\r\n\r\n".encode())
    assert (await reader.read()).startswith(b"HTTP/1.1 200")
    writer.close()
    await writer.wait_closed()


@pytest.fixture
def memory() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.parametrize("path", ["/queue/audio/jobs", "/queue/audio/claim", "/workers/audio/heartbeat"])
async def test_a_compressed_bomb_takes_no_memory(
    http: aiohttp.ClientSession, memory: None, path: str
) -> None:
    bomb = gzip.compress(b" " * (64 << 20), compresslevel=1)
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    async with http.post(path, data=bomb, headers={**JSON, "Content-Encoding": "gzip"}) as answer:
        assert answer.status == 413
    assert tracemalloc.get_traced_memory()[1] - before < 16 << 20


async def test_a_file_is_not_taken_encoded(http: aiohttp.ClientSession) -> None:
    headers = {"Content-Encoding": "gzip"}
    async with http.put("/files/a/b.wav", data=gzip.compress(b"x"), headers=headers) as answer:
        assert answer.status == 415


async def test_a_list_that_breaks_off_is_not_followed_by_another_answer(
    server: Server, queue: DirectoryQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    await queue.enqueue(Kind.AUDIO, {"job_id": "j1", "script_text": "x"})

    async def unwritable(*_: object) -> None:
        raise QueueUnwritable("the disk has gone")

    monkeypatch.setattr(queue, "get", unwritable)
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(f"GET /queue/audio/jobs HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\n\r\n".encode())
    answer = await reader.read()
    assert answer.count(b"HTTP/1.1") == 1 and not answer.endswith(b"0\r\n\r\n")
    writer.close()
    await writer.wait_closed()


async def test_an_answer_the_spec_does_not_have_is_noticed(
    http: aiohttp.ClientSession, server: Server
) -> None:
    """The detector itself: every other test of the endpoint relies on it."""
    async with http.get("/health") as answer:
        assert json.loads(await answer.read())["status"] == "ok"
    drift = server.drift
    assert drift is not None and drift.found == []
    told = drift.spec["paths"]["/health"]["get"]["responses"]
    drift.spec["paths"]["/health"]["get"]["responses"] = {}
    async with http.get("/health") as answer:
        assert answer.status == 200
    drift.spec["paths"]["/health"]["get"]["responses"] = told
    assert drift.found == ["GET /health answers 200: the spec has no such status"]
    drift.found.clear()
