"""`/queue` and `/counter`: jobs in, jobs out, and what people want to know of them."""

import contextlib
import json
import re
from http import HTTPStatus

from aiohttp import web

from bot.endpoint.answers import (
    Accepted,
    Counted,
    JobShown,
    LogLine,
    Retried,
    Stats,
)
from bot.endpoint.audit import is_about
from bot.endpoint.bodies import (
    PriorityBody,
    read_body,
    read_object,
)
from bot.endpoint.callers import caller_of
from bot.endpoint.calls import JOB, JOB_PARAMETER, KIND, OF_A_JOB, Call, Parameter
from bot.endpoint.offers import Offers
from bot.endpoint.problems import Problem
from jobqueue.backend import Filter, JobView
from jobqueue.counters import Counters
from jobqueue.directory import DirectoryQueue
from jobqueue.disk import on_disk
from jobqueue.errors import JobNotFound, JobUnreadable
from jobqueue.intake import CHAT_ID, DAY
from jobqueue.job import Json, Kind
from jobqueue.lifecycle import State
from jobqueue.revival import retry_each
from jobqueue.wire import to_record

LIMIT_MAX = 500
KEY = re.compile(r"[\x21-\x7e]{1,255}")
OWN_VIEW = frozenset({"status", "progress", "position", "eta_s"})
"""What we say of a job; a field of its record with such a name is not shown."""

IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key",
    "a repeat with the same key returns the job of the first",
    {"type": "string", "pattern": f"^{KEY.pattern}$"},
    "header",
)
LIST_PARAMETERS = (
    Parameter(
        "status",
        "only in these states, separated by commas",
        {"type": "string", "pattern": "^({0})(,({0}))*$".format("|".join(State))},
    ),
    Parameter("channel", "only of this channel's code", {"type": "string"}),
    Parameter("date", "only of this day", {"type": "string", "pattern": f"^{DAY.pattern}$"}),
    Parameter("chat_id", "only of this Telegram chat", {"type": "string", "pattern": f"^{CHAT_ID.pattern}$"}),
    Parameter(
        "order", "which come first", {"type": "string", "enum": ["oldest", "newest"], "default": "oldest"}
    ),
    Parameter(
        "limit", "jobs a page", {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": 100}
    ),
    Parameter("cursor", "of the Link header", {"type": "string", "pattern": "^[0-9]{1,15}$"}),
)


RETRY_PARAMETERS = (
    Parameter("channel", "only those of this channel's code", {"type": "string"}),
    Parameter("chat_id", "only those of this chat", {"type": "string", "pattern": f"^{CHAT_ID.pattern}$"}),
)


class QueueRoutes:
    """The calls of programs and workers on the queue."""

    def __init__(self, queue: DirectoryQueue, counters: Counters) -> None:
        self._queue = queue
        self._counters = counters

    def calls(self) -> list[Call]:
        return [
            Call(
                "POST",
                f"/queue/{KIND}/jobs",
                self.enqueue,
                "Add a job",
                body_by_kind=Offers,
                answer=Accepted,
                status=HTTPStatus.CREATED,
                refusals=[HTTPStatus.CONFLICT],
                parameters=[IDEMPOTENCY_KEY],
            ),
            Call(
                "GET",
                f"/queue/{KIND}/jobs",
                self.list_jobs,
                "List jobs, page by page",
                answer=list[JobShown],
                answer_headers={"Link": 'the next page, with rel="next"; missing on the last'},
                parameters=LIST_PARAMETERS,
            ),
            Call(
                "GET",
                f"/queue/{KIND}/stats",
                self.stats,
                "How many jobs are in each state",
                answer=Stats,
            ),
            Call("GET", JOB, self.show, "One job", answer=JobShown, parameters=[JOB_PARAMETER]),
            Call("DELETE", JOB, self.cancel, "Cancel a job", answer=JobShown, **OF_A_JOB),
            Call(
                "PATCH",
                JOB,
                self.reprioritize,
                "Change a job's priority",
                body=PriorityBody,
                answer=JobShown,
                **OF_A_JOB,
            ),
            Call(
                "GET",
                f"{JOB}/logs",
                self.logs,
                "What happened to a job",
                answer=list[LogLine],
                parameters=[JOB_PARAMETER],
            ),
            Call(
                "POST",
                f"{JOB}/retry",
                self.retry,
                "Put a failed or cancelled job back",
                answer=JobShown,
                **OF_A_JOB,
            ),
            Call(
                "POST",
                f"/queue/{KIND}/retry",
                self.retry_all,
                "Put all failed jobs back, of a channel or a chat if one is named",
                answer=Retried,
                parameters=RETRY_PARAMETERS,
            ),
            Call(
                "POST",
                f"/counter/increment/{KIND}",
                self.increment,
                "The next running number",
                answer=Counted,
            ),
        ]

    async def enqueue(self, request: web.Request) -> web.Response:
        key = request.headers.get("Idempotency-Key")
        if key is not None and not KEY.fullmatch(key):
            raise Problem(HTTPStatus.BAD_REQUEST, "Idempotency-Key must be 1 to 255 printable characters")
        view = await self._queue.enqueue(_kind(request), await read_object(request), idempotency_key=key)
        is_about(request, view.job.id)
        answer = {"job_id": view.job.id, "status": view.state.value}
        if earlier := view.job.text("duplicate_of"):
            answer["duplicate_of"] = earlier
        return web.json_response(answer, status=HTTPStatus.CREATED)

    async def list_jobs(self, request: web.Request) -> web.StreamResponse:
        wanted = Filter(
            _kind(request),
            states=_states(request.query.get("status")),
            channel=request.query.get("channel"),
            date=_date(request.query.get("date")),
            chat_id=_chat(request.query.get("chat_id")),
        )
        cursor = request.query.get("cursor")
        if cursor is not None and not (cursor.isascii() and cursor.isdigit() and len(cursor) < 16):
            raise Problem(HTTPStatus.BAD_REQUEST, "cursor must come from the Link header of the page before")
        ids, following = await self._queue.ids(
            wanted,
            limit=_limit(request.query.get("limit", "100")),
            cursor=cursor,
            newest_first=_is_newest_first(request.query.get("order", "oldest")),
        )
        response = web.StreamResponse()
        response.content_type = "application/json"
        if following is not None:
            response.headers["Link"] = f'<{request.rel_url.update_query(cursor=following)}>; rel="next"'
        await response.prepare(request)
        if request.method != "HEAD":  # whose answer must end here: what follows would be read as the next
            await self._write_list(response, wanted.kind, ids)
        return response

    async def _write_list(self, response: web.StreamResponse, kind: Kind, ids: list[str]) -> None:
        """One job after the other: five hundred long scripts at once would hold the loop, and the memory."""
        before = b"["
        for job_id in ids:
            with contextlib.suppress(JobNotFound, JobUnreadable):  # too late to refuse the others
                view = await self._queue.get(kind, job_id)
                await response.write(before + json.dumps(shown(view)).encode())
                before = b","
        await response.write(b"]" if before == b"," else b"[]")
        await response.write_eof()

    async def show(self, request: web.Request) -> web.Response:
        return web.json_response(shown(await self._queue.get(_kind(request), request.match_info["job_id"])))

    async def logs(self, request: web.Request) -> web.Response:
        return web.json_response(await self._queue.logs(_kind(request), request.match_info["job_id"]))

    async def stats(self, request: web.Request) -> web.Response:
        return web.json_response(self._queue.stats(_kind(request)))

    async def cancel(self, request: web.Request) -> web.Response:
        by = caller_of(request).who
        view = await self._queue.cancel(_kind(request), request.match_info["job_id"], by=by)
        return web.json_response(shown(view))

    async def retry(self, request: web.Request) -> web.Response:
        by = caller_of(request).who
        view = await self._queue.retry(_kind(request), request.match_info["job_id"], by=by)
        return web.json_response(shown(view))

    async def retry_all(self, request: web.Request) -> web.Response:
        wanted = Filter(
            _kind(request),
            states=frozenset({State.FAILED}),
            channel=request.query.get("channel"),
            chat_id=_chat_id(request.query.get("chat_id")),
        )
        return web.json_response(
            {"retried": await retry_each(self._queue, wanted, by=caller_of(request).who)}
        )

    async def reprioritize(self, request: web.Request) -> web.Response:
        body = await read_body(request, PriorityBody)
        view = await self._queue.reprioritize(_kind(request), request.match_info["job_id"], body.priority)
        return web.json_response(shown(view))

    async def increment(self, request: web.Request) -> web.Response:
        kind = _kind(request)
        return web.json_response({"value": await on_disk(lambda: self._counters.increment(kind))})


def shown(view: JobView) -> dict[str, Json]:
    """A job as callers see it: its record, its state, and how far it is."""
    record = {name: value for name, value in to_record(view.job).items() if name not in OWN_VIEW}
    record["status"] = view.state.value
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


def _chat_id(text: str | None) -> int | None:
    if text is None:
        return None
    if not CHAT_ID.fullmatch(text):
        raise Problem(HTTPStatus.BAD_REQUEST, "chat_id must be a numeric Telegram chat id")
    return int(text)


def _chat(text: str | None) -> int | None:
    if text is not None and not CHAT_ID.fullmatch(text):
        raise Problem(HTTPStatus.BAD_REQUEST, "chat_id must be a numeric Telegram chat id")
    return None if text is None else int(text)


def _is_newest_first(text: str) -> bool:
    if text not in ("oldest", "newest"):
        raise Problem(HTTPStatus.BAD_REQUEST, "order must be oldest or newest")
    return text == "newest"


def _date(text: str | None) -> str | None:
    if text is not None and not DAY.fullmatch(text):
        raise Problem(HTTPStatus.BAD_REQUEST, "date must be such as 2025-01-27")
    return text


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= LIMIT_MAX):
        raise Problem(HTTPStatus.BAD_REQUEST, f"limit must be 1 to {LIMIT_MAX}")
    return int(text)
