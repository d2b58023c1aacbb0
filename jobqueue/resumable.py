"""A file sent to the endpoint in pieces (tus 1.0), going on where a lost connection cut it short."""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import aiofiles
import aiohttp

from jobqueue.client import Connection, detail
from jobqueue.errors import QueueError, QueueUnreachable
from jobqueue.retry import backoff_s

log = logging.getLogger(__name__)

PIECE_BYTES = 4 << 20
"""Of one request; a line that carries 35 kB/s gets it through in time."""
PIECE_TIMEOUT_S = 120.0
READ_BYTES = 1 << 18
FAILURES_MAX = 6
"""In a row, with no byte of progress; then whoever asked for the upload decides."""
STARTS_MAX = 3
RETRY_BASE_S = 0.5
RETRY_CAP_S = 15.0
VERSION = {"Tus-Resumable": "1.0.0"}
OVER = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.UNPROCESSABLE_ENTITY)
"""The upload cannot go on: unknown, expired, or what arrived was damaged. Another may succeed."""
BUSY = (HTTPStatus.CONFLICT, HTTPStatus.LOCKED, HTTPStatus.REQUEST_TIMEOUT)
"""Our picture of the upload is old; ask, and go on."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A file that shall reach a place in the storage."""

    source: Path
    path: str
    sha256: str
    """Hexadecimal; the endpoint stores nothing else under this path."""
    size_bytes: int

    def metadata(self) -> str:
        told = {"path": self.path, "sha256": self.sha256}
        return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in told.items())


class _Over(Exception):
    """The upload cannot go on."""


class ResumableSender:
    """Sends large files. It remembers what it began, so that the same file, sent again, goes on."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._begun: dict[tuple[str, str], str] = {}
        """Upload ids by path and digest."""

    async def send(self, parcel: Parcel) -> None:
        """Return once the file is stored, durably. Raises: QueueError, QueueUnreachable, KeyRefused."""
        key = parcel.path, parcel.sha256
        for _ in range(STARTS_MAX):
            upload_id = self._begun.get(key) or await self._begin(parcel)
            self._begun[key] = upload_id
            try:
                await self._go_on(parcel, upload_id)
            except QueueUnreachable:
                raise  # and the next call goes on
            except _Over as error:
                log.warning("upload of %s begins anew: %s", parcel.path, error)
                del self._begun[key]
            except QueueError:
                del self._begun[key]
                raise
            else:
                del self._begun[key]
                return
        raise QueueError(f"upload of {parcel.path}: given up after {STARTS_MAX} starts")

    async def _begin(self, parcel: Parcel) -> str:
        headers = {
            **VERSION,
            "Upload-Length": str(parcel.size_bytes),
            "Upload-Metadata": parcel.metadata(),
        }
        async with self._connection.request("POST", "/uploads/", headers=headers) as answer:
            if answer.status != HTTPStatus.CREATED:
                raise QueueError(f"upload of {parcel.path}: {await detail(answer)}")
            # The last part alone: a proxy may serve the endpoint below a path of its own.
            return urlsplit(answer.headers["Location"]).path.rpartition("/")[2]

    async def _go_on(self, parcel: Parcel, upload_id: str) -> None:
        """Send what is missing. Raises: _Over, QueueError, QueueUnreachable."""
        failures, furthest, offset = 0, -1, None
        while offset != parcel.size_bytes:
            try:
                offset = await self._step(parcel, upload_id, offset)
            except QueueUnreachable as error:
                failures, offset = failures + 1, None
                if failures > FAILURES_MAX:
                    raise
                log.warning("upload of %s: %s: goes on in a moment", parcel.path, error)
                await asyncio.sleep(backoff_s(failures, base_s=RETRY_BASE_S, cap_s=RETRY_CAP_S))
            else:
                failures, furthest = (0, offset) if offset > furthest else (failures, furthest)

    async def _step(self, parcel: Parcel, upload_id: str, offset: int | None) -> int:
        """Send a piece, or ask where to go on if that is not known. Returns: where the next begins."""
        if offset is None:
            return await self._offset(parcel, upload_id)
        return await self._add(parcel, upload_id, offset)

    async def _offset(self, parcel: Parcel, upload_id: str) -> int:
        """Bytes of it that are safe at the other end."""
        async with self._connection.request("HEAD", f"/uploads/{upload_id}", headers=VERSION) as answer:
            return await _offset_in(answer, parcel)

    async def _add(self, parcel: Parcel, upload_id: str, offset: int) -> int:
        size_bytes = min(PIECE_BYTES, parcel.size_bytes - offset)
        headers = {
            **VERSION,
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(size_bytes),
            "Upload-Offset": str(offset),
        }
        async with self._connection.request(
            "PATCH",
            f"/uploads/{upload_id}",
            timeout_s=PIECE_TIMEOUT_S,
            headers=headers,
            data=_piece(parcel.source, offset, size_bytes),
        ) as answer:
            return await _offset_in(answer, parcel)


async def _offset_in(answer: aiohttp.ClientResponse, parcel: Parcel) -> int:
    if answer.status < 400:
        return int(answer.headers["Upload-Offset"])
    if answer.status in OVER:
        raise _Over(await detail(answer))
    if answer.status in BUSY:
        raise QueueUnreachable(await detail(answer))
    raise QueueError(f"upload of {parcel.path}: {await detail(answer)}")


async def _piece(source: Path, offset: int, size_bytes: int) -> AsyncIterator[bytes]:
    async with aiofiles.open(source, "rb") as file:
        await file.seek(offset)
        rest = size_bytes
        while rest and (piece := await file.read(min(READ_BYTES, rest))):
            rest -= len(piece)
            yield piece
