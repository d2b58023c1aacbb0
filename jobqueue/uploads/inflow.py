"""Inflow: the bytes of one request on their way into the part file of an upload."""

import asyncio
import contextlib
import errno
import hashlib
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from jobqueue.disk import in_thread, on_disk
from jobqueue.durable import PRIVATE_FILE
from jobqueue.errors import PieceDamaged, UploadTooLong

COMMIT_BYTES = 8 << 20
"""At most so much of a long request is sent again after a power cut; each commit costs three syncs."""
ALGORITHMS = ("sha1", "sha256", "md5")
"""Checksums a piece can have. They guard against accidents on the way, not against forgers."""


@dataclass(frozen=True, slots=True)
class Checksum:
    """What the bytes of one request must amount to."""

    algorithm: str
    """One of ALGORITHMS."""
    digest: bytes


class Inflow:
    """Adds to a part file. `commit` makes what arrived count; what never counted is cut off by `close`."""

    def __init__(
        self,
        part: Path,
        offset: int,
        *,
        limit: int,
        checksum: Checksum | None,
        settle: Callable[[int], Awaitable[None]],
    ) -> None:
        """
        Args:
            offset: bytes the part file durably holds.
            limit: bytes it may hold at most.
            checksum: what the bytes of this request must amount to; nothing counts before all are there.
            settle: writes the new offset down, durably.
        """
        self._part = part
        self._offset = offset
        self._limit = limit
        self._checksum = checksum
        self._hash = hashlib.new(checksum.algorithm, usedforsecurity=False) if checksum is not None else None
        self._settle = settle
        self._end = offset
        self._descriptor = -1
        self._turn = asyncio.Lock()

    @property
    def is_full(self) -> bool:
        """Whether all bytes of the file have arrived."""
        return self._end == self._limit

    async def open(self) -> None:
        """Raises: QueueUnwritable."""
        self._descriptor = await on_disk(lambda: _open(self._part, self._offset))

    async def add(self, piece: bytes) -> None:
        """Raises: UploadTooLong, QueueUnwritable; nothing that is not committed yet counts then."""
        if self._end + len(piece) > self._limit:
            raise UploadTooLong(self._limit)
        async with self._turn:
            await on_disk(lambda: _write(self._descriptor, piece))
            self._end += len(piece)
            if self._hash is not None:
                self._hash.update(piece)
        # Never the very end: whether more than the announced bytes come is not known yet.
        if self._end - self._offset >= COMMIT_BYTES and self._end < self._limit:
            await self.commit()

    async def finish(self) -> None:
        """All bytes of the request are there. Raises: PieceDamaged, QueueUnwritable."""
        if self._checksum is not None and self._hash is not None:
            if self._hash.digest() != self._checksum.digest:
                raise PieceDamaged(self._checksum.algorithm)
            self._checksum = None
        await self.commit()

    async def commit(self) -> None:
        """Make what has arrived count, unless its checksum is yet to be verified. Raises: QueueUnwritable."""
        async with self._turn:
            if self._checksum is not None or self._end == self._offset or self._descriptor < 0:
                return
            end = self._end
            # The bytes first, then the record that says they are there.
            await on_disk(lambda: os.fsync(self._descriptor))
            await self._settle(end)
            self._offset = end

    async def close(self) -> None:
        async with self._turn:
            if self._descriptor >= 0:
                descriptor, self._descriptor = self._descriptor, -1
                await in_thread(lambda: _close(descriptor, self._offset))


def _open(part: Path, offset: int) -> int:
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, PRIVATE_FILE)
    try:
        if os.fstat(descriptor).st_size < offset:
            raise OSError(errno.EIO, "bytes of an upload have gone")
        # Over whatever a crash left there that never counted.
        os.lseek(descriptor, offset, os.SEEK_SET)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _write(descriptor: int, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _close(descriptor: int, offset: int) -> None:
    # On a full disk this gives the room back at once.
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, offset)
    with contextlib.suppress(OSError):
        os.close(descriptor)
