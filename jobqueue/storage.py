"""Where the media of a job lies between two stages, and the local folder that holds it."""

import asyncio
import contextlib
import hashlib
import os
import re
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol, TypeAlias

import aiofiles

from jobqueue import durable
from jobqueue.disk import on_disk
from jobqueue.errors import ChecksumMismatch, MediaMissing, PathRefused

PART = re.compile(r"[^/\\\0]+")
FILE_MAX_BYTES = 4 << 30
"""A WAV cannot be longer; at 24 kHz mono that is a day of speech."""
PLAIN_PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")
"""Nearly all paths: a quick yes."""
MAX_PART_BYTES = 200
MAX_PATH_BYTES = 400
Confirm: TypeAlias = Callable[[], None]
"""Asked once all bytes are there, right before the file takes its place: raises if it must not any more.
An upload takes long enough for its sender to lose the job, and another's recording may lie there by now."""


class Storage(Protocol):
    """Files by path, such as `2025-01-27/BI/video_1/audio.wav`.

    Every call raises PathRefused for a path that is malformed or leaves the storage,
    and QueueUnreachable when the storage cannot be asked just now.
    """

    async def put(self, path: str, source: Path) -> None:
        """Store a copy of `source`, whole or not at all; when this returns, it survives a power cut."""
        ...

    async def get(self, path: str, target: Path) -> None:
        """Copy the file to `target`. Raises: MediaMissing."""
        ...

    async def listing(self, folder: str) -> dict[str, int]:
        """Size in bytes of each file directly in `folder`, by name; empty if there is no such folder."""
        ...


def check_path(path: str) -> None:
    """Raises: PathRefused if the path is malformed or leads anywhere but down."""
    if PLAIN_PATH.fullmatch(path) and len(path) <= MAX_PART_BYTES:
        return
    if len(path.encode(errors="replace")) > MAX_PATH_BYTES or not all(
        _is_name(part) for part in path.split("/")
    ):
        raise PathRefused(path)


def _is_name(part: str) -> bool:
    return (
        PART.fullmatch(part) is not None
        and not part.startswith(".")
        and part.isprintable()
        and len(part.encode(errors="replace")) <= MAX_PART_BYTES
    )


class DirectoryStorage:
    """Storage in a local folder."""

    def __init__(self, root: Path, tmp: Path, admit: Callable[[int], None] = lambda _coming: None) -> None:
        """
        Args:
            tmp: must lie on the same file system as `root`.
            admit: raises QueueUnwritable if there is no room for so many more bytes.
        """
        self._root = root
        self._tmp = tmp
        self.admit = admit

    def locate(self, path: str) -> Path:
        """Where the file lies or would lie. Raises: PathRefused."""
        check_path(path)
        place = self._root / path
        if _has_link(self._root, path) and not self._is_inside(place):
            raise PathRefused(path)
        return place

    def _is_inside(self, place: Path) -> bool:
        """A link planted in the folder must not lead out of it."""
        try:
            return place.resolve().is_relative_to(self._root.resolve())
        except (OSError, RuntimeError):  # links that lead round in circles
            return False

    async def put(self, path: str, source: Path) -> None:
        async with aiofiles.open(source, "rb") as file:
            await self.receive(path, _pieces(file))

    async def receive(
        self,
        path: str,
        pieces: AsyncIterator[bytes],
        *,
        sha256: bytes | None = None,
        confirm: Confirm = lambda: None,
    ) -> tuple[int, bytes]:
        """Store what arrives piece by piece.

        Args:
            sha256: digest the whole must have.
        Returns: size in bytes and SHA-256 digest of what was stored.
        Raises: ChecksumMismatch, QueueUnwritable; whatever `pieces` or `confirm` raises. Nothing is
            stored then.
        """
        place = self.locate(path)
        digest, size_bytes = hashlib.sha256(), 0
        part = durable.aside(self._tmp, place.name)
        try:
            async with aiofiles.open(part, "xb") as file:
                async for piece in pieces:
                    self.admit(len(piece))
                    digest.update(piece)
                    size_bytes += len(piece)
                    await file.write(piece)
            if sha256 is not None and digest.digest() != sha256:
                raise ChecksumMismatch(path)
            await asyncio.to_thread(_ready, part, place)
            confirm()
            await asyncio.to_thread(_keep, part, place)
        except (IsADirectoryError, NotADirectoryError, FileExistsError):
            raise PathRefused(path) from None
        finally:
            with contextlib.suppress(FileNotFoundError):
                part.unlink()
        return size_bytes, digest.digest()

    async def adopt(self, path: str, part: Path, *, confirm: Confirm = lambda: None) -> None:
        """Take over a whole file that lies on the same file system.

        Raises: PathRefused, QueueUnwritable; whatever `confirm` raises. The file stays where it is then.
        """
        place = self.locate(path)

        def step(move: Callable[[Path, Path], None]) -> None:
            try:
                move(part, place)
            except (IsADirectoryError, NotADirectoryError, FileExistsError):
                raise PathRefused(path) from None

        await on_disk(lambda: step(_ready))
        confirm()
        await on_disk(lambda: step(_keep))

    async def get(self, path: str, target: Path) -> None:
        place = self.locate(path)
        try:
            async with aiofiles.open(place, "rb") as source, aiofiles.open(target, "wb") as copy:
                async for piece in _pieces(source):
                    await copy.write(piece)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise MediaMissing(path) from None

    async def listing(self, folder: str) -> dict[str, int]:
        return await asyncio.to_thread(_sizes, self.locate(folder))


def _has_link(root: Path, path: str) -> bool:
    """Whether the way down from `root` goes over a link, as far as it exists."""
    place = str(root)
    for part in path.split("/"):
        place = f"{place}/{part}"
        try:
            if stat.S_ISLNK(os.lstat(place).st_mode):
                return True
        except OSError:
            return False
    return False


def _ready(part: Path, place: Path) -> None:
    """All that takes long before the file can have its name: the bytes of a large one are synced."""
    durable.make_folder(place.parent)
    durable.sync_file(part)


def _keep(part: Path, place: Path) -> None:
    """The moment a file becomes part of the storage; its bytes are safe already."""
    part.replace(place)
    durable.sync_folder(place.parent)


def _sizes(folder: Path) -> dict[str, int]:
    if not folder.is_dir():
        return {}
    return {entry.name: entry.stat().st_size for entry in folder.iterdir() if entry.is_file()}


async def _pieces(file: "aiofiles.threadpool.binary.AsyncBufferedReader") -> AsyncIterator[bytes]:
    while piece := await file.read(1 << 20):
        yield piece
