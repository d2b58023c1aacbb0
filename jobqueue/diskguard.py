"""How much room is left on the disk, and for what: new jobs stop before work in hand runs out of it."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from jobqueue.errors import QueueUnwritable

LOOK_S = 0.25
"""How old what we know of the disk may be: even a fast network brings in less than the reserve meanwhile."""
LAST_BYTES = 50 << 20
"""Kept from uploads too: records, news and logs of what is finished still fit in."""
MIN_FREE_FILES = 2000
"""The same as the reserve, counted in files: a few long scripts, one file per chunk."""
LAST_FILES = 200
RESERVE_PART, LAST_PART = 10, 100
"""On a small disk they are no more than a tenth and a hundredth of it."""


class Usage(Protocol):
    """What the system tells of a file system (`os.statvfs_result`)."""

    @property
    def f_blocks(self) -> int: ...
    @property
    def f_bavail(self) -> int: ...
    @property
    def f_frsize(self) -> int: ...
    @property
    def f_files(self) -> int: ...
    @property
    def f_favail(self) -> int: ...


class DiskGuard:
    """Watches the file system of a folder. Its calls cost next to nothing; they may be made on the loop."""

    def __init__(
        self,
        folder: Path,
        *,
        min_free_bytes: int,
        look: Callable[[Path], Usage] = os.statvfs,
        look_s: float = LOOK_S,
    ) -> None:
        """
        Args:
            min_free_bytes: the reserve, for work in hand; 0 switches the guard off.
            look_s: how old what it knows may be, s of real time.
        """
        self._folder = folder
        self._min_free_bytes = min_free_bytes
        self._look = look
        self._look_s = look_s
        self._looked_at = float("-inf")
        self._usage: Usage | None = None

    def shortage(self) -> str | None:
        """Why no new job may come, in words; None if it may."""
        return self._lacking(
            _Need(self._min_free_bytes, MIN_FREE_FILES, RESERVE_PART), "are kept for work in hand"
        )

    def admit_job(self) -> None:
        """Raises: QueueUnwritable if a new job would take the room that work in hand needs."""
        if (shortage := self.shortage()) is not None:
            raise QueueUnwritable(f"no new job is accepted until there is room: {shortage}")

    def admit_media(self, coming_bytes: int = 0) -> None:
        """Uploads may take of the reserve, but not the last of it. Raises: QueueUnwritable."""
        last = _Need(min(LAST_BYTES, self._min_free_bytes // 2), LAST_FILES, LAST_PART, coming_bytes)
        shortage = self._lacking(last, "are needed for the file and for what follows it")
        if shortage is not None:
            raise QueueUnwritable(f"no file is taken until there is room: {shortage}")

    def _lacking(self, need: "_Need", why: str) -> str | None:
        usage = self._seen() if self._min_free_bytes else None
        if usage is None:
            return None
        free_bytes, least_bytes = usage.f_bavail * usage.f_frsize, need.bytes_of(usage)
        if free_bytes < least_bytes:
            return f"only {free_bytes >> 20} MB are free on the disk, and {-(-least_bytes >> 20)} MB {why}"
        # A file system that makes its inodes as it needs them says it has none.
        if usage.f_files and usage.f_favail < (least_files := need.files_of(usage)):
            return f"only {usage.f_favail} more files fit on the disk, and {least_files} {why}"
        return None

    def _seen(self) -> Usage | None:
        """The file system as it was a moment ago; None if it cannot be told."""
        now = time.monotonic()
        if now - self._looked_at >= self._look_s:
            self._looked_at = now
            try:
                self._usage = self._look(self._folder)
            except OSError:
                self._usage = None  # whoever writes next learns what is wrong
        return self._usage


@dataclass(frozen=True, slots=True)
class _Need:
    """How much must be free."""

    reserve_bytes: int
    reserve_files: int
    part: int
    """It is no more than the disk divided by this."""
    coming_bytes: int = 0

    def bytes_of(self, usage: Usage) -> int:
        whole = usage.f_blocks * usage.f_frsize
        return min(self.reserve_bytes, whole // self.part) + self.coming_bytes

    def files_of(self, usage: Usage) -> int:
        return min(self.reserve_files, usage.f_files // self.part)
