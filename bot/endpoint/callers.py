"""Who makes a request, and what the holder of a worker's key may touch with it."""

from dataclasses import dataclass, replace
from http import HTTPStatus

from aiohttp import web

from bot.endpoint.problems import Problem
from bot.endpoint.worker_keys import WorkerKeys
from jobqueue.directory import DirectoryQueue
from jobqueue.job import Kind, WorkerReport
from jobqueue.worker_key import RESERVED

OWNER_KEY = "owner"
VOICES = "voices/"
"""Reference voices, which any worker may read."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who was let in."""

    who: str
    """As logs name it: `owner` (the main key), `worker gpu-1` (a worker's key), `signed link`, `anyone`."""
    key_name: str = ""
    """What workers under this key are noted with: `owner`, or the worker key's name; empty without a key."""

    @property
    def is_owner(self) -> bool:
        return self.key_name == OWNER_KEY


OWNER = Caller("owner", OWNER_KEY)
DASHBOARD = Caller("dashboard", OWNER_KEY)
"""The owner again, by the cookie of a session."""
SIGNED = Caller("signed link")
ANYONE = Caller("anyone")


def with_key_of(name: str) -> Caller:
    return Caller(f"worker {name}", name)


class WorkerRights:
    """Keeps the holders of different worker keys out of each other's work; the main key may do everything.

    A worker id that is the name of a key, or begins with `NAME.`, is that key's alone. Any other id is
    the key's that uses it, for as long as that worker is online or holds a job.
    """

    def __init__(self, queue: DirectoryQueue, keys: WorkerKeys) -> None:
        self._queue = queue
        self._keys = keys

    def check_worker(self, key_name: str, kind: Kind, worker_id: str) -> None:
        """Whether the key's holder may speak as this worker. Raises: Problem."""
        if worker_id in RESERVED or self._holder(kind, worker_id) not in ("", key_name):
            raise Problem(
                HTTPStatus.FORBIDDEN,
                f"worker_id {worker_id!r} is not of the key {key_name!r}: set WORKER_ID to {key_name!r},"
                f" or to a name that begins with '{key_name}.'",
            )

    def signed(self, caller: Caller, kind: Kind, report: WorkerReport) -> WorkerReport:
        """The report with the name of its key. The main key does not take a worker over from another key."""
        is_foreign = caller.is_owner and self._holder(kind, report.worker_id) not in ("", OWNER_KEY)
        return report if is_foreign else replace(report, key=caller.key_name)

    def check_file(self, key_name: str, path: str, *, writing: bool) -> None:
        """Whether the key's holder may touch this file or folder. Raises: Problem."""
        if not writing and path.startswith(VOICES):
            return
        if not any(_is_below(path, folder) for folder in self._folders(key_name)):
            raise Problem(
                HTTPStatus.FORBIDDEN,
                f"{path!r} belongs to no job that a worker with the key {key_name!r} has in hand",
            )

    def _holder(self, kind: Kind, worker_id: str) -> str:
        """Name of the key whose worker this is just now; empty: nobody's."""
        owner = self._keys.owner_of(worker_id)
        if owner is not None:
            return owner
        roster = self._queue.roster
        is_there = roster.is_online(kind, worker_id) or self._queue.is_holding(kind, worker_id)
        return roster.key_of(kind, worker_id) if is_there else ""

    def _folders(self, key_name: str) -> set[str]:
        """Folders of the jobs that workers with this key hold."""
        held = {
            lease.job.organized_path
            for lease in self._queue.leases()
            if self._holder(lease.kind, lease.worker_id) == key_name
        }
        return held - {""}


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


# --- what the routes ask; the key check has put both answers on the request

CALLER = web.RequestKey("caller", Caller)
RIGHTS = web.RequestKey("rights", WorkerRights)


def caller_of(request: web.Request) -> Caller:
    """Who makes the request."""
    caller: Caller = request.get(CALLER, ANYONE)
    return caller


def require_worker(request: web.Request, worker_id: str) -> None:
    """Refuse a caller that speaks as another key's worker. Raises: Problem."""
    caller = caller_of(request)
    if not caller.is_owner:
        request[RIGHTS].check_worker(caller.key_name, Kind(request.match_info["kind"]), worker_id)


def require_file(request: web.Request, path: str, *, writing: bool) -> None:
    """Refuse a worker that reaches for files of others; `path` lies below `files/`. Raises: Problem."""
    caller = caller_of(request)
    if caller.key_name and not caller.is_owner:
        request[RIGHTS].check_file(caller.key_name, path, writing=writing)


def require_inside(request: web.Request, path: str, folder: str) -> None:
    """Refuse a worker that names a file outside the folder of its job. Raises: Problem."""
    caller = caller_of(request)
    if caller.key_name and not caller.is_owner and not _is_below(path, folder):
        raise Problem(
            HTTPStatus.FORBIDDEN, f"{path!r} is no file of this job, which has the folder {folder!r}"
        )


def share_of(request: web.Request) -> str:
    """In whose share of a scarce thing the request counts; empty for the owner, who may have all of it."""
    caller = caller_of(request)
    return "" if caller.is_owner else caller.key_name


def signed_report(request: web.Request, report: WorkerReport) -> WorkerReport:
    """A worker's report with the name of the key it came with."""
    return request[RIGHTS].signed(caller_of(request), Kind(request.match_info["kind"]), report)
