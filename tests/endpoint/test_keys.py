"""Keys: who may call what, who is slowed down, and what is written down of it."""

import asyncio
import base64
import json
import logging
import re
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from bot.endpoint.application import Endpoint, EndpointSettings
from bot.endpoint.calls import Access
from bot.endpoint.worker_keys import KeyFile, KeyNameRefused
from bot.endpoint.wrong_keys import ADDRESSES_MAX, TRIES, WrongKeys, client_address
from bot.publishing.links import SignedLinks
from jobqueue.directory import DirectoryQueue
from jobqueue.job import Json, Kind
from jobqueue.lifecycle import State
from jobqueue.uploads.uploads import SHARE_MAX
from logs import WithoutSecrets
from tests.clock import FakeClock
from tests.endpoint.conftest import KEY, Server, served
from tests.profiles import PlainProfiles

Body = dict[str, Json]
TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}


@pytest.fixture
def keys(queue: DirectoryQueue, data_dir: Path, clock: FakeClock) -> KeyFile:
    return KeyFile(data_dir, clock)


@pytest.fixture
async def gpu_1(server: Server, keys: KeyFile) -> AsyncIterator[aiohttp.ClientSession]:
    """A client with the worker key gpu-1."""
    async with client(server, keys.add("gpu-1")) as session:
        yield session


@pytest.fixture
async def gpu_2(server: Server, keys: KeyFile) -> AsyncIterator[aiohttp.ClientSession]:
    async with client(server, keys.add("gpu-2")) as session:
        yield session


@pytest.fixture
async def stranger(server: Server) -> AsyncIterator[aiohttp.ClientSession]:
    """A client without a key."""
    async with aiohttp.ClientSession(server.make_url("/")) as session:
        yield session


def client(server: Server, key: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(server.make_url("/"), headers={"X-API-Key": key})


async def call(
    http: aiohttp.ClientSession, method: str, path: str, body: object = None, **more: object
) -> tuple[int, Body]:
    more = more if body is None else {"json": body, **more}
    async with http.request(method, path, **more) as answer:  # type: ignore[arg-type]
        found = json.loads(await answer.read() or b"{}")
        if answer.status >= 400 and method != "HEAD":
            assert answer.content_type == "application/problem+json"
            assert found["request_id"] == answer.headers["X-Request-ID"]
        return answer.status, found if isinstance(found, dict) else {"items": found}


async def enqueue(http: aiohttp.ClientSession, job_id: str) -> None:
    assert (await call(http, "POST", "/queue/audio/jobs", {"job_id": job_id, "script_text": "x"}))[0] == 201


async def claim(http: aiohttp.ClientSession, worker_id: str) -> Body:
    status, answer = await call(http, "POST", "/queue/audio/claim", {"worker_id": worker_id})
    assert status == 200 and isinstance(answer["job"], dict), answer
    return answer["job"]


async def report(http: aiohttp.ClientSession, what: str, body: Body, job_id: str = "j1") -> int:
    return (await call(http, "POST", f"/queue/audio/jobs/{job_id}/{what}", {"percent": 1, **body}))[0]


# --- the file of keys


def test_a_key_is_kept_as_a_hash_alone_and_for_our_eyes_only(keys: KeyFile) -> None:
    key = keys.add("gpu-1")
    assert re.fullmatch(r"srw_gpu-1_[A-Za-z0-9_-]{43}", key)
    text = keys.path.read_text()
    assert "gpu-1" in text and key not in text and key.rpartition("gpu-1_")[2] not in text
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "name", ["", "GPU", "gpu_1", "gpu.1", "-gpu", "../x", "a" * 33, "bot", "owner", "gpu 1\n"]
)
def test_a_name_that_will_not_do_is_refused_with_a_sentence(keys: KeyFile, name: str) -> None:
    with pytest.raises(KeyNameRefused, match="will not do"):
        keys.add(name)
    assert keys.read() == {}


def test_a_name_has_one_good_key_and_gets_another_once_that_is_revoked(keys: KeyFile) -> None:
    first = keys.add("gpu-1")
    with pytest.raises(KeyNameRefused, match="REVOKE=1"):
        keys.add("gpu-1")
    keys.revoke("gpu-1")
    with pytest.raises(KeyNameRefused, match="already"):
        keys.revoke("gpu-1")
    with pytest.raises(KeyNameRefused, match="no key has the name"):
        keys.revoke("gpu-7")
    assert keys.add("gpu-1") != first


# --- a key made and revoked beside a running bot


async def test_a_key_counts_from_the_moment_it_is_made_until_it_is_revoked(
    server: Server, keys: KeyFile, stranger: aiohttp.ClientSession
) -> None:
    assert (await call(stranger, "POST", "/queue/audio/claim"))[0] == 401
    async with client(server, keys.add("gpu-1")) as gpu:
        assert (await call(gpu, "POST", "/queue/audio/claim", {"worker_id": "gpu-1"}))[0] == 200
        keys.add("gpu-2")
        assert (await call(gpu, "POST", "/queue/audio/claim", {"worker_id": "gpu-1"}))[0] == 200
        keys.revoke("gpu-1")
        assert (await call(gpu, "POST", "/queue/audio/claim", {"worker_id": "gpu-1"}))[0] == 401


async def test_a_damaged_file_of_keys_locks_nobody_out(
    keys: KeyFile, gpu_1: aiohttp.ClientSession, http: aiohttp.ClientSession
) -> None:
    assert (await call(gpu_1, "POST", "/queue/audio/claim", {"worker_id": "gpu-1"}))[0] == 200
    good = keys.path.read_text()
    odd_hash = re.sub(r'"sha256": "[^"]*"', '"sha256": "zz"', good)
    owner = good.replace('"gpu-1"', '"owner"')
    for damage in ("{", "[]", '{"keys": {"gpu-1": {"sha256": 5}}}', '{"keys": 7}', odd_hash, owner):
        keys.path.write_text(damage)
        assert (await call(gpu_1, "GET", "/queue/audio/stats"))[0] == 403
        assert (await call(gpu_1, "POST", "/queue/audio/claim", {"worker_id": "gpu-1"}))[0] == 200
        assert (await call(http, "GET", "/queue/audio/stats"))[0] == 200
    keys.path.unlink()
    assert (await call(gpu_1, "POST", "/queue/audio/claim", {"worker_id": "gpu-1"}))[0] == 401


# --- what a worker's key opens


async def test_a_workers_key_opens_the_calls_of_workers_and_no_other(
    server: Server, gpu_1: aiohttp.ClientSession
) -> None:
    assert {each.access for each in server.calls} == set(Access)
    for each in server.calls:
        path = re.sub(r"\{path[^}]*\}", "x/y", each.path).replace("{kind:audio|video}", "audio")
        path = re.sub(r"\{[^}]*\}", "j1", path)
        async with gpu_1.request(each.method, path, json={"worker_id": "gpu-1"}) as answer:
            is_shut = answer.status == 403 and (each.method == "HEAD" or "owner's key" in await answer.text())
        assert is_shut == (each.access is Access.OWNER), (each.method, each.path, answer.status)


async def test_without_a_key_nobody_learns_which_paths_there_are(
    stranger: aiohttp.ClientSession, gpu_1: aiohttp.ClientSession
) -> None:
    for method, path in (("GET", "/nothing"), ("PUT", "/queue/audio/jobs"), ("HEAD", "/queue/audio/stats")):
        async with stranger.request(method, path) as answer:
            assert answer.status == 401
    assert (await call(gpu_1, "GET", "/nothing"))[0] == 404
    async with gpu_1.head("/queue/audio/stats") as answer:
        assert answer.status == 403


async def test_a_worker_goes_the_whole_way_with_its_own_key(
    http: aiohttp.ClientSession, gpu_1: aiohttp.ClientSession, queue: DirectoryQueue
) -> None:
    await enqueue(http, "j1")
    job = await claim(gpu_1, "gpu-1")
    folder = f"/files/{job['organized_path']}"
    holder: Body = {"worker_id": "gpu-1", "claim_token": job["claim_token"]}
    beat: Body = {"worker_id": "gpu-1", "status": "busy", "current_job": "j1"}
    assert await call(gpu_1, "POST", "/workers/audio/heartbeat", beat) == (
        200,
        {"status": "ok", "lost": [], "cancel": []},
    )
    assert await report(gpu_1, "progress", holder) == 200
    assert (await call(gpu_1, "GET", f"{folder}/chunks/"))[1] == {"files": {}}
    assert (await call(gpu_1, "PUT", f"{folder}/chunks/1.wav", data=b"one"))[0] == 201
    assert (await call(gpu_1, "PUT", f"{folder}/audio.wav", data=b"all"))[0] == 201
    async with gpu_1.get(f"{folder}/chunks/1.wav") as answer:
        assert await answer.read() == b"one"
    assert await report(gpu_1, "complete", holder) == 200
    assert (await queue.get(Kind.AUDIO, "j1")).state is State.COMPLETED
    (member,) = queue.roster.members(Kind.AUDIO)
    assert member["key"] == "gpu-1"


async def test_files_of_jobs_that_are_not_in_hand_stay_shut(
    http: aiohttp.ClientSession, gpu_1: aiohttp.ClientSession, gpu_2: aiohttp.ClientSession
) -> None:
    await enqueue(http, "j1")
    job = await claim(gpu_1, "gpu-1")
    path = str(job["organized_path"])
    assert (await call(gpu_1, "PUT", f"/files/{path}/audio.wav", data=b"x"))[0] == 201
    for method, place in (
        ("PUT", f"{path}/audio.wav"),
        ("GET", f"{path}/audio.wav"),
        ("GET", f"{path}/"),
        ("HEAD", f"{path}/audio.wav"),
    ):
        async with gpu_2.request(method, f"/files/{place}") as answer:
            assert answer.status == 403
    for shut in (f"{path}0/audio.wav", path.rpartition("/")[0] + "/", "voices/ann.wav"):
        assert (await call(gpu_1, "PUT" if shut[-1] != "/" else "GET", f"/files/{shut}"))[0] == 403
    assert (await call(gpu_1, "GET", URL(f"/files/{path}/..%2f..%2f..%2fapi_key", encoded=True)))[0] == 400  # type: ignore[arg-type]
    assert (await call(gpu_2, "GET", "/files/voices/ann.wav"))[0] == 404  # may be read, and is not there
    assert await report(gpu_1, "release", {"worker_id": "gpu-1"}) == 200
    assert (await call(gpu_1, "PUT", f"/files/{path}/audio.wav", data=b"late"))[0] == 403


async def test_an_upload_in_pieces_is_held_to_the_same_folders(
    http: aiohttp.ClientSession, gpu_1: aiohttp.ClientSession, gpu_2: aiohttp.ClientSession
) -> None:
    await enqueue(http, "j1")
    job = await claim(gpu_1, "gpu-1")
    place = base64.b64encode(f"{job['organized_path']}/audio.wav".encode()).decode()
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "3", "Upload-Metadata": f"path {place}"}
    assert (await call(gpu_2, "POST", "/uploads/", headers=headers))[0] == 403
    assert (await call(gpu_1, "POST", "/uploads/", headers=headers))[0] == 201


class Late:
    """A body whose second half comes when the test says so."""

    def __init__(self, first: bytes, rest: bytes) -> None:
        self._first, self._rest = first, rest
        self.half_sent = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._first
        self.half_sent.set()
        await self.go_on.wait()
        yield self._rest


def place_of(path: object) -> str:
    return base64.b64encode(str(path).encode()).decode()


async def begin(http: aiohttp.ClientSession, path: object, length: int) -> tuple[int, str]:
    """Status and address of a new upload."""
    headers = {**TUS, "Upload-Length": str(length), "Upload-Metadata": f"path {place_of(path)}"}
    async with http.post("/uploads/", headers=headers) as answer:
        return answer.status, answer.headers.get("Location", "")


@pytest.mark.parametrize("way", ["put", "tus", "tus at creation"])
async def test_an_upload_begun_before_the_job_was_lost_replaces_nothing(
    http: aiohttp.ClientSession,
    gpu_1: aiohttp.ClientSession,
    gpu_2: aiohttp.ClientSession,
    data_dir: Path,
    way: str,
) -> None:
    await enqueue(http, "j1")
    path = f"{(await claim(gpu_1, 'gpu-1'))['organized_path']}/audio.wav"
    body = Late(b"BAD", b"BAD")
    if way == "put":
        sending = call(gpu_1, "PUT", f"/files/{path}", data=body)
    elif way == "tus":
        _, address = await begin(gpu_1, path, 6)
        sending = call(gpu_1, "PATCH", address, data=body, headers={**PIECE, "Upload-Offset": "0"})
    else:
        told = {**PIECE, "Upload-Length": "6", "Upload-Metadata": f"path {place_of(path)}"}
        sending = call(gpu_1, "POST", "/uploads/", data=body, headers=told)
    late = asyncio.ensure_future(sending)
    await body.half_sent.wait()
    async with asyncio.timeout(5):
        while not [*(data_dir / "tmp").glob("*audio.wav*"), *(data_dir / "uploads").glob("*.part")]:
            await asyncio.sleep(0.01)
    assert (await call(http, "DELETE", "/queue/audio/jobs/j1"))[0] == 200
    assert (await call(http, "POST", "/queue/audio/jobs/j1/retry"))[0] == 200
    await claim(gpu_2, "gpu-2")
    assert (await call(gpu_2, "PUT", f"/files/{path}", data=b"GOOD"))[0] == 201
    assert await report(gpu_2, "complete", {"worker_id": "gpu-2", "audio_path": path}) == 200
    body.go_on.set()
    assert (await late)[0] == 403
    assert (data_dir / "files" / path).read_bytes() == b"GOOD"
    assert list((data_dir / "tmp").iterdir()) == []


async def test_an_upload_whose_last_step_was_refused_can_be_ended_by_who_has_the_job(
    http: aiohttp.ClientSession, gpu_1: aiohttp.ClientSession, data_dir: Path
) -> None:
    await enqueue(http, "j1")
    path = f"{(await claim(gpu_1, 'gpu-1'))['organized_path']}/audio.wav"
    _, address = await begin(gpu_1, path, 6)
    body = Late(b"abc", b"def")
    late = asyncio.ensure_future(
        call(gpu_1, "PATCH", address, data=body, headers={**PIECE, "Upload-Offset": "0"})
    )
    await body.half_sent.wait()
    assert await report(gpu_1, "release", {"worker_id": "gpu-1"}) == 200
    body.go_on.set()
    assert (await late)[0] == 403
    for method in ("HEAD", "DELETE", "PATCH"):
        asked = {**PIECE, "Upload-Offset": "6"}
        assert (await call(gpu_1, method, address, headers=asked))[0] == 403
    assert not (data_dir / "files" / path).exists()
    await claim(gpu_1, "gpu-1")
    assert (await call(gpu_1, "HEAD", address, headers=TUS))[0] == 200
    assert (data_dir / "files" / path).read_bytes() == b"abcdef"


async def test_one_key_cannot_take_all_open_uploads(
    http: aiohttp.ClientSession, gpu_1: aiohttp.ClientSession, gpu_2: aiohttp.ClientSession
) -> None:
    for job_id in ("j1", "j2"):
        await enqueue(http, job_id)
    first, second = await claim(gpu_1, "gpu-1"), await claim(gpu_2, "gpu-2")
    statuses = [(await begin(gpu_1, f"{first['organized_path']}/{n}", 5))[0] for n in range(SHARE_MAX + 1)]
    assert statuses == [201] * SHARE_MAX + [429]
    headers = {
        **TUS,
        "Upload-Length": "5",
        "Upload-Metadata": f"path {place_of(first['organized_path'])}",
    }
    async with gpu_1.post("/uploads/", headers=headers) as answer:
        assert answer.status == 429 and int(answer.headers["Retry-After"]) > 0
    assert (await begin(gpu_2, f"{second['organized_path']}/audio.wav", 5))[0] == 201
    for number in range(SHARE_MAX + 1):
        assert (await begin(http, f"mine/{number}", 5))[0] == 201


@pytest.mark.parametrize("kind", ["audio", "video"])
@pytest.mark.parametrize("field", ["audio_path", "video_path"])
async def test_a_job_is_not_completed_with_the_files_of_others(
    http: aiohttp.ClientSession,
    gpu_1: aiohttp.ClientSession,
    gpu_2: aiohttp.ClientSession,
    kind: str,
    field: str,
) -> None:
    await call(http, "POST", f"/queue/{kind}/jobs", {"job_id": "j1", "script_text": "x", "chat_id": 5})
    _, answer = await call(gpu_1, "POST", f"/queue/{kind}/claim", {"worker_id": "gpu-1"})
    job = answer["job"]
    assert isinstance(job, dict)
    folder = str(job["organized_path"])
    for other in (f"{folder}-2/audio.wav", "voices/ann.wav", "elsewhere/video.mp4"):
        assert (await call(http, "PUT", f"/files/{other}", data=b"of others"))[0] == 201
    own: Body = {"worker_id": "gpu-1", "claim_token": job["claim_token"]}

    async def complete(session: aiohttp.ClientSession, holder: Body, path: str) -> int:
        body = {**holder, field: path}
        return (await call(session, "POST", f"/queue/{kind}/jobs/j1/complete", body))[0]

    for other in (f"{folder}-2/audio.wav", "voices/ann.wav", "elsewhere/video.mp4", "../../etc/passwd"):
        assert await complete(gpu_1, own, other) == 403
    assert (await call(gpu_1, "PUT", f"/files/{folder}/media", data=b"own"))[0] == 201
    assert await complete(gpu_2, {**own, "worker_id": "gpu-2"}, f"{folder}/media") == 409
    assert await complete(gpu_1, own, f"{folder}/media") == 200
    assert await complete(gpu_1, own, f"{folder}/media") == 200  # the answer got lost, and the job is done
    assert await complete(gpu_1, own, "elsewhere/video.mp4") == 403


# --- one worker cannot speak for another


@pytest.mark.parametrize("worker_id", ["gpu-1", "gpu-1.a1b2c3", "a-name-of-its-own"])
async def test_a_job_of_one_key_cannot_be_touched_with_another(
    http: aiohttp.ClientSession,
    gpu_1: aiohttp.ClientSession,
    gpu_2: aiohttp.ClientSession,
    queue: DirectoryQueue,
    worker_id: str,
) -> None:
    await enqueue(http, "j1")
    job = await claim(gpu_1, worker_id)
    for stolen in ({}, {"claim_token": job["claim_token"]}):
        for what in ("progress", "complete", "fail", "release"):
            assert await report(gpu_2, what, {"worker_id": worker_id, **stolen}) == 403
            assert await report(gpu_2, what, {"worker_id": "gpu-2", **stolen}) == 409
    goodbye = {"worker_id": worker_id, "status": "offline"}
    assert (await call(gpu_2, "POST", "/workers/audio/heartbeat", goodbye))[0] == 403
    assert (await call(gpu_2, "POST", "/queue/audio/claim", {"worker_id": worker_id}))[0] == 403
    assert (await queue.get(Kind.AUDIO, "j1")).state is State.PROCESSING
    assert await report(gpu_1, "complete", {"worker_id": worker_id}) == 200


async def test_every_call_of_a_worker_checks_whose_name_it_uses(
    server: Server, gpu_1: aiohttp.ClientSession, keys: KeyFile
) -> None:
    """A call that is added tomorrow is checked as well: this asks all that there are."""
    keys.add("gpu-2")
    asked = 0
    for each in server.calls:
        names_a_worker = hasattr(each.body, "model_fields") and "worker_id" in each.body.model_fields  # type: ignore[union-attr]
        if each.access is Access.WORKER and names_a_worker:
            path = each.path.replace("{kind:audio|video}", "audio").replace("{job_id}", "j1")
            assert (await call(gpu_1, each.method, path, {"worker_id": "gpu-2", "percent": 1}))[0] == 403
            assert (await call(gpu_1, each.method, path, {"worker_id": "bot", "percent": 1}))[0] == 403
            asked += 1
    assert asked >= 6


async def test_a_name_is_free_again_once_its_worker_has_gone(
    http: aiohttp.ClientSession, gpu_1: aiohttp.ClientSession, gpu_2: aiohttp.ClientSession
) -> None:
    async def heartbeat(session: aiohttp.ClientSession, status: str) -> int:
        body = {"worker_id": "shared", "status": status}
        return (await call(session, "POST", "/workers/audio/heartbeat", body))[0]

    assert await heartbeat(gpu_1, "online") == 200
    assert await heartbeat(http, "online") == 200  # a hand from the main key takes nothing over
    assert await heartbeat(gpu_2, "online") == 403
    assert await heartbeat(gpu_1, "offline") == 200
    assert await heartbeat(gpu_2, "online") == 200
    assert await heartbeat(gpu_1, "online") == 403


async def test_a_name_stays_its_workers_while_it_works_in_silence(
    http: aiohttp.ClientSession,
    gpu_1: aiohttp.ClientSession,
    gpu_2: aiohttp.ClientSession,
    queue: DirectoryQueue,
    clock: FakeClock,
) -> None:
    await enqueue(http, "j1")
    await claim(gpu_1, "plain")
    clock.advance(600)
    await queue.sweep()
    assert queue.roster.online(Kind.AUDIO) == 0
    assert await report(gpu_2, "complete", {"worker_id": "plain"}) == 403
    assert await report(gpu_1, "complete", {"worker_id": "plain"}) == 200


async def test_whose_worker_it_is_survives_a_restart_of_the_bot(
    data_dir: Path, clock: FakeClock, links: SignedLinks
) -> None:
    gpu_1, gpu_2 = (KeyFile(data_dir, clock).add(name) for name in ("gpu-1", "gpu-2"))
    queue = DirectoryQueue(data_dir, PlainProfiles(), clock)
    await queue.open()
    async with served(queue, links, clock) as server, client(server, KEY) as http:
        await enqueue(http, "j1")
        async with client(server, gpu_1) as first:
            await claim(first, "plain")
    await queue.close()
    queue = DirectoryQueue(data_dir, PlainProfiles(), clock)
    await queue.open()
    async with served(queue, links, clock) as server:
        async with client(server, gpu_2) as other:
            assert await report(other, "complete", {"worker_id": "plain"}) == 403
        async with client(server, gpu_1) as first:
            assert await report(first, "complete", {"worker_id": "plain"}) == 200
    await queue.close()


async def test_a_worker_with_the_main_key_is_safe_from_workers_with_their_own(
    http: aiohttp.ClientSession, gpu_2: aiohttp.ClientSession
) -> None:
    await enqueue(http, "j1")
    await claim(http, "old-hand")
    assert await report(gpu_2, "complete", {"worker_id": "old-hand"}) == 403
    assert await report(http, "complete", {"worker_id": "old-hand"}) == 200


# --- wrong keys


async def test_an_address_that_tries_keys_is_slowed_down_and_a_right_key_always_passes(
    server: Server, http: aiohttp.ClientSession, gpu_1: aiohttp.ClientSession, clock: FakeClock
) -> None:
    async with client(server, "wrong") as guesser:
        seen = [(await call(guesser, "GET", "/queue/audio/stats"))[0] for _ in range(TRIES + 5)]
        assert seen == [401] * TRIES + [429] * 5
        async with guesser.get("/queue/audio/stats") as answer:
            wait_s = int(answer.headers["Retry-After"])
        assert 1 <= wait_s <= 60 / TRIES + 1
        assert (await call(http, "GET", "/queue/audio/stats"))[0] == 200
        assert (await call(gpu_1, "POST", "/queue/audio/claim", {"worker_id": "gpu-1"}))[0] == 200
        clock.set_wall_clock(clock.now() + 1e6)  # the clock on the wall has no say
        assert (await call(guesser, "GET", "/queue/audio/stats"))[0] == 429
        clock.advance(wait_s)
        assert (await call(guesser, "GET", "/queue/audio/stats"))[0] == 401
        assert (await call(guesser, "GET", "/queue/audio/stats"))[0] == 429


async def test_wrong_signatures_count_too_and_a_missing_key_does_not(
    stranger: aiohttp.ClientSession, http: aiohttp.ClientSession, links: SignedLinks
) -> None:
    await call(http, "PUT", "/files/a/b.mp4", data=b"video")
    for _ in range(TRIES + 5):
        assert (await call(stranger, "GET", "/queue/audio/stats"))[0] == 401
    forged = "/files/a/b.mp4?expires=99999999999&signature=" + "0" * 64
    seen = [(await call(stranger, "GET", forged))[0] for _ in range(TRIES + 1)]
    assert seen == [401] * TRIES + [429]
    link = links.for_file("a/b.mp4")
    assert link is not None
    async with stranger.get(link.removeprefix("https://videos.example.org")) as answer:
        assert (answer.status, await answer.read()) == (200, b"video")


def test_a_million_addresses_cost_no_memory(clock: FakeClock) -> None:
    wrong = WrongKeys(clock)
    for number in range(30_000):
        wrong.refuse(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", "no")
    assert len(wrong._full_at) <= ADDRESSES_MAX


def test_addresses_of_one_customer_are_one_address() -> None:
    assert client_address("2001:db8:1:2:aaaa::1") == client_address("2001:db8:1:2:bbbb::2")
    assert client_address("2001:db8:1:2::1") != client_address("2001:db8:1:3::1")
    assert client_address("::ffff:10.0.0.1") == client_address("10.0.0.1") == "10.0.0.1"
    assert client_address(None) == ""


# --- request ids


async def test_every_answer_carries_the_callers_request_id_or_a_new_one(
    http: aiohttp.ClientSession, stranger: aiohttp.ClientSession
) -> None:
    own = {"X-Request-ID": "build.42_of-MAIN"}
    for session, path, status in (
        (http, "/queue/audio/stats", 200),
        (http, "/health", 200),
        (http, "/nothing", 404),
        (http, "/queue/audio/jobs/j9", 404),
        (stranger, "/queue/audio/stats", 401),
    ):
        async with session.get(path, headers=own) as answer:
            assert (answer.status, answer.headers["X-Request-ID"]) == (status, "build.42_of-MAIN")
            if status >= 400:
                assert (await answer.json())["request_id"] == "build.42_of-MAIN"
    made = set()
    for odd in ("", "a" * 65, "with space", "ключ", 'x"}'):
        async with http.get("/queue/audio/stats", headers={"X-Request-ID": odd}) as answer:
            made.add(answer.headers["X-Request-ID"])
    assert len(made) == 5 and all(re.fullmatch(r"[0-9a-f]{32}", each) for each in made)


async def test_log_lines_of_a_request_name_it(
    http: aiohttp.ClientSession, queue: DirectoryQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    handler = Kept()
    handler.setFormatter(WithoutSecrets(frozenset(), as_json=True))
    logger = logging.getLogger("tests.somewhere_deep")
    logger.addHandler(handler)
    stats = queue.stats

    def talking(kind: Kind) -> Body:
        logger.warning("counting")
        return stats(kind)

    monkeypatch.setattr(queue, "stats", talking)
    for request_id in ("r-1", "r-2"):
        assert (await call(http, "GET", "/queue/audio/stats", headers={"X-Request-ID": request_id}))[0] == 200
    logger.warning("after")
    assert [json.loads(line).get("request_id") for line in lines] == ["r-1", "r-2", None]


def test_a_workers_key_stands_in_no_log(keys: KeyFile) -> None:
    key = keys.add("gpu-1")
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, "called with %s", (f"key={key}",), None)
    for as_json in (False, True):
        text = WithoutSecrets(frozenset(), as_json=as_json).format(record)
        assert "called with key=[secret]" in text and key[:20] not in text


# --- the audit log


async def audit(server: Server, data_dir: Path, count: int) -> list[Body]:
    """The audit log's lines, once there are so many."""
    async with asyncio.timeout(10):
        while (
            len(
                lines := [line for path in data_dir.glob("audit/*") for line in path.read_text().splitlines()]
            )
            < count
        ):
            await asyncio.sleep(0.05)
    return [json.loads(line) for line in lines]


async def test_who_changed_what_is_written_down(
    server: Server, http: aiohttp.ClientSession, gpu_1: aiohttp.ClientSession, data_dir: Path
) -> None:
    await enqueue(http, "j1")
    await claim(gpu_1, "gpu-1")
    await call(gpu_1, "POST", "/queue/audio/claim", {"worker_id": "gpu-1"})  # brings nothing
    await call(gpu_1, "POST", "/workers/audio/heartbeat", {"worker_id": "gpu-1"})
    await report(gpu_1, "progress", {"worker_id": "gpu-1"})
    await call(http, "GET", "/queue/audio/jobs")
    await call(http, "DELETE", "/queue/audio/jobs/j1?x=secret", headers={"X-Request-ID": "r-7"})
    await call(http, "DELETE", "/queue/audio/jobs/j9")
    lines = await audit(server, data_dir, 4)
    told = [(line["who"], line["method"], line["path"], line.get("job_id"), line["status"]) for line in lines]
    assert told == [
        ("owner", "POST", "/queue/audio/jobs", "j1", 201),
        ("worker gpu-1", "POST", "/queue/audio/claim", "j1", 200),
        ("owner", "DELETE", "/queue/audio/jobs/j1", None, 200),
        ("owner", "DELETE", "/queue/audio/jobs/j9", None, 404),
    ]
    assert (lines[2]["request_id"], lines[2]["address"]) == ("r-7", "127.0.0.1")
    (path,) = (data_dir / "audit").iterdir()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d\.jsonl", path.name) and path.stem == str(lines[0]["at"])[:10]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (cancelled,) = [line for line in (await job_log(http, "j1")) if line.get("by")]
    assert cancelled["by"] == "owner"


async def job_log(http: aiohttp.ClientSession, job_id: str) -> list[Body]:
    _, found = await call(http, "GET", f"/queue/audio/jobs/{job_id}/logs")
    items = found["items"]
    assert isinstance(items, list)
    return [item for item in items if isinstance(item, dict)]


async def test_a_flood_of_refusals_is_one_line_a_minute(
    server: Server,
    stranger: aiohttp.ClientSession,
    gpu_1: aiohttp.ClientSession,
    data_dir: Path,
    clock: FakeClock,
) -> None:
    for _ in range(50):
        await call(stranger, "DELETE", "/queue/audio/jobs/j1")
        await call(stranger, "POST", "/logout")  # open to all, and changes nothing of ours
    await call(gpu_1, "DELETE", "/queue/audio/jobs/j1")
    clock.advance(61)
    lines = await audit(server, data_dir, 2)
    assert [(line["who"], line["status"], line["count"]) for line in lines] == [
        ("anyone", 401, 50),
        ("worker gpu-1", 403, 1),
    ]


async def test_the_last_lines_are_written_when_the_bot_stops(
    queue: DirectoryQueue, links: SignedLinks, clock: FakeClock, data_dir: Path
) -> None:
    endpoint = Endpoint(queue, links, clock, [], EndpointSettings("127.0.0.1", 0, KEY, lease_s=90))
    stop = asyncio.Event()
    serving = asyncio.ensure_future(endpoint.serve(stop))
    await endpoint.listening.wait()
    server = Server(*endpoint.addresses[0])
    async with client(server, KEY) as http, client(server, "wrong") as guesser:
        await enqueue(http, "j1")
        await call(guesser, "GET", "/queue/audio/jobs")
        stop.set()
        await serving
    assert len(await audit(server, data_dir, 2)) == 2


async def test_an_audit_log_that_cannot_be_written_stops_nothing_and_catches_up(
    server: Server, http: aiohttp.ClientSession, data_dir: Path
) -> None:
    (data_dir / "audit").write_text("in the way")
    await enqueue(http, "j1")
    await asyncio.sleep(1.2)
    await enqueue(http, "j2")
    (data_dir / "audit").unlink()
    assert [line["job_id"] for line in await audit(server, data_dir, 2)] == ["j1", "j2"]


async def test_half_a_line_of_a_killed_bot_spoils_no_other(
    server: Server, http: aiohttp.ClientSession, data_dir: Path
) -> None:
    await enqueue(http, "j1")
    await audit(server, data_dir, 1)
    (path,) = (data_dir / "audit").iterdir()
    with path.open("a") as file:
        file.write('{"at": "20')
    await enqueue(http, "j2")
    async with asyncio.timeout(10):
        while len(lines := path.read_text().splitlines()) < 3:
            await asyncio.sleep(0.05)
    assert json.loads(lines[2])["job_id"] == "j2"
