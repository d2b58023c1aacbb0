"""Records made durable, those that come at the same time together: one thread, a few flushes for all of them.

The order within each commit is the queue's promise, however many share a flush: write aside,
make the bytes durable, rename into place, make the name durable, remove what it replaces, answer.
"""

import asyncio
import contextlib
import ctypes
import logging
import os
import platform
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from jobqueue import durable
from jobqueue.errors import QueueUnwritable

log = logging.getLogger(__name__)

TOGETHER_MAX = 128
"""Commits that share flushes: as many files are open at once."""
MANY = 8
"""From this many files on, one flush of the file system is cheaper than one for each file.
It also writes what others have not synced yet, such as a film being rendered: too much for a few."""


@dataclass(frozen=True, slots=True)
class Put:
    """A file that shall lie at `place`, whole, over whatever was there."""

    place: Path
    data: bytes


@dataclass(frozen=True, slots=True)
class Move:
    """A rename that is not synced: after a power cut the file may lie where it was."""

    source: Path
    target: Path


@dataclass(slots=True)
class Commit:
    """What is to be on disk before an answer may be given."""

    rounds: Sequence[Sequence[Put]] = ()
    """Each round is durable before the first name of the next appears."""
    instead_of: Path | None = None
    """Removed last, unless it was put anew. Dying before leaves two files: a start keeps the right one."""
    prepare: Callable[["Commit"], None] | None = None
    """Runs first, in the thread, and may fill in the rest; what it raises is what the commit raises."""
    move: Move | None = None
    """Made before the puts. It is what counts then: they are details, left out if there is no room for
    them. Their bytes are durable, as what they replace may be the only copy; their names need not be."""


@dataclass(slots=True)
class _Work:
    """A commit on its way."""

    commit: Commit
    loop: asyncio.AbstractEventLoop
    done: "asyncio.Future[None]"
    parts: list[list[Path]] = field(default_factory=list)
    """What is written aside, as `commit.rounds`."""
    descriptors: list[int] = field(default_factory=list)
    error: BaseException | None = None


class Commits:
    """Makes commits, in the order in which they come."""

    def __init__(self, tmp: Path) -> None:
        """`tmp` must lie on the same file system as everything that is put."""
        self._tmp = tmp
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commits")
        self._mutex = threading.Lock()
        self._waiting: deque[_Work] = deque()
        self._is_running = False
        self.failing: str | None = None
        """Why the last commit failed, in the system's words; None if it did not."""

    async def make(self, commit: Commit) -> None:
        """When this returns, it survives a power cut.

        Raises: QueueUnwritable, and it may or may not be there after all; what `prepare` raises;
        FileNotFoundError if there is nothing to move.
        """
        loop = asyncio.get_running_loop()
        work = _Work(commit, loop, loop.create_future())
        with self._mutex:
            self._waiting.append(work)
            starts, self._is_running = not self._is_running, True
        if starts:
            self._thread.submit(self._run)
        try:
            await work.done
        except OSError as error:
            if commit.move is not None and isinstance(error, FileNotFoundError):
                raise
            self.failing = error.strerror or type(error).__name__
            raise QueueUnwritable(f"the queue's disk cannot be written: {error.strerror or error}") from error
        if commit.rounds:  # a move that had to go without its details proves nothing
            self.failing = None

    def close(self) -> None:
        self._thread.shutdown()

    def _run(self) -> None:
        while True:
            with self._mutex:
                together = [self._waiting.popleft() for _ in range(min(len(self._waiting), TOGETHER_MAX))]
                self._is_running = bool(together)
            if not together:
                return
            try:
                self._make_all(together)
            except Exception as error:  # one that belongs to no single commit, such as too many open files
                for work in together:
                    work.error = work.error or error
            for work in together:
                _clear(work)
            _tell(together)

    def _make_all(self, together: list[_Work]) -> None:
        # Opened before anything is written: a descriptor tells of the errors since it was opened.
        tmp = os.open(self._tmp, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for work in together:
                with _failing(work):
                    if work.commit.prepare is not None:
                        work.commit.prepare(work.commit)
                    with _optional(work):
                        self._write_aside(work)
            _sync_bytes([work for work in together if work.error is None], tmp)
        finally:
            os.close(tmp)
        for work in together:
            if work.error is None and work.commit.move is not None:
                with _failing(work):
                    work.commit.move.source.rename(work.commit.move.target)
        for number in range(max(len(work.commit.rounds) for work in together)):
            _put_in_place([work for work in together if work.error is None], number)
        for work in together:
            if work.error is None:
                with _failing(work):
                    _remove_old(work.commit)

    def _write_aside(self, work: _Work) -> None:
        for puts in work.commit.rounds:
            work.parts.append([])
            for put in puts:
                part = durable.aside(self._tmp, put.place.name)
                work.parts[-1].append(part)
                work.descriptors.append(durable.write_new(part, put.data))


def _sync_bytes(together: list[_Work], tmp: int) -> None:
    """Make what is written aside durable; `tmp`: a descriptor of the file system."""
    if SYNC_FILE_SYSTEM is not None and sum(len(work.descriptors) for work in together) >= MANY:
        for work in together:
            with _failing(work):
                _close(work)  # a file system without room may say so only now
        try:
            SYNC_FILE_SYSTEM(tmp)
        except OSError as error:
            for work in together:
                with _failing(work), _optional(work):
                    raise error
        return
    for work in together:
        with _failing(work), _optional(work):
            for descriptor in work.descriptors:
                os.fsync(descriptor)
            _close(work)


def _put_in_place(together: list[_Work], number: int) -> None:
    """Make the names of a round appear, and durable."""
    folders: dict[Path, list[_Work]] = {}
    for work in together:
        if number < len(work.commit.rounds):
            for part, put in zip(work.parts[number], work.commit.rounds[number], strict=True):
                with _failing(work), _optional(work):
                    os.replace(part, put.place)  # noqa: PTH105  as fast as it gets
                    if work.commit.move is None:
                        folders.setdefault(put.place.parent, []).append(work)
    for folder, works in folders.items():
        try:
            durable.sync_folder(folder)
        except OSError as error:
            for work in works:
                work.error = work.error or error


def _remove_old(commit: Commit) -> None:
    old = commit.instead_of
    if old is not None and not any(put.place == old for puts in commit.rounds for put in puts):
        old.unlink(missing_ok=True)


@contextlib.contextmanager
def _failing(work: _Work) -> Iterator[None]:
    """One that fails does not hold up the others."""
    try:
        yield
    except Exception as error:
        work.error = work.error or error


@contextlib.contextmanager
def _optional(work: _Work) -> Iterator[None]:
    """A commit that is a move goes on without what cannot be written: work in hand can still be finished."""
    try:
        yield
    except OSError as error:
        if work.commit.move is None:
            raise
        log.warning("%s: moved, but not with its details: %s", work.commit.move.source.name, error)
        work.commit.rounds = ()


def _close(work: _Work) -> None:
    while work.descriptors:
        os.close(work.descriptors.pop())


def _clear(work: _Work) -> None:
    """Leave nothing behind of a commit that failed."""
    with contextlib.suppress(OSError):
        _close(work)
    if work.error is not None or not work.commit.rounds:
        for part in (part for parts in work.parts for part in parts):
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


def _tell(together: list[_Work]) -> None:
    """Wake those who wait, with one call for each loop."""
    for loop in {work.loop for work in together}:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and with it everyone who waited
            loop.call_soon_threadsafe(_settle, [work for work in together if work.loop is loop])


def _settle(together: list[_Work]) -> None:
    for work in together:
        if work.done.done():
            continue
        if work.error is None:
            work.done.set_result(None)
        else:
            work.done.set_exception(work.error)


def _file_system_sync() -> Callable[[int], None] | None:
    """Linux's syncfs, where it tells of errors: since 5.8, as its manual page says."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    release = [int(part) for part in platform.release().split("-")[0].split(".")[:2] if part.isdigit()]
    if call is None or release < [5, 8]:
        return None

    def sync(descriptor: int) -> None:
        if call(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    return sync


SYNC_FILE_SYSTEM = _file_system_sync()
