"""What callers send: the bodies of the endpoint's calls, with their limits."""

import json
import math
from http import HTTPStatus
from typing import Annotated, Literal, NoReturn, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot.endpoint.problems import Problem
from jobqueue.errors import JobInvalid
from jobqueue.job import WORKER_ID, Claim, Json, Kind, Progress, WorkerReport
from jobqueue.wire import LARGEST

BODY_MAX_BYTES = 1 << 20
CLAIM_ID = r"^[A-Za-z0-9._-]{1,128}$"
WAIT_MAX_S = 60

WorkerId = Annotated[str, Field(pattern=f"^{WORKER_ID.pattern}$")]
ShortText = Annotated[str, Field(max_length=200)]
Count = Annotated[int, Field(ge=0, le=LARGEST)]
B = TypeVar("B", bound=BaseModel)


class ClaimBody(BaseModel):
    """POST /queue/{type}/claim."""

    worker_id: WorkerId
    claim_id: Annotated[str, Field(pattern=CLAIM_ID)] | None = None
    wait: Annotated[float, Field(ge=0, le=WAIT_MAX_S)] = 0
    hostname: ShortText = ""
    gpu_model: ShortText | None = None

    def report(self) -> WorkerReport:
        return WorkerReport(self.worker_id, hostname=self.hostname, gpu_model=self.gpu_model or "")


class HolderBody(BaseModel):
    """What every call about a claimed job begins with."""

    worker_id: WorkerId
    claim_token: Annotated[str, Field(max_length=200)] | None = None

    def claim(self, kind: Kind, job_id: str) -> Claim:
        return Claim(kind, job_id, self.worker_id, self.claim_token)


class CompleteBody(HolderBody):
    """POST …/complete: the rest of the body is the result."""

    model_config = ConfigDict(extra="allow")

    def result(self) -> dict[str, Json]:
        return dict(self.model_extra or {})


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


class PriorityBody(BaseModel):
    """PATCH …/{id}."""

    priority: Annotated[int, Field(ge=-LARGEST, le=LARGEST)]


class HeartbeatBody(BaseModel):
    """POST /workers/{type}/heartbeat."""

    worker_id: WorkerId
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
    try:
        data = await request.read()
    except web.RequestPayloadError:
        raise Problem(HTTPStatus.BAD_REQUEST, "the body is not what its Content-Encoding says") from None
    if not data.strip():
        return {}
    if "json" not in request.content_type:
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send JSON, with Content-Type: application/json")
    try:
        body = json.loads(data, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError):
        raise Problem(HTTPStatus.BAD_REQUEST, "the body is not JSON") from None
    if not isinstance(body, dict):
        raise Problem(HTTPStatus.BAD_REQUEST, "the body must be a JSON object")
    return body


async def read_body(request: web.Request, model: type[B]) -> B:
    """The body as its model. Raises: Problem; JobInvalid naming the fields that are wrong."""
    body = await read_object(request)
    try:
        return model.model_validate(body)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        raise JobInvalid({str(fault["loc"][0]): fault["msg"] for fault in faults}) from None


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text} is beyond what JSON can say")
    return number
