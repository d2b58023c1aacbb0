"""What the endpoint answers, as types from which the spec is made; the tests hold every answer to them."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict  # pydantic cannot read typing's before Python 3.12

from jobqueue.job import JOB_ID
from jobqueue.lifecycle import State

OPEN = ConfigDict(extra="allow")
CLOSED = ConfigDict(extra="forbid")

Moment = Annotated[str, Field(description="UTC, ISO 8601", json_schema_extra={"format": "date-time"})]
JobId = Annotated[str, Field(pattern=f"^{JOB_ID.pattern}$")]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]


class Problem(TypedDict):
    """RFC 9457: what is wrong, in one sentence."""

    __pydantic_config__ = OPEN  # type: ignore[misc]  # where pydantic looks for it; mypy knows no such thing

    type: str
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str
    request_id: Annotated[str, Field(description="as in the header X-Request-ID: the log names it too")]
    errors: NotRequired[Annotated[dict[str, str], Field(description="what is wrong with which field")]]


class JobRecord(TypedDict):
    """A job as it lies on disk, with whatever fields other programs have added."""

    __pydantic_config__ = OPEN  # type: ignore[misc]

    job_id: JobId
    priority: Annotated[int, Field(description="higher goes first")]
    retry_count: Annotated[Count, Field(description="attempts that have failed")]
    epoch: Annotated[int, Field(description="rises each time the job returns to pending")]
    created_at: Moment
    not_before: NotRequired[Annotated[Moment, Field(description="it is not handed out before")]]
    channel_code: NotRequired[str]
    date: NotRequired[Annotated[str, Field(description="day of the video, in the channel's time zone")]]
    video_number: NotRequired[Annotated[int, Field(ge=1, description="which video of the day")]]
    organized_path: NotRequired[Annotated[str, Field(description="folder of its media below files/")]]
    chat_id: NotRequired[Annotated[int | str | None, Field(description="the chat that hears of it")]]
    profile: NotRequired[Annotated[dict[str, Any], Field(description="the channel, when it was accepted")]]
    script_text: NotRequired[Annotated[str, Field(description="what shall be spoken; audio jobs")]]
    audio_job_id: NotRequired[Annotated[JobId, Field(description="what it grew from; video jobs")]]
    audio_counter: NotRequired[Count]
    video_counter: NotRequired[Count]
    worker_id: NotRequired[Annotated[str, Field(description="who has it, or finished it")]]
    processing_started_at: NotRequired[Moment]
    completed_at: NotRequired[Moment]
    last_failed_at: NotRequired[Moment]
    error_message: NotRequired[Annotated[str, Field(description="why the last attempt failed")]]
    correlation_id: NotRequired[Annotated[str, Field(description="what all log lines about it carry")]]
    duplicate_of: NotRequired[Annotated[JobId, Field(description="an earlier job with the same script")]]


class ProgressShown(TypedDict):
    """How far the worker has come."""

    __pydantic_config__ = CLOSED  # type: ignore[misc]

    percent: Annotated[float, Field(ge=0, le=100)]
    message: str
    chunk: int | None
    chunks: int | None


class JobShown(JobRecord):
    """A job: its record, its state, and how far it is."""

    status: State
    progress: NotRequired[Annotated[ProgressShown, Field(description="once its worker has told")]]
    position: NotRequired[Annotated[int, Field(ge=1, description="place in line, while it waits")]]
    eta_s: NotRequired[Annotated[float, Field(description="seconds until it is done, as far as we can tell")]]


class ClaimedJob(JobRecord):
    """A job as a worker gets it."""

    claim_token: Annotated[str, Field(description="to be sent with every call about this claim")]
    lease_s: Annotated[Seconds, Field(description="how long each heartbeat keeps the claim good")]


class ClaimAnswer(TypedDict):
    """The next job; null if none is ready."""

    __pydantic_config__ = CLOSED  # type: ignore[misc]

    job: ClaimedJob | None


class Accepted(TypedDict):
    """The job that was accepted, or was there already."""

    __pydantic_config__ = CLOSED  # type: ignore[misc]

    job_id: JobId
    status: State
    duplicate_of: NotRequired[Annotated[JobId, Field(description="an earlier job with the same script")]]


class Completed(TypedDict):
    """The job is done."""

    __pydantic_config__ = CLOSED  # type: ignore[misc]

    status: Literal["completed"]


class Released(TypedDict):
    """The job is pending again."""

    __pydantic_config__ = CLOSED  # type: ignore[misc]

    status: Literal["pending"]


class VerdictAnswer(TypedDict):
    """What became of the job whose attempt failed."""

    __pydantic_config__ = CLOSED  # type: ignore[misc]

    status: Literal["pending", "failed"]
    retry_count: Count
    not_before: Annotated[Moment | None, Field(description="it is not tried again before")]


class ProgressAnswer(TypedDict):
    """Whether to go on."""

    __pydantic_config__ = CLOSED  # type: ignore[misc]

    cancel: Annotated[bool, Field(description="a person has called the job off")]
    lease_s: Annotated[Seconds, Field(description="how long the claim is good from now on")]


class Orders(TypedDict):
    """What a worker should know of the jobs it holds."""

    __pydantic_config__ = CLOSED  # type: ignore[misc]

    status: Literal["ok"]
    lost: Annotated[list[str], Field(description="jobs it does not hold any more")]
    cancel: Annotated[list[str], Field(description="jobs that a person has called off")]


class Stats(TypedDict):
    """How many jobs are in each state, and how long they take."""

    __pydantic_config__ = CLOSED  # type: ignore[misc]

    pending: Count
    processing: Count
    completed: Count
    failed: Count
    cancelled: Count
    oldest_pending_s: Seconds | None
    avg_seconds: Seconds | None
    paused: Annotated[bool, Field(description="no job is handed out")]


class Paused(TypedDict):
    """How it is now."""

    __pydantic_config__ = CLOSED  # type: ignore[misc]

    paused: bool


class Retried(TypedDict):
    """How many jobs were put back."""

    __pydantic_config__ = CLOSED  # type: ignore[misc]

    retried: Count


class Counted(TypedDict):
    """The number that was drawn; no other call gets it."""

    __pydantic_config__ = CLOSED  # type: ignore[misc]

    value: Annotated[int, Field(ge=1)]


class LogLine(TypedDict):
    """One thing that happened to a job, with its details."""

    __pydantic_config__ = OPEN  # type: ignore[misc]

    at: Moment
    kind: Literal["audio", "video"]
    event: str


class Stored(TypedDict):
    """A file that was stored."""

    __pydantic_config__ = CLOSED  # type: ignore[misc]

    path: str
    size_bytes: Count
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Listing(TypedDict):
    """Size in bytes of each file of a folder, by name."""

    __pydantic_config__ = CLOSED  # type: ignore[misc]

    files: dict[str, Count]


class Health(TypedDict):
    """Whether the bot can do its work."""

    __pydantic_config__ = CLOSED  # type: ignore[misc]

    status: Literal["ok", "degraded"]
    reasons: Annotated[list[str], Field(description="what is wrong, in plain words")]
    uptime_s: Seconds
