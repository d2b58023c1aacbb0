"""What a call of the endpoint is: who may make it, what serves it, and what the spec says of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import Any, TypeAlias, TypedDict

from aiohttp import web

from bot.endpoint.problems import Handler, Status
from jobqueue.job import JOB_ID

KIND = "{kind:audio|video}"
JOB = f"/queue/{KIND}/jobs/{{job_id}}"

Schema: TypeAlias = type[Any] | dict[str, Any]
"""A pydantic model (or another type pydantic knows), or JSON Schema as it stands."""


class Access(Enum):
    """Who may make a call."""

    ANYONE = "anyone"
    WORKER = "a worker"  # with a key of its own, or the main key
    OWNER = "the owner"  # with the main key alone


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something a caller may say beside the body."""

    name: str
    description: str
    schema: dict[str, Any]
    """JSON Schema of its value."""
    place: str = "query"
    """query, header, or path: for a `{name}` of the path that needs more than its pattern."""
    required: bool = False


JOB_PARAMETER = Parameter(
    "job_id",
    "the id the job was accepted under",
    {"type": "string", "pattern": f"^{JOB_ID.pattern}$"},
    "path",
)


class _OfAJob(TypedDict):
    refusals: Sequence[HTTPStatus]
    parameters: Sequence[Parameter]


OF_A_JOB: _OfAJob = {"refusals": [HTTPStatus.CONFLICT], "parameters": [JOB_PARAMETER]}
"""What calls that move a job have in common: it may be in the wrong state, or another's."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Something a call may answer beside its answer and its refusals."""

    status: HTTPStatus
    description: str
    type: str | None = None
    """Its media type; None: it has no content."""
    schema: Schema | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One method on one path. The routes, the keys and the spec are all made from these."""

    method: str
    path: str
    """As aiohttp writes it: `{name}` or `{name:pattern}`."""
    handler: Handler
    summary: str
    access: Access = Access.OWNER
    body: Schema | None = None
    """Of the JSON body; None: it takes none."""
    answer: Schema | None = None
    """Of the answer's JSON; None: it is no JSON."""
    status: HTTPStatus = HTTPStatus.OK
    """Of the answer when all is well."""
    refusals: Sequence[Status] = ()
    """Statuses it may refuse with, beyond those that any call may."""
    parameters: Sequence[Parameter] = ()
    body_type: str | None = None
    """Media type of a body that is no JSON, `*/*` if it may be any."""
    body_by_kind: Mapping[str, Schema] = field(default_factory=dict)
    """The bodies where audio and video differ."""
    answer_type: str | None = None
    """Media type of an answer that is no JSON, `*/*` if it may be any; None: it has no content."""
    answer_headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of the answer that callers need, each with what it says."""
    others: Sequence[Answer] = ()
    is_audited: bool = True
    """Whether the audit log notes it; reading never is."""

    def route(self) -> web.RouteDef:
        if self.method == "GET":
            return web.get(self.path, self.handler, expect_handler=_expected)  # answers HEAD as well
        return web.route(self.method, self.path, self.handler, expect_handler=_expected)


async def _expected(_request: web.Request) -> None:
    """Nothing yet: aiohttp asks before every middleware, and expectations.py stands behind the key check."""
