"""The workers: who they are, what they do, when they were last heard of."""

import contextlib
import logging
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter

from jobqueue import durable
from jobqueue.clock import Clock
from jobqueue.job import WORKER_ID, Json, Kind, WorkerReport
from jobqueue.wire import moment, timestamp

log = logging.getLogger(__name__)

SILENT_S = 120.0
"""After four missed heartbeats a worker counts as offline."""
REFRESH_S = 5.0
"""A file that says nothing new is not written again before this."""
FORGOTTEN_S = 2 * 24 * 3600.0
"""A machine that has been gone this long does not come back under its name."""


@dataclass(slots=True)
class Member:
    """A worker as the roster shows it."""

    worker_id: str
    hostname: str
    gpu_model: str
    status: str
    current_job: str | None
    jobs_completed: int
    jobs_failed: int
    avg_processing_time_seconds: float | None
    vastai_instance_id: str
    last_heartbeat: str
    created_at: str
    key: str = ""
    """Name of the key it last came with, `owner` for the main one; empty: it works inside the bot."""


MEMBER = TypeAdapter(Member)


class Roster:
    """`workers/{audio,video}/{worker_id}.json`, one file per worker, written with the next `flush`."""

    def __init__(self, folder: Path, tmp: Path, clock: Clock) -> None:
        """`tmp` must lie on the same file system as `folder`."""
        self._folder = folder
        self._tmp = tmp
        self._clock = clock
        self._members: dict[Kind, dict[str, Member]] = {kind: {} for kind in Kind}
        self._changed: set[tuple[Kind, str]] = set()

    def load(self) -> None:
        """Read the files; blocking. What cannot be read is left out: its worker will report again."""
        for kind in Kind:
            for path in (self._folder / kind).glob("*.json"):
                try:
                    member = MEMBER.validate_python(durable.read_record(path))
                    moment(member.last_heartbeat)
                    if member.worker_id != path.stem:
                        raise ValueError("its name is another worker's")
                except (OSError, ValueError) as error:
                    log.warning("worker file %s is left out: %s", path.name, error)
                    continue
                self._members[kind][path.stem] = member

    def saw(self, kind: Kind, report: WorkerReport) -> None:
        """A worker has been heard of."""
        now = timestamp(self._clock.now())
        member = self._members[kind].get(report.worker_id)
        if member is None:
            member = Member(report.worker_id, "", "", "", None, 0, 0, None, "", now, now)
            self._members[kind][report.worker_id] = member
        known = replace(member, last_heartbeat=now)
        is_old = self._clock.now() - moment(member.last_heartbeat) >= REFRESH_S
        member.status = report.status
        member.current_job = report.current_job
        member.hostname = report.hostname or member.hostname
        member.gpu_model = report.gpu_model or member.gpu_model
        member.vastai_instance_id = report.vastai_instance_id or member.vastai_instance_id
        member.key = report.key or member.key
        if is_old or replace(member, last_heartbeat=now) != known:
            member.last_heartbeat = now
            self._changed.add((kind, member.worker_id))

    def finished(self, kind: Kind, worker_id: str, *, taken_s: float | None) -> None:
        """A worker has ended a job: completed in `taken_s` seconds, or failed (None)."""
        member = self._members[kind].get(worker_id)
        if member is None:
            return
        if taken_s is None:
            member.jobs_failed += 1
        else:
            done, average = member.jobs_completed, member.avg_processing_time_seconds or 0.0
            member.avg_processing_time_seconds = round((average * done + taken_s) / (done + 1), 3)
            member.jobs_completed = done + 1
        member.current_job = None
        self._changed.add((kind, member.worker_id))

    def sweep(self) -> None:
        """Mark the silent as offline, forget those long gone."""
        now = self._clock.now()
        for kind, members in self._members.items():
            for member in list(members.values()):
                silent_s = now - moment(member.last_heartbeat)
                if silent_s > FORGOTTEN_S:
                    del members[member.worker_id]
                    with contextlib.suppress(OSError):
                        self._place(kind, member).unlink(missing_ok=True)
                elif silent_s > SILENT_S and member.status != "offline":
                    member.status, member.current_job = "offline", None
                    self._changed.add((kind, member.worker_id))

    def members(self, kind: Kind) -> list[dict[str, Json]]:
        """All known workers, the latest heard of first."""
        known = sorted(self._members[kind].values(), key=lambda member: member.last_heartbeat, reverse=True)
        return [asdict(member) for member in known]

    def online(self, kind: Kind) -> int:
        """How many workers are there, waiting or busy."""
        return sum(member.status != "offline" for member in self._members[kind].values())

    def key_of(self, kind: Kind, worker_id: str) -> str:
        """Name of the key the worker last came with; empty if it is unknown."""
        member = self._members[kind].get(worker_id)
        return member.key if member else ""

    def is_online(self, kind: Kind, worker_id: str) -> bool:
        member = self._members[kind].get(worker_id)
        return member is not None and member.status != "offline"

    def names(self, kind: Kind) -> Collection[str]:
        """Of all known workers."""
        return self._members[kind].keys()

    def names_online(self, kind: Kind) -> list[str]:
        """Of those who are there, waiting or busy."""
        return [name for name, member in self._members[kind].items() if member.status != "offline"]

    def changed(self) -> list[tuple[Path, bytes]]:
        """The files to be written and what goes into them, each once."""
        taken, self._changed = self._changed, set()
        members = [(kind, self._members[kind].get(worker_id)) for kind, worker_id in taken]
        return [(self._place(kind, each), durable.to_bytes(asdict(each))) for kind, each in members if each]

    def flush(self, changed: list[tuple[Path, bytes]]) -> None:
        """Write what `changed` gave. Blocking."""
        for place, data in changed:
            try:
                # Not synced: after a power cut the next heartbeat writes it again.
                durable.replace(self._tmp, place, data, sync_bytes=False, sync_name=False)
            except OSError as error:
                log.warning("worker %s: its file cannot be written: %s", place.stem, error)

    def _place(self, kind: Kind, member: Member) -> Path:
        if not WORKER_ID.fullmatch(member.worker_id):
            raise ValueError(member.worker_id)
        return self._folder / kind / f"{member.worker_id}.json"
