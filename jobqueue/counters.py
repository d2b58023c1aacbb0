"""Running numbers of all jobs ever made, in a file that other programs may read."""

import threading
import time
from pathlib import Path

import filelock

from jobqueue import durable
from jobqueue.job import Json, Kind
from jobqueue.wire import LARGEST, timestamp

LOCK_TIMEOUT_S = 10


class Counters:
    """`counters.json`. A number may be skipped, never given twice. Thread-safe.

    Jobs get theirs from memory, because each carries its number in a record of its own,
    which is durable; the file follows with the next `flush`.
    """

    def __init__(self, path: Path, tmp: Path) -> None:
        """`tmp` must lie on the same file system as `path`."""
        self._path = path
        self._tmp = tmp
        self._lock = filelock.FileLock(path.with_suffix(".lock"), timeout=LOCK_TIMEOUT_S)
        self._mutex = threading.Lock()
        self._last = dict.fromkeys(Kind, 0)
        self._written = dict.fromkeys(Kind, 0)

    def next(self, kind: Kind) -> int:
        """The next number, for a caller that writes it down durably itself."""
        with self._mutex:
            self._last[kind] += 1
            return self._last[kind]

    def increment(self, kind: Kind) -> int:
        """The next number, durably in the file. Blocking."""
        with self._lock:
            self._catch_up(self._read())
            value = self.next(kind)
            self._write()
            return value

    def at_least(self, kind: Kind, value: int) -> None:
        """See to it that the next number is above `value`: what the jobs on disk already carry."""
        if self._last[kind] < value <= LARGEST:  # beyond, somebody has written nonsense
            with self._mutex:
                self._last[kind] = max(self._last[kind], value)

    def load(self) -> None:
        """Go on from the file. Blocking."""
        with self._lock:
            self._catch_up(self._read())

    def flush(self) -> None:
        """Bring the file up to date. Blocking."""
        if self._last != self._written:
            with self._lock:
                self._catch_up(self._read())
                self._write()

    def _catch_up(self, found: dict[Kind, int]) -> None:
        for kind, value in found.items():
            self.at_least(kind, value)

    def _write(self) -> None:
        with self._mutex:
            last = dict(self._last)
        record: dict[str, Json] = {f"{kind}_counter": value for kind, value in last.items()}
        record["updated_at"] = timestamp(time.time())
        durable.replace(self._tmp, self._path, durable.to_bytes(record))
        self._written = last

    def _read(self) -> dict[Kind, int]:
        try:
            record = durable.read_record(self._path)
        except FileNotFoundError:
            return {}
        except ValueError:
            # Set the unreadable file aside; the numbers in the jobs themselves bring us back above the last.
            self._path.replace(self._path.with_suffix(".unreadable"))
            return {}
        return {kind: value for kind in Kind if isinstance(value := record.get(f"{kind}_counter"), int)}
