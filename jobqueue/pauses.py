"""Which queues and which workers are paused: they finish what they have, and get no more."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from jobqueue import durable
from jobqueue.disk import on_disk
from jobqueue.job import WORKER_ID, Json, Kind

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Held:
    """What is paused of one kind."""

    queue: bool = False
    workers: set[str] = field(default_factory=set)

    def to_json(self) -> dict[str, Json]:
        return {"queue": self.queue, "workers": [*sorted(self.workers)]}


class Pauses:
    """`paused.json`: `{"audio": {"queue": true, "workers": []}, "video": …}`. A restart changes nothing."""

    def __init__(self, path: Path, tmp: Path, corrupt: Path, changed: Callable[[Kind], None]) -> None:
        """
        Args:
            tmp, corrupt: on the same file system as `path`; the second takes the file if it is unreadable.
            changed: called when claims that wait have reason to look again.
        """
        self._path = path
        self._tmp = tmp
        self._corrupt = corrupt
        self._changed = changed
        self._held = {kind: _Held() for kind in Kind}
        self._lock = asyncio.Lock()

    def load(self) -> None:
        """Go on from the file. Blocking. One that cannot be read is set aside, and nothing is paused."""
        try:
            record = durable.read_record(self._path)
            self._held = {kind: _from_json(record.get(kind)) for kind in Kind}
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            log.error(
                "paused.json cannot be read (%s): it is set aside in corrupt/, and nothing is paused", error
            )
            try:
                self._path.replace(self._corrupt / durable.aside(self._corrupt, self._path.name).name)
            except OSError as stuck:
                log.error("paused.json cannot be moved to corrupt/: %s", stuck)

    def is_paused(self, kind: Kind, worker_id: str | None = None) -> bool:
        """Whether the whole queue is; with a `worker_id`, whether that worker itself is."""
        held = self._held[kind]
        return held.queue if worker_id is None else worker_id in held.workers

    def holds_back(self, kind: Kind, worker_id: str) -> bool:
        """Whether this worker gets no job now."""
        return self.is_paused(kind) or self.is_paused(kind, worker_id)

    async def pause(self, kind: Kind, worker_id: str | None = None) -> None:
        """Hand out no more jobs of the kind, or none to this worker. Raises: QueueUnwritable."""
        await self._set(kind, worker_id, paused=True)

    async def resume(self, kind: Kind, worker_id: str | None = None) -> None:
        """Hand out jobs again. Raises: QueueUnwritable."""
        await self._set(kind, worker_id, paused=False)

    async def _set(self, kind: Kind, worker_id: str | None, *, paused: bool) -> None:
        async with self._lock:
            if self.is_paused(kind, worker_id) is paused:
                return
            known = self._held[kind]
            if worker_id is None:
                held = _Held(paused, known.workers)
            else:
                held = _Held(
                    known.queue, known.workers | {worker_id} if paused else known.workers - {worker_id}
                )
            record: dict[str, Json] = {each: it.to_json() for each, it in (self._held | {kind: held}).items()}
            await on_disk(lambda: durable.replace(self._tmp, self._path, durable.to_bytes(record)))
            self._held[kind] = held
        log.info("%s %s", f"{kind} queue" if worker_id is None else f"worker {worker_id}", _word(paused))
        self._changed(kind)


def _word(paused: bool) -> str:
    return "is paused" if paused else "goes on"


def _from_json(value: Json) -> _Held:
    """Raises: ValueError."""
    if value is None:
        return _Held()
    workers = value.get("workers", []) if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(workers, list):
        raise ValueError("it does not say what is paused")
    return _Held(
        value.get("queue") is True,
        {name for name in workers if isinstance(name, str) and WORKER_ID.fullmatch(name)},
    )
