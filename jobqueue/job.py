"""What a job is: one piece of work, its claim by a worker, and what a worker says of itself."""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Result: TypeAlias = Mapping[str, Json]

JOB_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
"""No `_`, so that `{worker_id}_{job_id}.json` splits at its last one."""
WORKER_ID = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
VIDEO_SUFFIX = "-video"
OF_THE_CLAIM = frozenset({"worker_id", "processing_started_at", "claim_id"})
"""Fields a job carries of the worker that has it, or had it last as it ended; none while it waits."""


def video_job_id(audio_job_id: str) -> str:
    """Id of the video job that grows from an audio job: always the same one, so a crash cannot make two."""
    derived = f"{audio_job_id}{VIDEO_SUFFIX}"
    return derived if JOB_ID.fullmatch(derived) else uuid.uuid5(uuid.NAMESPACE_OID, audio_job_id).hex


class Kind(StrEnum):
    """What sort of work a job is."""

    AUDIO = "audio"  # script to recording
    VIDEO = "video"  # recording and pictures to MP4


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work, as it is written on disk."""

    id: str
    kind: Kind
    created_at: float
    """Unix seconds."""
    priority: int = 0
    """Higher runs first; each point outweighs an hour of waiting."""
    retry_count: int = 0
    """Attempts that have failed."""
    epoch: int = 1
    """Rises each time the job returns to pending; a claim of an older epoch is stale."""
    not_before: float | None = None
    """Unix seconds before which the job is not handed out."""
    fields: Mapping[str, Json] = field(default_factory=dict)
    """The rest of its record: inputs, results, and whatever other programs put there."""

    @property
    def attempt(self) -> int:
        """Number of the try that is running or would be next, from 1."""
        return self.retry_count + 1

    @property
    def organized_path(self) -> str:
        """Folder of the job's media below `files/`, such as `2025-01-27/BI/video_1`."""
        return self.text("organized_path")

    @property
    def profile(self) -> Mapping[str, Json]:
        """The channel's settings as they were when the job was enqueued."""
        profile = self.fields.get("profile")
        return profile if isinstance(profile, dict) else {}

    @property
    def chat_id(self) -> int | None:
        """The Telegram chat that hears of this job."""
        return self.number("chat_id")

    def text(self, name: str, default: str = "") -> str:
        """The field as text; `default` if it is missing or something else."""
        value = self.fields.get(name)
        return value if isinstance(value, str) else default

    def number(self, name: str) -> int | None:
        """The field as a whole number, also if it was written as text; None if it is not one."""
        value = self.fields.get(name)
        if value is None or type(value) is int:  # a bool is an int, and no number here
            return value
        if isinstance(value, str) and re.fullmatch(r"-?\d{1,18}", value):
            return int(value)
        return None


def is_same_work(there: Job, offered: Mapping[str, Json]) -> bool:
    """Whether what is offered under the job's id is the job that is there already."""
    essence = "script_text" if there.kind is Kind.AUDIO else "audio_job_id"
    return offered.get(essence) == there.fields.get(essence)


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's hold on a job."""

    kind: Kind
    job_id: str
    worker_id: str
    token: str | None
    """Proves which claim this is. None: the simplest client, believed while that worker holds the job."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A job handed to a worker."""

    job: Job
    claim: Claim
    lease_s: float
    """How long each heartbeat keeps the claim good, s; send the first at once."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a worker has come."""

    percent: float
    """0 to 100, of this job's work."""
    message: str = ""
    """What is being done, in plain words."""
    chunk: int | None = None
    """Chunks finished so far."""
    chunks: int | None = None


@dataclass(frozen=True, slots=True)
class Orders:
    """What the queue tells a worker in reply to a heartbeat."""

    lost: frozenset[str] = frozenset()
    """Jobs the worker thinks it has and does not hold any more."""
    cancel: frozenset[str] = frozenset()
    """Jobs a person has called off."""


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """What a worker says of itself in a heartbeat."""

    worker_id: str
    status: str = "online"
    """online (waiting), busy, offline (stopping)."""
    current_job: str | None = None
    hostname: str = ""
    gpu_model: str = ""
    vastai_instance_id: str = ""
    key: str = ""
    """Name of the key it came with, filled in by the endpoint; empty: it works inside the bot."""
