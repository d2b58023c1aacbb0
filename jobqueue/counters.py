"""Running numbers of all jobs ever made, in a file that other programs may count on too."""

import time
from pathlib import Path

import filelock

from jobqueue import durable
from jobqueue.job import Json, Kind
from jobqueue.wire import timestamp

LOCK_TIMEOUT_S = 10


class Counters:
    """`counters.json`. A number may be skipped, never given twice. Blocking; call from a thread."""

    def __init__(self, path: Path, tmp: Path) -> None:
        """`tmp` must lie on the same file system as `path`."""
        self._path = path
        self._tmp = tmp
        self._lock = filelock.FileLock(path.with_suffix(".lock"), timeout=LOCK_TIMEOUT_S)

    def increment(self, kind: Kind, *, durable_write: bool = True) -> int:
        """The next number. `durable_write=False` where the caller writes the number down durably itself."""
        return self._raise_to(kind, 0, durable_write)

    def at_least(self, kind: Kind, value: int) -> None:
        """See to it that the next number is above `value`: what the jobs on disk already carry."""
        with self._lock:
            if self._read().get(f"{kind}_counter", 0) >= value:
                return
        self._raise_to(kind, value - 1, True)

    def _raise_to(self, kind: Kind, floor: int, durable_write: bool) -> int:
        with self._lock:
            counters = self._read()
            value = max(counters.get(f"{kind}_counter", 0), floor) + 1
            counters[f"{kind}_counter"] = value
            record: dict[str, Json] = {**counters, "updated_at": timestamp(time.time())}
            durable.replace(self._tmp, self._path, durable.to_bytes(record), durable=durable_write)
            return value

    def _read(self) -> dict[str, int]:
        found = dict.fromkeys((f"{kind}_counter" for kind in Kind), 0)
        try:
            record = durable.read_record(self._path)
        except FileNotFoundError:
            return found
        except ValueError:
            # Set the unreadable file aside; the numbers in the jobs themselves bring us back above the last.
            self._path.replace(self._path.with_suffix(".unreadable"))
            return found
        return found | {name: value for name in found if isinstance(value := record.get(name), int)}
