"""`/queue` and `/counter`: jobs in, jobs out, and what people want to know of them."""

import re
from http import HTTPStatus

from aiohttp import web

from bot.endpoint.bodies import (
    ClaimBody,
    CompleteBody,
    FailBody,
    HolderBody,
    PriorityBody,
    ProgressBody,
    read_body,
    read_object,
)
from bot.endpoint.calls import KIND, Access, Call
from bot.endpoint.problems import Problem
from jobqueue.backend import Filter, JobView
from jobqueue.counters import Counters
from jobqueue.directory import DirectoryQueue
from jobqueue.job import Json, Kind
from jobqueue.ledger import on_disk
from jobqueue.lifecycle import State
from jobqueue.wire import timestamp, to_record

LIMIT_MAX = 500
JOB = f"/queue/{KIND}/jobs/{{job_id}}"
KEY = re.compile(r"[\x21-\x7e]{1,255}")


class QueueRoutes:
    """The calls of programs and workers on the queue."""

    def __init__(self, queue: DirectoryQueue, counters: Counters, lease_s: float) -> None:
        self._queue = queue
        self._counters = counters
        self._lease_s = lease_s

    def calls(self) -> list[Call]:
        return [
            Call("POST", f"/queue/{KIND}/jobs", self.enqueue, "Add a job"),
            Call("GET", f"/queue/{KIND}/jobs", self.list_jobs, "List jobs, page by page"),
            Call("POST", f"/queue/{KIND}/claim", self.claim, "Take the next job", Access.WORKER),
            Call("GET", f"/queue/{KIND}/stats", self.stats, "How many jobs are in each state"),
            Call("GET", JOB, self.show, "One job"),
            Call("DELETE", JOB, self.cancel, "Cancel a job"),
            Call("PATCH", JOB, self.reprioritize, "Change a job's priority"),
            Call("GET", f"{JOB}/logs", self.logs, "What happened to a job"),
            Call("POST", f"{JOB}/complete", self.complete, "Report a job as done", Access.WORKER),
            Call("POST", f"{JOB}/fail", self.fail, "Report a failed attempt", Access.WORKER),
            Call(
                "POST", f"{JOB}/progress", self.progress, "Report progress and renew the lease", Access.WORKER
            ),
            Call(
                "POST", f"{JOB}/release", self.release, "Hand a job back, no attempt counted", Access.WORKER
            ),
            Call("POST", f"{JOB}/retry", self.retry, "Put a failed or cancelled job back"),
            Call("POST", f"/counter/increment/{KIND}", self.increment, "The next running number"),
        ]

    # --- programs

    async def enqueue(self, request: web.Request) -> web.Response:
        key = request.headers.get("Idempotency-Key")
        if key is not None and not KEY.fullmatch(key):
            raise Problem(HTTPStatus.BAD_REQUEST, "Idempotency-Key must be 1 to 255 printable characters")
        view = await self._queue.enqueue(_kind(request), await read_object(request), idempotency_key=key)
        return web.json_response({"job_id": view.job.id, "status": view.state}, status=HTTPStatus.CREATED)

    async def list_jobs(self, request: web.Request) -> web.Response:
        wanted = Filter(
            _kind(request),
            states=_states(request.query.get("status")),
            channel=request.query.get("channel"),
            date=request.query.get("date"),
        )
        cursor = request.query.get("cursor")
        if cursor is not None and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 16):
            raise Problem(HTTPStatus.BAD_REQUEST, "cursor must come from the Link header of the page before")
        page = await self._queue.jobs(wanted, limit=_limit(request.query.get("limit", "100")), cursor=cursor)
        headers = {}
        if page.cursor is not None:
            following = request.rel_url.update_query(cursor=page.cursor)
            headers["Link"] = f'<{following}>; rel="next"'
        return web.json_response([shown(view) for view in page.jobs], headers=headers)

    async def show(self, request: web.Request) -> web.Response:
        return web.json_response(shown(await self._queue.get(_kind(request), request.match_info["job_id"])))

    async def logs(self, request: web.Request) -> web.Response:
        return web.json_response(await self._queue.logs(_kind(request), request.match_info["job_id"]))

    async def stats(self, request: web.Request) -> web.Response:
        return web.json_response(self._queue.stats(_kind(request)))

    async def cancel(self, request: web.Request) -> web.Response:
        view = await self._queue.cancel(_kind(request), request.match_info["job_id"], by="the endpoint")
        return web.json_response(shown(view))

    async def retry(self, request: web.Request) -> web.Response:
        view = await self._queue.retry(_kind(request), request.match_info["job_id"], by="the endpoint")
        return web.json_response(shown(view))

    async def reprioritize(self, request: web.Request) -> web.Response:
        body = await read_body(request, PriorityBody)
        view = await self._queue.reprioritize(_kind(request), request.match_info["job_id"], body.priority)
        return web.json_response(shown(view))

    async def increment(self, request: web.Request) -> web.Response:
        kind = _kind(request)
        return web.json_response({"value": await on_disk(lambda: self._counters.increment(kind))})

    # --- workers

    async def claim(self, request: web.Request) -> web.Response:
        body = await read_body(request, ClaimBody)
        delivery = await self._queue.claim(
            _kind(request), body.report(), claim_id=body.claim_id, wait_s=body.wait
        )
        if delivery is None:
            return web.json_response({"job": None})
        if request.transport is None or request.transport.is_closing():
            # Whoever waited for this job has hung up: nobody must wait for a lease to run out.
            await self._queue.release(delivery.claim)
            return web.json_response({"job": None})
        record = to_record(delivery.job)
        record |= {"claim_token": delivery.claim.token, "lease_s": round(delivery.lease_s, 3)}
        return web.json_response({"job": record})

    async def complete(self, request: web.Request) -> web.Response:
        body = await read_body(request, CompleteBody)
        await self._queue.complete(body.claim(_kind(request), request.match_info["job_id"]), body.result())
        return web.json_response({"status": State.COMPLETED})

    async def fail(self, request: web.Request) -> web.Response:
        body = await read_body(request, FailBody)
        claim = body.claim(_kind(request), request.match_info["job_id"])
        verdict = await self._queue.fail(claim, body.error_message, permanent=body.permanent)
        not_before = None if verdict.not_before is None else timestamp(verdict.not_before)
        return web.json_response(
            {"status": verdict.state, "retry_count": verdict.retry_count, "not_before": not_before}
        )

    async def progress(self, request: web.Request) -> web.Response:
        body = await read_body(request, ProgressBody)
        claim = body.claim(_kind(request), request.match_info["job_id"])
        is_cancelled = await self._queue.progress(claim, body.progress())
        return web.json_response({"cancel": is_cancelled, "lease_s": 0 if is_cancelled else self._lease_s})

    async def release(self, request: web.Request) -> web.Response:
        body = await read_body(request, HolderBody)
        await self._queue.release(body.claim(_kind(request), request.match_info["job_id"]))
        return web.json_response({"status": State.PENDING})


def shown(view: JobView) -> dict[str, Json]:
    """A job as callers see it: its record, its state, and how far it is."""
    record = to_record(view.job) | {"status": view.state.value}
    if view.progress is not None:
        record["progress"] = {
            "percent": view.progress.percent,
            "message": view.progress.message,
            "chunk": view.progress.chunk,
            "chunks": view.progress.chunks,
        }
    if view.position is not None:
        record["position"] = view.position
    if view.eta_s is not None:
        record["eta_s"] = round(view.eta_s, 1)
    return record


def _kind(request: web.Request) -> Kind:
    return Kind(request.match_info["kind"])


def _states(text: str | None) -> frozenset[State] | None:
    if text is None:
        return None
    try:
        return frozenset(State(name) for name in text.split(","))
    except ValueError:
        raise Problem(HTTPStatus.BAD_REQUEST, f"status must be among {', '.join(State)}") from None


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= LIMIT_MAX):
        raise Problem(HTTPStatus.BAD_REQUEST, f"limit must be 1 to {LIMIT_MAX}")
    return int(text)
