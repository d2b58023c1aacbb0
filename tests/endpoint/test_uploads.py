"""tus 1.0 at `/uploads/`: an upload goes on where it broke off, and what it says is there is there."""

import asyncio
import base64
import errno
import hashlib
import io
import json
import os
import random
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tusclient import client as tus
from tusclient.exceptions import TusCommunicationError, TusUploadFailed

from bot.endpoint.tus import EXTENSIONS
from jobqueue import durable
from jobqueue.directory import DirectoryQueue
from jobqueue.storage import FILE_MAX_BYTES
from jobqueue.uploads.inflow import COMMIT_BYTES
from jobqueue.uploads.uploads import LIFETIME_S, OPEN_MAX, SILENT_S, UNTOUCHED_S
from tests.clock import FakeClock
from tests.endpoint.conftest import KEY, Server
from tests.profiles import PlainProfiles

PLACE = "2025-01-27/BI/video_1/audio.wav"
VERSION = {"Tus-Resumable": "1.0.0"}
PIECE = {**VERSION, "Content-Type": "application/offset+octet-stream"}


def some_bytes(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def metadata(**values: str) -> str:
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items())


async def begin(http: aiohttp.ClientSession, length: int | None, path: str = PLACE, **more: str) -> str:
    """The address of a new upload."""
    told = {"Upload-Defer-Length": "1"} if length is None else {"Upload-Length": str(length)}
    headers = {**VERSION, **told, "Upload-Metadata": metadata(path=path, **more)}
    async with http.post("/uploads/", headers=headers) as answer:
        assert answer.status == 201, await answer.text()
        return answer.headers["Location"]


async def ask(
    http: aiohttp.ClientSession,
    method: str,
    address: str,
    headers: Mapping[str, str] = VERSION,
    data: Any = None,
) -> aiohttp.ClientResponse:
    """The answer; every one names the version, and every refusal is a problem in words."""
    async with http.request(method, address, headers=headers, data=data) as answer:
        assert answer.headers["Tus-Resumable"] == "1.0.0"
        if answer.status >= 400 and method != "HEAD":
            problem = await answer.json(content_type="application/problem+json")
            assert problem["status"] == answer.status and problem["detail"]
        return answer


async def add(
    http: aiohttp.ClientSession, address: str, offset: int, data: Any, **headers: str
) -> aiohttp.ClientResponse:
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return await ask(http, "PATCH", address, {**PIECE, "Upload-Offset": str(offset), **more}, data)


async def offset_of(http: aiohttp.ClientSession, address: str) -> int:
    answer = await ask(http, "HEAD", address)
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    return int(answer.headers["Upload-Offset"])


class Sender:
    """A body that comes when the test says so."""

    def __init__(self) -> None:
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()

    def send(self, piece: bytes | None) -> None:
        """None: the end."""
        self._pieces.put_nowait(piece)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (piece := await self._pieces.get()) is not None:
            yield piece


async def arrived(http: aiohttp.ClientSession, address: str, size: int) -> None:
    async with asyncio.timeout(10):
        while await offset_of(http, address) < size:
            await asyncio.sleep(0.01)


# --- a client that others wrote


def client(server: Server, key: str = KEY) -> tus.TusClient:
    return tus.TusClient(str(server.make_url("/uploads/")), headers={"X-API-Key": key})


async def test_tuspy_uploads_a_file_in_one_piece_and_in_many(server: Server, data_dir: Path) -> None:
    data = some_bytes(3_000_000)

    def upload() -> None:
        for chunk_size, name in ((len(data), "one.wav"), (700_000, "ध्वनि.wav")):
            told = {"path": f"day/{name}", "sha256": hashlib.sha256(data).hexdigest()}
            client(server).uploader(
                file_stream=io.BytesIO(data), chunk_size=chunk_size, metadata=told
            ).upload()

    await asyncio.to_thread(upload)
    assert (data_dir / "files/day/one.wav").read_bytes() == data
    assert (data_dir / "files/day/ध्वनि.wav").read_bytes() == data
    assert not list((data_dir / "uploads").glob("*.part"))


async def test_tuspy_goes_on_where_another_tuspy_stopped(server: Server, data_dir: Path) -> None:
    data = some_bytes(1_000_000)

    def upload() -> int:
        first = client(server).uploader(
            file_stream=io.BytesIO(data), chunk_size=100_000, metadata={"filename": PLACE}
        )
        first.upload(stop_at=400_000)
        second = client(server).uploader(file_stream=io.BytesIO(data), url=first.url, chunk_size=150_000)
        found = int(second.offset)
        second.upload()
        return found

    assert await asyncio.to_thread(upload) == 400_000
    assert (data_dir / "files" / PLACE).read_bytes() == data


async def test_tuspy_sends_checksums_that_are_verified(server: Server, data_dir: Path) -> None:
    data = some_bytes(500_000)

    def upload() -> None:
        client(server).uploader(
            file_stream=io.BytesIO(data), chunk_size=200_000, metadata={"path": PLACE}, upload_checksum=True
        ).upload()

    await asyncio.to_thread(upload)
    assert (data_dir / "files" / PLACE).read_bytes() == data


async def test_tuspy_is_told_what_is_refused(server: Server) -> None:
    def refused(key: str, path: str) -> int:
        uploader = client(server, key).uploader(file_stream=io.BytesIO(b"x"), metadata={"path": path})
        with pytest.raises((TusCommunicationError, TusUploadFailed)) as caught:
            uploader.upload()
        return int(caught.value.status_code)

    assert await asyncio.to_thread(refused, "wrong", PLACE) == 401
    assert await asyncio.to_thread(refused, KEY, "../out") == 400


# --- the protocol


async def test_the_server_says_what_it_can_do(http: aiohttp.ClientSession) -> None:
    async with http.options("/uploads/") as answer:
        assert answer.status == 204
        assert answer.headers["Tus-Version"] == "1.0.0"
        assert answer.headers["Tus-Extension"] == ",".join(EXTENSIONS)
        assert answer.headers["Tus-Max-Size"] == str(FILE_MAX_BYTES)
        assert "sha1" in answer.headers["Tus-Checksum-Algorithm"].split(",")


async def test_an_upload_tells_how_far_it_is_and_what_was_said_of_it(http: aiohttp.ClientSession) -> None:
    address = await begin(http, 10)
    answer = await add(http, address, 0, b"01234")
    assert (answer.status, answer.headers["Upload-Offset"]) == (204, "5")
    head = await ask(http, "HEAD", address)
    assert (head.headers["Upload-Offset"], head.headers["Upload-Length"]) == ("5", "10")
    assert head.headers["Upload-Metadata"] == metadata(path=PLACE)
    assert head.headers["Upload-Expires"].endswith("GMT")


async def test_the_first_bytes_may_come_with_the_creation(
    http: aiohttp.ClientSession, data_dir: Path
) -> None:
    headers = {**PIECE, "Upload-Length": "10", "Upload-Metadata": metadata(path=PLACE)}
    answer = await ask(http, "POST", "/uploads/", headers, b"01234")
    assert (answer.status, answer.headers["Upload-Offset"]) == (201, "5")
    await add(http, answer.headers["Location"], 5, b"56789")
    assert (data_dir / "files" / PLACE).read_bytes() == b"0123456789"


async def test_the_length_may_be_told_later(http: aiohttp.ClientSession, data_dir: Path) -> None:
    address = await begin(http, None)
    await add(http, address, 0, b"01234")
    assert (await ask(http, "HEAD", address)).headers["Upload-Defer-Length"] == "1"
    await add(http, address, 5, b"567", Upload_Length="8")
    assert (data_dir / "files" / PLACE).read_bytes() == b"01234567"


async def test_a_refused_piece_settles_no_length(http: aiohttp.ClientSession, data_dir: Path) -> None:
    address = await begin(http, None)
    assert (await add(http, address, 9, b"abc", Upload_Length="3")).status == 409
    assert (await add(http, address, 0, b"abcdef", Upload_Length="3")).status == 413
    assert (await ask(http, "HEAD", address)).headers["Upload-Defer-Length"] == "1"
    assert (await add(http, address, 0, b"abcdef", Upload_Length="6")).status == 204
    assert (data_dir / "files" / PLACE).read_bytes() == b"abcdef"


async def test_an_empty_file_is_there_at_once(http: aiohttp.ClientSession, data_dir: Path) -> None:
    address = await begin(http, 0)
    assert (data_dir / "files" / PLACE).read_bytes() == b""
    assert await offset_of(http, address) == 0


async def test_post_stands_in_for_other_methods(http: aiohttp.ClientSession, data_dir: Path) -> None:
    address = await begin(http, 3)
    instead = {**PIECE, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    assert (await ask(http, "POST", address, instead, b"abc")).status == 204
    assert (data_dir / "files" / PLACE).read_bytes() == b"abc"
    assert (await ask(http, "POST", address, VERSION)).status == 405
    assert (await ask(http, "POST", address, {**VERSION, "X-HTTP-Method-Override": "DELETE"})).status == 204


async def test_a_finished_upload_says_so_to_whoever_lost_the_answer(http: aiohttp.ClientSession) -> None:
    address = await begin(http, 5)
    await add(http, address, 0, b"abcde")
    repeated = await add(http, address, 0, b"abcde")
    assert (repeated.status, repeated.headers["Upload-Offset"]) == (409, "5")
    assert await offset_of(http, address) == 5
    assert (await add(http, address, 5, b"")).status == 204


async def test_an_upload_called_off_leaves_nothing(http: aiohttp.ClientSession, data_dir: Path) -> None:
    address = await begin(http, 10)
    await add(http, address, 0, b"01234")
    assert (await ask(http, "DELETE", address)).status == 204
    assert not list((data_dir / "uploads").glob("*.part"))
    for method in ("HEAD", "DELETE"):
        assert (await ask(http, method, address)).status == 410
    assert (await add(http, address, 5, b"56789")).status == 410


async def test_the_new_file_replaces_the_old_only_when_it_is_whole(
    http: aiohttp.ClientSession, data_dir: Path
) -> None:
    await http.put(f"/files/{PLACE}", data=b"the old one")
    address = await begin(http, 6)
    await add(http, address, 0, b"new")
    assert (data_dir / "files" / PLACE).read_bytes() == b"the old one"
    await add(http, address, 3, b"est")
    assert (data_dir / "files" / PLACE).read_bytes() == b"newest"


# --- refusals


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (412, {"Tus-Resumable": "0.2.2"}),
        (412, {"Tus-Resumable": ""}),
        (400, {"Upload-Length": "-1"}),
        (400, {"Upload-Length": "٣"}),
        (400, {"Upload-Length": "1", "Upload-Defer-Length": "1"}),
        (400, {"Upload-Metadata": ""}),
        (400, {"Upload-Metadata": "path"}),
        (400, {"Upload-Metadata": "path no-base64!"}),
        (400, {"Upload-Metadata": f"{metadata(path='a')},{metadata(path='b')}"}),
        (400, {"Upload-Metadata": metadata(path="../../etc/passwd")}),
        (400, {"Upload-Metadata": metadata(path="/etc/passwd")}),
        (400, {"Upload-Metadata": metadata(path="a//b")}),
        (400, {"Upload-Metadata": metadata(path="day/.hidden")}),
        (400, {"Upload-Metadata": metadata(path="folder")}),
        (400, {"Upload-Metadata": metadata(path="link/out")}),
        (400, {"Upload-Metadata": metadata(path=PLACE, sha256="abc")}),
        (413, {"Upload-Length": str(FILE_MAX_BYTES + 1)}),
    ],
)
async def test_what_cannot_become_an_upload_is_refused(
    http: aiohttp.ClientSession, data_dir: Path, status: int, headers: dict[str, str]
) -> None:
    (data_dir / "files/folder").mkdir()
    (data_dir / "files/link").symlink_to(data_dir.parent)
    good = {**VERSION, "Upload-Length": "10", "Upload-Metadata": metadata(path=PLACE)}
    assert (await ask(http, "POST", "/uploads/", {**good, **headers})).status == status
    assert not list((data_dir / "uploads").iterdir())


async def test_what_is_no_piece_is_refused_and_nothing_of_it_kept(http: aiohttp.ClientSession) -> None:
    address = await begin(http, 10)
    await add(http, address, 0, b"01234")
    unversioned = {"Content-Type": PIECE["Content-Type"], "Upload-Offset": "5"}
    assert (await ask(http, "PATCH", address, unversioned, b"5")).status == 412
    assert (await add(http, address, 5, b"5", Content_Type="application/octet-stream")).status == 415
    assert (await ask(http, "PATCH", address, PIECE, b"5")).status == 400
    assert (await add(http, address, 4, b"5")).status == 409
    assert (await add(http, address, 5, b"567890")).status == 413
    assert (await add(http, address, 5, b"5", Upload_Length="9")).status == 413
    assert (await add(http, address, 5, b"5", Upload_Checksum="crc32 AAAA")).status == 400
    assert await offset_of(http, address) == 5


async def test_more_than_the_length_is_refused_even_if_it_was_not_announced(
    http: aiohttp.ClientSession,
) -> None:
    address = await begin(http, 10)
    body = Sender()
    for piece in (b"01234", b"56789", b"and more", None):
        body.send(piece)
    assert (await add(http, address, 0, body)).status == 413
    assert await offset_of(http, address) == 0


@pytest.mark.parametrize("upload_id", ["0" * 32, "..%2F..%2Fapi_key", "nothing", "0" * 31 + "%00"])
async def test_an_unknown_upload_is_not_found(
    http: aiohttp.ClientSession, upload_id: str, server: Server
) -> None:
    address = str(server.make_url(f"/uploads/{upload_id}"))
    for method in ("HEAD", "DELETE"):
        async with http.request(method, address, headers=VERSION) as answer:
            assert answer.status == 404


async def test_without_the_key_nobody_uploads(server: Server) -> None:
    async with aiohttp.ClientSession(server.make_url("/")) as stranger:
        for method, path in (("OPTIONS", ""), ("POST", ""), ("HEAD", "a"), ("PATCH", "a"), ("DELETE", "a")):
            async with stranger.request(method, f"/uploads/{path}", headers=PIECE) as answer:
                assert answer.status == 401


async def test_a_piece_that_arrives_damaged_is_not_kept(http: aiohttp.ClientSession, data_dir: Path) -> None:
    address = await begin(http, 10)
    await add(http, address, 0, b"01234")
    digest = base64.b64encode(hashlib.sha256(b"56789").digest()).decode()
    damaged = await add(http, address, 5, b"5678X", Upload_Checksum=f"sha256 {digest}")
    assert (damaged.status, damaged.reason) == (460, "Checksum Mismatch")
    assert await offset_of(http, address) == 5
    assert (await add(http, address, 5, b"56789", Upload_Checksum=f"sha256 {digest}")).status == 204
    assert (data_dir / "files" / PLACE).read_bytes() == b"0123456789"


async def test_a_file_that_is_not_what_was_announced_is_not_stored(
    http: aiohttp.ClientSession, data_dir: Path
) -> None:
    address = await begin(http, 5, sha256=hashlib.sha256(b"abcde").hexdigest())
    assert (await add(http, address, 0, b"abcdX")).status == 422
    assert not (data_dir / "files" / PLACE).exists()
    assert (await ask(http, "HEAD", address)).status == 410


async def test_only_so_many_uploads_are_open(http: aiohttp.ClientSession, clock: FakeClock) -> None:
    addresses = [await begin(http, 5) for _ in range(OPEN_MAX)]
    headers = {**VERSION, "Upload-Length": "5", "Upload-Metadata": metadata(path=PLACE)}
    refused = await ask(http, "POST", "/uploads/", headers)
    assert refused.status == 429 and int(refused.headers["Retry-After"]) > 0
    await add(http, addresses[0], 0, b"abcde")
    await begin(http, 5)


async def test_a_record_from_before_senders_had_shares_is_taken_up(
    queue: DirectoryQueue, data_dir: Path, clock: FakeClock
) -> None:
    upload = await queue.uploads.create(PLACE, length=5, metadata="", sha256=None, sender="gpu-1")
    record = data_dir / "uploads" / f"{upload.id}.json"
    fresh = await restarted(queue, data_dir, clock)
    assert (await fresh.uploads.look(upload.id)).sender == "gpu-1"
    told = json.loads(record.read_text())
    del told["sender"]
    record.write_text(json.dumps(told))
    older = await restarted(fresh, data_dir, clock)
    assert (await older.uploads.look(upload.id)).sender == ""
    await older.close()


# --- broken connections, crowds, time


async def test_a_connection_that_breaks_off_keeps_what_arrived_and_locks_nothing(
    http: aiohttp.ClientSession, server: Server, data_dir: Path
) -> None:
    data = some_bytes(600_000)
    address = await begin(http, len(data))
    reader, writer = await asyncio.open_connection(server.host, server.port)
    head = f"PATCH {address} HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nTus-Resumable: 1.0.0\r\n"
    head += (
        f"Content-Type: {PIECE['Content-Type']}\r\nUpload-Offset: 0\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    writer.write(head.encode() + data[:400_000])
    await writer.drain()
    await arrived(http, address, 400_000)
    writer.transport.abort()
    async with asyncio.timeout(5):
        while (answer := await add(http, address, 400_000, data[400_000:])).status == 423:
            await asyncio.sleep(0.01)
    assert answer.status == 204
    assert (data_dir / "files" / PLACE).read_bytes() == data
    del reader


async def test_of_a_checked_piece_that_breaks_off_nothing_is_kept(
    http: aiohttp.ClientSession, data_dir: Path
) -> None:
    """Whether it was sound can never be told."""
    address = await begin(http, 400_000)
    body = Sender()
    body.send(b"x" * 200_000)
    sending = asyncio.ensure_future(
        add(http, address, 0, body, Upload_Checksum=f"sha1 {base64.b64encode(bytes(20)).decode()}")
    )
    part = data_dir / "uploads" / f"{address.rpartition('/')[2]}.part"
    async with asyncio.timeout(5):
        while not part.exists() or part.stat().st_size < 200_000:
            await asyncio.sleep(0.01)
    assert await offset_of(http, address) == 0
    sending.cancel()
    async with asyncio.timeout(5):
        while part.stat().st_size:
            await asyncio.sleep(0.01)
    assert await offset_of(http, address) == 0


async def test_two_requests_at_once_cannot_mix(http: aiohttp.ClientSession, data_dir: Path) -> None:
    address = await begin(http, 10)
    body = Sender()
    first = asyncio.ensure_future(add(http, address, 0, body))
    body.send(b"01234")
    await arrived(http, address, 5)
    assert (await add(http, address, 5, b"xxxxx")).status == 423
    assert (await ask(http, "DELETE", address)).status == 423
    body.send(b"56789")
    body.send(None)
    assert (await first).status == 204
    assert (data_dir / "files" / PLACE).read_bytes() == b"0123456789"


async def test_a_sender_that_vanished_without_a_word_gives_way(
    http: aiohttp.ClientSession, clock: FakeClock, data_dir: Path
) -> None:
    """Its connection may stand half open for hours."""
    address = await begin(http, 10)
    body = Sender()
    vanished = asyncio.ensure_future(add(http, address, 0, body))
    body.send(b"01234")
    await arrived(http, address, 5)
    clock.advance(SILENT_S + 1)
    assert (await add(http, address, 5, b"56789")).status == 204
    assert (data_dir / "files" / PLACE).read_bytes() == b"0123456789"
    body.send(None)
    with pytest.raises((AssertionError, aiohttp.ClientError)):
        assert (await vanished).status == 204


async def test_an_upload_that_nobody_goes_on_with_expires(
    http: aiohttp.ClientSession, queue: DirectoryQueue, clock: FakeClock, data_dir: Path
) -> None:
    begun, untouched = await begin(http, 10), await begin(http, 10)
    await add(http, begun, 0, b"01234")
    clock.advance(UNTOUCHED_S + 1)
    assert (await ask(http, "HEAD", untouched)).status == 410
    clock.advance(LIFETIME_S - UNTOUCHED_S - 2)
    await add(http, begun, 5, b"5")  # and has a day from here
    clock.advance(LIFETIME_S - 1)
    await queue.uploads.sweep()
    assert await offset_of(http, begun) == 6
    clock.advance(2)
    await queue.uploads.sweep()
    assert (await ask(http, "HEAD", begun)).status == 410
    assert not list((data_dir / "uploads").glob("*.part"))
    clock.advance(LIFETIME_S + 1)
    await queue.uploads.sweep()
    assert (await ask(http, "HEAD", begun)).status == 404
    assert not list((data_dir / "uploads").iterdir())


# --- crashes and disks


async def restarted(queue: DirectoryQueue, data_dir: Path, clock: FakeClock) -> DirectoryQueue:
    await queue.close()
    fresh = DirectoryQueue(data_dir, PlainProfiles(), clock)
    await fresh.open()
    return fresh


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for piece in data:
        yield piece


async def test_an_upload_outlives_a_restart_and_counts_only_what_is_safe(
    queue: DirectoryQueue, data_dir: Path, clock: FakeClock
) -> None:
    upload = await queue.uploads.create(PLACE, length=10, metadata="", sha256=None)
    await queue.uploads.append(upload.id, 0, pieces(b"01234"))
    with (data_dir / "uploads" / f"{upload.id}.part").open("ab") as part:
        part.write(b"never acknowledged")
    fresh = await restarted(queue, data_dir, clock)
    assert (await fresh.uploads.look(upload.id)).offset == 5
    await fresh.uploads.append(upload.id, 5, pieces(b"56789"))
    assert (data_dir / "files" / PLACE).read_bytes() == b"0123456789"
    await fresh.close()


async def test_before_each_answer_the_bytes_are_synced_and_then_the_record(
    queue: DirectoryQueue, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await queue.uploads.create(PLACE, length=10, metadata="", sha256=None)
    synced: list[str] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        fsync(descriptor)
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)

    monkeypatch.setattr(os, "fsync", watched)
    await queue.uploads.append(upload.id, 0, pieces(b"01234"))
    part, record, folder = synced
    assert part == f"{upload.id}.part" and record.endswith(f"-{upload.id}.json") and folder == "uploads"


async def test_a_long_request_is_made_safe_on_the_way(queue: DirectoryQueue, data_dir: Path) -> None:
    """What a kill -9 finds then; a record on disk is what a start goes by."""
    whole = COMMIT_BYTES * 3
    upload = await queue.uploads.create(PLACE, length=whole, metadata="", sha256=None)
    seen: list[int] = []

    async def slowly() -> AsyncIterator[bytes]:
        for _ in range(whole // (1 << 20)):
            yield bytes(1 << 20)
            seen.append(
                int(
                    (data_dir / "uploads" / f"{upload.id}.json")
                    .read_text()
                    .split('"offset": ')[1]
                    .split(",")[0]
                )
            )

    await queue.uploads.append(upload.id, 0, slowly())
    assert all(position * (1 << 20) - safe <= COMMIT_BYTES for position, safe in enumerate(seen))


@pytest.mark.parametrize("moved", [False, True])
async def test_a_crash_around_the_last_step_finishes_the_upload(
    queue: DirectoryQueue, data_dir: Path, clock: FakeClock, moved: bool
) -> None:
    """The last byte was safe, and the file perhaps in its place, but nobody had been told."""
    upload = await queue.uploads.create(PLACE, length=5, metadata="", sha256=None)
    await queue.uploads.append(upload.id, 0, pieces(b"abcd"))
    part, record = (data_dir / "uploads" / f"{upload.id}.{kind}" for kind in ("part", "json"))
    part.write_bytes(b"abcde")
    record.write_text(record.read_text().replace('"offset": 4', '"offset": 5'))
    if moved:
        (data_dir / "files" / PLACE).parent.mkdir(parents=True)
        part.rename(data_dir / "files" / PLACE)
    fresh = await restarted(queue, data_dir, clock)
    assert (await fresh.uploads.look(upload.id)).offset == 5
    assert (data_dir / "files" / PLACE).read_bytes() == b"abcde"
    await fresh.close()


async def test_files_that_are_no_uploads_are_set_aside(
    queue: DirectoryQueue, data_dir: Path, clock: FakeClock
) -> None:
    good = await queue.uploads.create(PLACE, length=5, metadata="", sha256=None)
    folder = data_dir / "uploads"
    (folder / "odd.json").write_text("{")
    (folder / f"{'a' * 32}.json").write_text('{"upload_id": "b"}')
    (folder / f"{'c' * 32}.part").write_bytes(b"whose?")
    fresh = await restarted(queue, data_dir, clock)
    assert [path.name for path in folder.iterdir()] == [f"{good.id}.json"]
    assert {path.suffix for path in (data_dir / "corrupt").iterdir()} == {".json", ".part"}
    await fresh.close()


async def test_a_full_disk_is_told_and_the_offset_stays_true(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch, data_dir: Path
) -> None:
    data = some_bytes(500_000)
    address = await begin(http, len(data))
    await add(http, address, 0, data[:100_000])
    real, written = os.write, 0

    def full(descriptor: int, piece: bytes) -> int:
        nonlocal written
        if Path(f"/proc/self/fd/{descriptor}").readlink().suffix == ".part":
            written += len(piece)
            if written > 200_000:
                raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, piece)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        answer = await add(http, address, 100_000, data[100_000:])
        assert (answer.status, answer.headers["Retry-After"]) == (503, "30")
    found = await offset_of(http, address)
    part = data_dir / "uploads" / f"{address.rpartition('/')[2]}.part"
    assert part.stat().st_size == found, "the room is given back"
    await add(http, address, found, data[found:])
    assert (data_dir / "files" / PLACE).read_bytes() == data


async def test_of_two_files_put_at_once_the_last_whole_one_stays(
    http: aiohttp.ClientSession, data_dir: Path
) -> None:
    slow, quick, broken = Sender(), some_bytes(300_000, 2), Sender()
    slow.send(b"slow")
    broken.send(b"broken")
    first = asyncio.ensure_future(http.put(f"/files/{PLACE}", data=slow))
    third = asyncio.ensure_future(http.put(f"/files/{PLACE}", data=broken))
    await asyncio.sleep(0.1)
    assert (await http.put(f"/files/{PLACE}", data=quick)).status == 201
    assert (data_dir / "files" / PLACE).read_bytes() == quick
    third.cancel()
    slow.send(b" and whole")
    slow.send(None)
    assert (await first).status == 201
    assert (data_dir / "files" / PLACE).read_bytes() == b"slow and whole"


async def test_bytes_that_somebody_took_away_are_not_made_up(
    http: aiohttp.ClientSession, data_dir: Path
) -> None:
    address = await begin(http, 10)
    await add(http, address, 0, b"01234")
    part = data_dir / "uploads" / f"{address.rpartition('/')[2]}.part"
    part.write_bytes(b"01")
    assert (await add(http, address, 5, b"56789")).status == 503
    assert not (data_dir / "files" / PLACE).exists()


async def test_who_finds_a_folder_there_finds_it_durable(
    queue: DirectoryQueue, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two files at once into a folder that one of them makes: neither is stored before the folder is safe."""
    order: list[str] = []
    sync = durable.sync_folder

    def slow_sync(folder: Path) -> None:
        if folder == data_dir / "files":
            time.sleep(0.2)
        sync(folder)
        order.append(folder.name)

    monkeypatch.setattr(durable, "sync_folder", slow_sync)
    await asyncio.gather(*(queue.storage.receive(f"new/{name}", pieces(b"x")) for name in ("a", "b")))
    assert order == ["files", "new", "new"]
