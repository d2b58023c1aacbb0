"""Sees every change that code makes below a folder, whichever way it goes about it, and can refuse calls.

Knows nothing of the code: it stands in for the calls of `os` and for `open`. That it has missed
nothing can be checked: what it has seen must add up to what lies there.
"""

import builtins
import io
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import aiofiles.threadpool

from jobqueue import commits
from tests.queue.disk.image import (
    Change,
    Files,
    Image,
    Named,
    Names,
    Spoiled,
    Synced,
    Truncated,
    Written,
    load,
)

Refusal = Callable[[str, str], None]
"""Told of each call and its relative path before it is made; raises the OSError it shall end with."""
WRITING = frozenset("wax+")


class Recording:
    """The changes made below `root` while it is watched, in order; safe for threads."""

    def __init__(self, root: Path) -> None:
        self.changes: list[Change] = []
        self.refuse: Refusal = lambda call, path: None
        self.write_at_most: int | None = None
        """Bytes that one write takes, as a disk that is nearly full would."""
        root.mkdir(exist_ok=True)
        self.root = root.resolve()
        self._before = load(self.root)
        self._now = load(self.root)
        self._open: dict[int, tuple[int, tuple[int, int]]] = {}
        self._lock = threading.RLock()
        self._real = {name: getattr(os, name) for name in _CALLS}
        self._real_open = builtins.open

    def position(self) -> int:
        """How many changes there have been."""
        with self._lock:
            return len(self.changes)

    def before(self) -> Image:
        """The disk as it was before the first change; may be asked for once."""
        return self._before

    def seen(self) -> Files:
        """What must lie there now, if nothing was missed."""
        with self._lock:
            return self._now.after_death()

    def settle(self) -> None:
        """Half a minute passes: the kernel has written everything back."""
        with self._lock:
            self._record(Synced(None))

    @contextmanager
    def watching(self) -> Iterator[None]:
        stand_ins = {name: getattr(self, f"_os_{name}") for name in _CALLS}
        with (
            mock.patch.multiple(os, **stand_ins),
            mock.patch.object(io, "open", self._open_file),
            mock.patch.object(builtins, "open", self._open_file),
            mock.patch.object(aiofiles.threadpool, "sync_open", self._open_file),
            # The one call that is not in `os`.
            mock.patch.object(commits, "SYNC_FILE_SYSTEM", self._sync_file_system),
        ):
            yield

    def _record(self, change: Change) -> None:
        self.changes.append(change)
        self._now.apply(change)

    # --- whether a call is ours

    def _inside(self, path: Any, dir_fd: int | None = None) -> str | None:
        """The path relative to the root; None if it leads elsewhere."""
        if isinstance(path, int):
            return None
        if dir_fd is not None and self._node(dir_fd) is not None:
            raise NotImplementedError("this recording does not follow changes through dir_fd yet")
        absolute = os.path.abspath(os.fsdecode(path))  # noqa: PTH100  pathlib would resolve links
        if not absolute.startswith(f"{self.root}/"):
            return None
        return absolute[len(str(self.root)) + 1 :]

    def _node(self, descriptor: int) -> int | None:
        """The node an open file is; None if it is none of ours."""
        number, identity = self._open.get(descriptor, (None, None))
        if number is None:
            return None
        try:
            facts = os.fstat(descriptor)
        except OSError:
            return None
        # Closed behind our back (by a file object in C), and the descriptor is another file's now.
        return number if (facts.st_dev, facts.st_ino) == identity else None

    # --- stand-ins for os

    def _os_open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        name = self._inside(path, dir_fd if flags & (os.O_WRONLY | os.O_RDWR) else None)
        if name is None and not (isinstance(path, (str, os.PathLike)) and self._is_root(path)):
            return int(self._real["open"](path, flags, mode, dir_fd=dir_fd))
        with self._lock:
            self.refuse("create" if flags & (os.O_WRONLY | os.O_RDWR) else "open", name or "")
            descriptor = int(self._real["open"](path, flags, mode))
            self._opened(descriptor, name, flags)
            return descriptor

    def _is_root(self, path: Any) -> bool:
        return os.path.abspath(os.fsdecode(path)) == str(self.root)  # noqa: PTH100

    def _opened(self, descriptor: int, name: str | None, flags: int) -> None:
        node: int | None = 0
        if name is not None:
            folder, last, node = self._now.find(name)
            if node is None:
                node = self._now.fresh_number()
                self._record(Names((Named(folder, last, node),)))
            elif flags & os.O_TRUNC and self._now.size(node):
                self._record(Truncated(node, 0))
        assert node is not None
        facts = os.fstat(descriptor)
        self._open[descriptor] = (node, (facts.st_dev, facts.st_ino))

    def _os_close(self, descriptor: int) -> None:
        with self._lock:
            node = self._node(descriptor)
            self._open.pop(descriptor, None)
            self._real["close"](descriptor)
            if node is not None:
                self.refuse("close", "")

    def _os_write(self, descriptor: int, data: Any) -> int:
        return self._written(descriptor, data, None)

    def _os_pwrite(self, descriptor: int, data: Any, offset: int) -> int:
        return self._written(descriptor, data, offset)

    def _os_writev(self, descriptor: int, buffers: Any) -> int:
        return self._written(descriptor, b"".join(bytes(each) for each in buffers), None)

    def _written(self, descriptor: int, data: Any, offset: int | None) -> int:
        with self._lock:
            node = self._node(descriptor)
            if node is None:
                real = self._real["write"] if offset is None else self._real["pwrite"]
                return int(real(descriptor, data, *(() if offset is None else (offset,))))
            self.refuse("write", "")
            taken = bytes(data)[: self.write_at_most]
            if offset is None:
                count = int(self._real["write"](descriptor, taken))
                offset = os.lseek(descriptor, 0, os.SEEK_CUR) - count
            else:
                count = int(self._real["pwrite"](descriptor, taken, offset))
            self._record(Written(node, offset, taken[:count]))
            return count

    def _os_ftruncate(self, descriptor: int, length: int) -> None:
        with self._lock:
            node = self._node(descriptor)
            if node is not None:
                self.refuse("ftruncate", "")
            self._real["ftruncate"](descriptor, length)
            if node is not None:
                self._record(Truncated(node, length))

    def _os_fsync(self, descriptor: int) -> None:
        with self._lock:
            node = self._node(descriptor)
            if node is not None:
                try:
                    self.refuse("fsync", "")
                except OSError:
                    self._record(Spoiled(node))
                    raise
            self._real["fsync"](descriptor)
            if node is not None:
                self._record(Synced(node))

    _os_fdatasync = _os_fsync

    def _os_sync(self) -> None:
        with self._lock:
            self._record(Synced(None))

    def _sync_file_system(self, descriptor: int) -> None:
        with self._lock:
            try:
                self.refuse("fsync", "")
            except OSError:
                for node in self._now.unforced():
                    self._record(Spoiled(node))
                raise
            self._record(Synced(None))

    def _os_rename(self, source: Any, target: Any, **more: Any) -> None:
        self._moved("rename", source, target, **more)

    def _os_replace(self, source: Any, target: Any, **more: Any) -> None:
        self._moved("replace", source, target, **more)

    def _moved(self, call: str, source: Any, target: Any, **more: Any) -> None:
        old, new = self._inside(source), self._inside(target)
        if old is None and new is None:
            self._real[call](source, target, **more)
            return
        if old is None or new is None or any(each is not None for each in more.values()):
            raise NotImplementedError("this recording does not follow files in and out yet")
        with self._lock:
            self.refuse("rename", new)
            self._real[call](source, target)
            from_folder, from_name, node = self._now.find(old)
            folder, name, _ = self._now.find(new)
            self._record(Names((Named(folder, name, node), Named(from_folder, from_name, None))))

    def _os_link(self, source: Any, target: Any, **more: Any) -> None:
        new = self._inside(target)
        if new is None:
            self._real["link"](source, target, **more)
            return
        with self._lock:
            self.refuse("link", new)
            self._real["link"](source, target)
            old = self._inside(source)
            assert old is not None
            folder, name, _ = self._now.find(new)
            self._record(Names((Named(folder, name, self._now.find(old)[2]),)))

    def _os_unlink(self, path: Any, *, dir_fd: int | None = None) -> None:
        self._removed("unlink", path, dir_fd)

    def _os_rmdir(self, path: Any, *, dir_fd: int | None = None) -> None:
        self._removed("rmdir", path, dir_fd)

    _os_remove = _os_unlink

    def _removed(self, call: str, path: Any, dir_fd: int | None) -> None:
        name = self._inside(path, dir_fd)
        if name is None:
            self._real[call](path, dir_fd=dir_fd)
            return
        with self._lock:
            self.refuse(call, name)
            self._real[call](path)
            folder, last, _ = self._now.find(name)
            self._record(Names((Named(folder, last, None),)))

    def _os_mkdir(self, path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        name = self._inside(path, dir_fd)
        if name is None:
            self._real["mkdir"](path, mode, dir_fd=dir_fd)
            return
        with self._lock:
            self.refuse("mkdir", name)
            self._real["mkdir"](path, mode)
            folder, last, _ = self._now.find(name)
            self._record(Names((Named(folder, last, self._now.fresh_number()),), is_folder=True))

    # --- a stand-in for open, whose own writes would never pass by os

    def _open_file(
        self,
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Any = None,
    ) -> Any:
        is_ours = file in self._open if isinstance(file, int) else self._inside(file) is not None
        if not WRITING & set(mode) or not is_ours:
            return self._real_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
        descriptor = file if isinstance(file, int) else os.open(file, _flags(mode), 0o666)
        raw = _RawFile(descriptor, closes=closefd)
        if buffering == 0:
            return raw
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        if "b" in mode:
            return buffered
        return io.TextIOWrapper(buffered, encoding, errors, newline, line_buffering=buffering == 1)


_CALLS = (
    "open",
    "close",
    "write",
    "pwrite",
    "writev",
    "ftruncate",
    "fsync",
    "fdatasync",
    "sync",
    "rename",
    "replace",
    "link",
    "unlink",
    "remove",
    "mkdir",
    "rmdir",
)


def _flags(mode: str) -> int:
    access = os.O_RDWR if "+" in mode else os.O_WRONLY
    how = {"w": os.O_CREAT | os.O_TRUNC, "a": os.O_CREAT | os.O_APPEND, "x": os.O_CREAT | os.O_EXCL}
    return access | os.O_CLOEXEC | next((flags for letter, flags in how.items() if letter in mode), 0)


class _RawFile(io.RawIOBase):
    """A file object in Python, so that what it does passes by `os`."""

    def __init__(self, descriptor: int, *, closes: bool) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._closes = closes

    def fileno(self) -> int:
        return self._descriptor

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = os.read(self._descriptor, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def write(self, data: Any) -> int:
        return os.write(self._descriptor, data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return os.lseek(self._descriptor, offset, whence)

    def truncate(self, size: int | None = None) -> int:
        length = self.tell() if size is None else size
        os.ftruncate(self._descriptor, length)
        return length

    def close(self) -> None:
        if self.closed:
            return
        try:
            super().close()
        finally:
            if self._closes:
                os.close(self._descriptor)
