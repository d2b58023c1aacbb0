"""What callers send: the bodies of the endpoint's calls, with their limits."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable
from http import HTTPStatus
from typing import Annotated, Literal, NoReturn, TypeVar

from aiohttp import web
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bot.endpoint.callers import require_worker
from bot.endpoint.problems import Problem
from jobqueue.errors import JobInvalid
from jobqueue.job import WORKER_ID, Claim, Json, Kind, Progress, WorkerReport
from jobqueue.pace import LONGEST_S
from jobqueue.storage import MAX_PATH_BYTES
from jobqueue.wire import LARGEST, unpointed

BODY_MAX_BYTES = 1 << 20
CLAIM_ID = r"^[A-Za-z0-9._-]{1,128}$"
WAIT_MAX_S = 60
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")
DEPTH_MAX = 100
"""Levels of lists and objects; far below what any JSON reader on the way can bear."""

WorkerId = Annotated[str, Field(pattern=f"^{WORKER_ID.pattern}$")]
Path = Annotated[str, Field(max_length=MAX_PATH_BYTES)]
ShortText = Annotated[str, Field(max_length=200)]
Count = Annotated[int, Field(ge=0, le=LARGEST), BeforeValidator(unpointed)]
B = TypeVar("B", bound=BaseModel)


class Body(BaseModel):
    """What a caller sends: of the types it says, `"5"` is no number. Other fields are ignored."""

    model_config = ConfigDict(strict=True)


class WorkerBody(Body):
    """What every call of a worker begins with."""

    worker_id: WorkerId


class ClaimBody(WorkerBody):
    """POST /queue/{type}/claim."""

    claim_id: Annotated[str, Field(pattern=CLAIM_ID)] | None = None
    wait: Annotated[float, Field(ge=0, le=WAIT_MAX_S)] = 0
    hostname: ShortText = ""
    gpu_model: ShortText | None = None

    def report(self) -> WorkerReport:
        return WorkerReport(self.worker_id, hostname=self.hostname, gpu_model=self.gpu_model or "")


class HolderBody(WorkerBody):
    """What every call about a claimed job begins with."""

    claim_token: Annotated[str, Field(max_length=200)] | None = None

    def claim(self, kind: Kind, job_id: str) -> Claim:
        return Claim(kind, job_id, self.worker_id, self.claim_token)


class CompleteBody(HolderBody):
    """POST …/complete: the rest of the body is the result."""

    model_config = ConfigDict(extra="allow")

    audio_path: Path | None = None
    video_path: Path | None = None
    gofile_link: Annotated[str, Field(max_length=2000)] | None = None
    duration_s: Annotated[float, Field(ge=0, le=LONGEST_S)] | None = None

    def result(self) -> dict[str, Json]:
        return self.model_dump(exclude=set(HolderBody.model_fields), exclude_unset=True)


class FailBody(HolderBody):
    """POST …/fail."""

    error_message: str = "the worker gave no reason"
    permanent: bool = False


class ProgressBody(HolderBody):
    """POST …/progress."""

    percent: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
    message: Annotated[str, Field(max_length=1000)] = ""
    chunk: Count | None = None
    chunks: Count | None = None

    def progress(self) -> Progress:
        return Progress(self.percent, self.message, self.chunk, self.chunks)


class PriorityBody(Body):
    """PATCH …/{id}."""

    priority: Annotated[int, Field(ge=-LARGEST, le=LARGEST), BeforeValidator(unpointed)]


class HeartbeatBody(WorkerBody):
    """POST /workers/{type}/heartbeat."""

    status: Literal["online", "busy", "offline"] = "online"
    current_job: ShortText | None = None
    hostname: ShortText | None = None
    gpu_model: ShortText | None = None
    vastai_instance_id: ShortText | int | None = None

    def report(self) -> WorkerReport:
        return WorkerReport(
            self.worker_id,
            self.status,
            self.current_job,
            self.hostname or "",
            self.gpu_model or "",
            "" if self.vastai_instance_id is None else str(self.vastai_instance_id),
        )


async def read_object(request: web.Request) -> dict[str, Json]:
    """The JSON object in the body; an empty body is an empty object. Raises: Problem."""
    refuse_too_long(request)
    try:
        data = await request.read()
    except web.RequestPayloadError:
        raise Problem(HTTPStatus.BAD_REQUEST, "the body is not what its Content-Encoding says") from None
    if not data.strip():
        return {}
    if "json" not in request.content_type:
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send JSON, with Content-Type: application/json")
    try:
        body = json.loads(data, parse_constant=_no_number, parse_float=_finite, object_pairs_hook=_distinct)
    except _NamedTwice as error:
        raise Problem(HTTPStatus.BAD_REQUEST, str(error)) from None
    except (ValueError, RecursionError):
        raise Problem(HTTPStatus.BAD_REQUEST, "the body is not JSON") from None
    if _is_deeper(body, DEPTH_MAX):
        raise Problem(HTTPStatus.BAD_REQUEST, f"the body is nested deeper than {DEPTH_MAX} levels")
    if not isinstance(body, dict):
        raise Problem(HTTPStatus.BAD_REQUEST, "the body must be a JSON object")
    return _whole_characters(body) if SURROGATE.search(data) else body


def refuse_too_long(request: web.Request) -> None:
    """Refuse a JSON body by the length it is announced with, before any of it is read. Raises: Problem."""
    if (request.content_length or 0) > BODY_MAX_BYTES:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body may have {BODY_MAX_BYTES} bytes")


async def read_body(request: web.Request, model: type[B]) -> B:
    """The body as its model, checked to name no worker but the caller's own.

    Raises: Problem; JobInvalid naming the fields that are wrong.
    """
    body = await read_object(request)
    try:
        found = model.model_validate(body)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        raise JobInvalid({str(fault["loc"][0]): fault["msg"] for fault in faults}) from None
    if isinstance(found, WorkerBody):
        require_worker(request, found.worker_id)
    return found


class _NamedTwice(ValueError):
    """An object names a field twice, and programs differ in which of the two they believe."""


def _distinct(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise _NamedTwice(f"the body names {twice[:100]!r} twice")
    return found


def _whole_characters(body: dict[str, Json]) -> dict[str, Json]:
    """The body with `?` for each half of a character, cut by some program: it has no UTF-8."""
    text = json.dumps(body, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        whole: dict[str, Json] = json.loads(text.encode(errors="replace"))
        return whole
    return body


def _is_deeper(value: Json, levels: int) -> bool:
    """Whether lists and objects lie in each other more than `levels` deep."""
    layer = [value]
    for _ in range(levels):
        layer = [inner for outer in layer for inner in _inside(outer) if isinstance(inner, dict | list)]
        if not layer:
            return False
    return True


def _inside(value: Json) -> Iterable[Json]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text} is beyond what JSON can say")
    return number
