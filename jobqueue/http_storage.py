"""The storage spoken to over HTTP, for a worker on another machine."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

import aiofiles

from jobqueue.client import Connection, detail
from jobqueue.errors import MediaMissing, QueueError
from jobqueue.resumable import Parcel, ResumableSender

PIECE_BYTES = 1 << 18
LARGE_BYTES = 8 << 20
"""A file beyond this goes in pieces: to send it twice would cost more than a few more calls."""


class HttpStorage:
    """The Storage at the other end of a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sender = ResumableSender(connection)

    async def put(self, path: str, source: Path) -> None:
        digest, size_bytes = await asyncio.to_thread(_sha256, source), source.stat().st_size
        if size_bytes > LARGE_BYTES:
            await self._sender.send(Parcel(source, path, digest.hex(), size_bytes))
        else:
            await self._put_at_once(path, source, digest, size_bytes)

    async def get(self, path: str, target: Path) -> None:
        async with self._connection.request("GET", f"/files/{quote(path)}", timeout_s=None) as answer:
            if answer.status == HTTPStatus.NOT_FOUND:
                raise MediaMissing(path)
            if answer.status >= 400:
                raise QueueError(f"download of {path}: {await detail(answer)}")
            async with aiofiles.open(target, "wb") as file:
                async for piece in answer.content.iter_chunked(PIECE_BYTES):
                    await file.write(piece)

    async def listing(self, folder: str) -> dict[str, int]:
        status, answer = await self._connection.call("GET", f"/files/{quote(folder)}/")
        files = answer.get("files")
        if status >= 400 or not isinstance(files, dict):
            return {}
        return {name: size for name, size in files.items() if isinstance(size, int)}

    async def _put_at_once(self, path: str, source: Path, digest: bytes, size_bytes: int) -> None:
        headers = {
            "Content-Digest": f"sha-256=:{base64.b64encode(digest).decode()}:",
            "Content-Length": str(size_bytes),
        }
        async with (
            aiofiles.open(source, "rb") as file,
            self._connection.request(
                "PUT", f"/files/{quote(path)}", timeout_s=None, headers=headers, data=_pieces(file)
            ) as answer,
        ):
            if answer.status >= 400:
                raise QueueError(f"upload of {path}: {await detail(answer)}")


def _sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


async def _pieces(file: "aiofiles.threadpool.binary.AsyncBufferedReader") -> AsyncIterator[bytes]:
    while piece := await file.read(PIECE_BYTES):
        yield piece
