"""The queue spoken to over HTTP, for a worker on another machine."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from http import HTTPStatus
from urllib.parse import quote

import aiohttp

from jobqueue.backend import JobView, Verdict
from jobqueue.errors import (
    JobInvalid,
    JobNotFound,
    KeyRefused,
    LeaseLost,
    QueueError,
    QueueUnreachable,
)
from jobqueue.job import Claim, Delivery, Job, Json, Kind, Orders, Progress, Result, WorkerReport
from jobqueue.lifecycle import State
from jobqueue.wire import OWN_FIELDS, from_record, moment

CALL_TIMEOUT_S = 30.0
SILENCE_TIMEOUT_S = 60.0
"""How long a transfer may stand still."""
VIEW_FIELDS = frozenset({"status", "progress", "position", "eta_s"})


class Connection:
    """The way to the endpoint: one session, the key on every call, errors translated."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url.rstrip("/")
        self._session = aiohttp.ClientSession(headers={"X-API-Key": key})

    async def __aenter__(self) -> "Connection":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    @asynccontextmanager
    async def request(
        self, method: str, path: str, *, timeout_s: float | None = CALL_TIMEOUT_S, **more: object
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer of any status but 401, 403, 429 and 5xx. Raises: KeyRefused, QueueUnreachable."""
        timeout = aiohttp.ClientTimeout(
            total=timeout_s, sock_connect=10, sock_read=timeout_s or SILENCE_TIMEOUT_S
        )
        try:
            async with self._session.request(method, self._url + path, timeout=timeout, **more) as answer:  # type: ignore[arg-type]
                if answer.status == HTTPStatus.UNAUTHORIZED:
                    raise KeyRefused(f"{self._url} does not accept the key in FILE_SERVER_API_KEY")
                if answer.status == HTTPStatus.FORBIDDEN:
                    raise KeyRefused(f"{self._url} refuses: {await detail(answer)}")
                if answer.status == HTTPStatus.TOO_MANY_REQUESTS or answer.status >= 500:
                    raise QueueUnreachable(f"{self._url} answered {answer.status}")
                yield answer
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            reason = str(error) or type(error).__name__
            raise QueueUnreachable(f"{self._url} cannot be reached: {reason}") from error

    async def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Json] | None = None,
        *,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> tuple[int, dict[str, Json]]:
        """Status and JSON object of the answer. Raises: as `request`."""
        async with self.request(method, path, timeout_s=timeout_s, json=body) as answer:
            try:
                found = json.loads(await answer.read() or b"{}")
            except ValueError:
                # A proxy on the way that answers for the bot, say.
                raise QueueUnreachable(f"{self._url} gave an answer that is no JSON") from None
            return answer.status, found if isinstance(found, dict) else {"items": found}


class HttpQueue:
    """The WorkQueue at the other end of a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def claim(
        self, kind: Kind, worker: WorkerReport, *, claim_id: str | None = None, wait_s: float = 0
    ) -> Delivery | None:
        body: dict[str, Json] = {
            "worker_id": worker.worker_id,
            "claim_id": claim_id,
            "wait": wait_s,
            "hostname": worker.hostname,
            "gpu_model": worker.gpu_model,
        }
        status, answer = await self._connection.call(
            "POST", f"/queue/{kind}/claim", body, timeout_s=wait_s + CALL_TIMEOUT_S
        )
        _raise_for(status, answer, "", worker.worker_id)
        record = answer.get("job")
        if not isinstance(record, dict):
            return None
        job = _job(kind, record)
        lease_s = record.get("lease_s")
        claim = Claim(kind, job.id, worker.worker_id, job.text("claim_token") or None)
        return Delivery(job, claim, float(lease_s) if isinstance(lease_s, int | float) else 90.0)

    async def heartbeat(self, kind: Kind, worker: WorkerReport) -> Orders:
        answer = await self._tell(f"/workers/{kind}/heartbeat", asdict(worker), "", worker.worker_id)
        return Orders(_ids(answer.get("lost")), _ids(answer.get("cancel")))

    async def progress(self, claim: Claim, progress: Progress) -> bool:
        return bool((await self._report(claim, "progress", asdict(progress))).get("cancel"))

    async def complete(self, claim: Claim, result: Result) -> None:
        await self._report(claim, "complete", result)

    async def fail(self, claim: Claim, reason: str, *, permanent: bool = False) -> Verdict:
        answer = await self._report(claim, "fail", {"error_message": reason, "permanent": permanent})
        not_before, count = answer.get("not_before"), answer.get("retry_count")
        return Verdict(
            State(str(answer.get("status"))),
            count if isinstance(count, int) else 0,
            moment(not_before) if isinstance(not_before, str) else None,
        )

    async def release(self, claim: Claim) -> None:
        await self._report(claim, "release", {})

    async def enqueue(self, kind: Kind, record: Mapping[str, Json]) -> str:
        """The id of the accepted job. Raises: JobInvalid, QueueError."""
        answer = await self._tell(f"/queue/{kind}/jobs", record, "", "")
        return str(answer["job_id"])

    async def get(self, kind: Kind, job_id: str) -> JobView:
        """Raises: JobNotFound."""
        status, answer = await self._connection.call("GET", f"/queue/{kind}/jobs/{quote(job_id)}")
        _raise_for(status, answer, job_id, "")
        progress = answer.get("progress")
        return JobView(
            _job(kind, answer),
            State(str(answer["status"])),
            Progress(**progress) if isinstance(progress, dict) else None,  # type: ignore[arg-type]
        )

    async def _report(self, claim: Claim, what: str, body: Mapping[str, Json]) -> dict[str, Json]:
        path = f"/queue/{claim.kind}/jobs/{quote(claim.job_id)}/{what}"
        holder: dict[str, Json] = {"worker_id": claim.worker_id, "claim_token": claim.token}
        return await self._tell(path, {**body, **holder}, claim.job_id, claim.worker_id)

    async def _tell(
        self, path: str, body: Mapping[str, Json], job_id: str, worker_id: str
    ) -> dict[str, Json]:
        status, answer = await self._connection.call("POST", path, body)
        _raise_for(status, answer, job_id, worker_id)
        return answer


def _raise_for(status: int, answer: Mapping[str, Json], job_id: str, worker_id: str) -> None:
    if status < 400:
        return
    detail = str(answer.get("detail") or f"status {status}")
    errors = answer.get("errors")
    if status == HTTPStatus.NOT_FOUND and not job_id:
        raise KeyRefused("there is no endpoint of ours at FILE_SERVER_URL: correct it")
    if status == HTTPStatus.NOT_FOUND:
        raise JobNotFound(job_id)
    if status == HTTPStatus.CONFLICT:
        raise LeaseLost(job_id, worker_id)
    if status == HTTPStatus.UNPROCESSABLE_ENTITY and isinstance(errors, dict):
        raise JobInvalid({name: str(reason) for name, reason in errors.items()})
    raise QueueError(detail)


def _job(kind: Kind, record: Mapping[str, Json]) -> Job:
    known = {name: value for name, value in record.items() if name not in VIEW_FIELDS or name in OWN_FIELDS}
    return from_record(kind, known, job_id=str(record.get("job_id")), created_at=0.0)


def _ids(value: Json) -> frozenset[str]:
    return frozenset(str(each) for each in value) if isinstance(value, list) else frozenset()


async def detail(answer: aiohttp.ClientResponse) -> str:
    """What a refusal says, in words."""
    try:
        return str(json.loads(await answer.read())["detail"])
    except (ValueError, KeyError, TypeError):
        return f"status {answer.status}"
