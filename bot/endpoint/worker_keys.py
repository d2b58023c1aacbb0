"""`worker_keys.json`: a key for each worker, so that one machine can be shut out without the others."""

import asyncio
import hashlib
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import filelock
from pydantic import TypeAdapter

from jobqueue import durable, worker_key
from jobqueue.clock import Clock
from jobqueue.disk import in_thread
from jobqueue.job import Json
from jobqueue.wire import timestamp

log = logging.getLogger(__name__)

LOCK_PATIENCE_S = 10


@dataclass(frozen=True, slots=True)
class KnownKey:
    """What is kept of a worker's key: never the key itself."""

    name: str
    sha256: str
    """Hexadecimal. A plain hash is right: nobody can try all of 256 random bits, so no try need be slow."""
    created_at: str
    revoked_at: str | None = None


class KeyNameRefused(Exception):
    """No key can be made or revoked under this name; says why."""


KEYS = TypeAdapter(dict[str, KnownKey])


class KeyFile:
    """Makes and revokes keys, whether a bot runs or not. Blocking."""

    def __init__(self, data_dir: Path, clock: Clock) -> None:
        self._tmp = data_dir / "tmp"
        self._lock = filelock.FileLock(data_dir / "worker_keys.lock", timeout=LOCK_PATIENCE_S)
        self._clock = clock
        self.path = data_dir / "worker_keys.json"

    def read(self) -> dict[str, KnownKey]:
        """All keys by name, the revoked ones too. Raises: OSError, ValueError if the file is damaged."""
        try:
            record = durable.read_record(self.path)
        except FileNotFoundError:
            return {}
        keys = KEYS.validate_python(record.get("keys"))
        # A name decides what its key may do: one we would not have given is not taken from a file either.
        if odd := next((name for name in keys if not _is_name(name)), None):
            raise ValueError(f"{odd!r} is no name of a worker's key")
        return keys

    def add(self, name: str) -> str:
        """Make a key: it is returned here and can never be had again. Raises: KeyNameRefused."""
        if not _is_name(name):
            raise KeyNameRefused(
                f"NAME={name!r} will not do: 1 to 32 lower-case letters, digits and -, such as gpu-1"
                f" (and not {' or '.join(sorted(worker_key.RESERVED))})"
            )
        with self._changed() as keys:
            known = keys.get(name)
            if known is not None and known.revoked_at is None:
                raise KeyNameRefused(
                    f"{name} has a key since {known.created_at}: revoke it first"
                    f" (make worker-key NAME={name} REVOKE=1), or choose another name"
                )
            key = worker_key.new_key(name)
            keys[name] = KnownKey(name, digest(key).hex(), timestamp(self._clock.now()))
        return key

    def revoke(self, name: str) -> None:
        """From now on the key opens nothing. Raises: KeyNameRefused."""
        with self._changed() as keys:
            known = keys.get(name)
            if known is None:
                raise KeyNameRefused(f"no key has the name {name!r}: make worker-keys lists those there are")
            if known.revoked_at is not None:
                raise KeyNameRefused(f"the key of {name} was revoked at {known.revoked_at} already")
            keys[name] = replace(known, revoked_at=timestamp(self._clock.now()))

    @contextmanager
    def _changed(self) -> Iterator[dict[str, KnownKey]]:
        """The keys, to be changed inside the block; written durably at its end."""
        durable.make_folder(self._tmp)
        with self._lock:
            keys = self.read()
            yield keys
            record: dict[str, Json] = {"keys": {name: asdict(known) for name, known in keys.items()}}
            durable.replace(self._tmp, self.path, durable.to_bytes(record))


class WorkerKeys:
    """The keys as a running bot sees them: one made or revoked beside it counts from the next call on."""

    def __init__(self, file: KeyFile) -> None:
        self._file = file
        self._lock = asyncio.Lock()
        self._seen: tuple[int, ...] | None = None
        self._names: Mapping[bytes, str] = {}
        """Good keys by digest. Finding one by its digest tells nothing by how long it takes."""

    async def find(self, key: str) -> str | None:
        """The name the key was made for; None if it is none of ours, or revoked."""
        # A stat costs a few microseconds, so there is no need to trust what was read a second ago.
        if self._seen != self._signature():
            async with self._lock:
                await self._reload()
        return self._names.get(digest(key))

    def owner_of(self, worker_id: str) -> str | None:
        """The name whose key alone may use this worker id, as it is made of that name."""
        name = worker_id.partition(".")[0]
        return name if name in self._names.values() else None

    def _signature(self) -> tuple[int, ...]:
        try:
            facts = self._file.path.stat()
        except OSError:
            return ()
        return (facts.st_mtime_ns, facts.st_size, facts.st_ino)

    async def _reload(self) -> None:
        seen = self._signature()
        if seen == self._seen:
            return
        try:
            keys = await in_thread(self._file.read)
            good = {
                bytes.fromhex(known.sha256): name for name, known in keys.items() if known.revoked_at is None
            }
        except (OSError, ValueError) as error:
            # The workers go on with the keys they had; a revocation comes through the program, not an editor.
            log.error("worker_keys.json cannot be read, the keys known before stay good: %s", error)
        else:
            self._names = good
        self._seen = seen


def _is_name(name: str) -> bool:
    return worker_key.NAME.fullmatch(name) is not None and name not in worker_key.RESERVED


def digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="surrogateescape")).digest()
