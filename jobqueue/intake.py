"""What is asked of a job before it is accepted, and what the queue fills in where it says nothing."""

import random
import re
import uuid
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Protocol

from jobqueue import tracing
from jobqueue.daynumbers import Day
from jobqueue.duplicates import Duplicates, script_digest
from jobqueue.errors import JobInvalid, PathRefused
from jobqueue.job import JOB_ID, VIDEO_SUFFIX, Job, Json, Kind, video_job_id
from jobqueue.storage import check_path
from jobqueue.tenants import Tenants, production_of
from jobqueue.wire import LARGEST, from_record, unpointed

CHANNEL_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
CHAT_ID = re.compile(r"-?[0-9]{1,18}")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
VIDEO_NUMBER_MAX = 1_000_000
CLAIM_FIELDS = frozenset(
    {
        "worker_id",
        "last_worker_id",
        "processing_started_at",
        "claim_id",
        "claim_token",
        "epoch",
        "retry_count",
        "script_digest",
        "duplicate_of",
    }
)
"""Left behind by an earlier life of the record; a new job starts without them."""
WHOLE = frozenset({"chat_id", "priority", "video_number", "audio_counter", "video_counter"})
"""Fields that are whole numbers."""
INHERITED = (
    "organized_path",
    "channel_code",
    "channel_shortform",
    "video_number",
    "date",
    "chat_id",
    "user_id",
    "chat_language",
    "reply_to_message_id",
    "title",
    "profile",
    "correlation_id",
)
"""What a video job takes over from the audio job it grows from."""


class Profiles(Protocol):
    """What the queue asks about channels."""

    @property
    def default_code(self) -> str:
        """The channel of a job that names none."""
        ...

    def profile(self, code: str) -> Mapping[str, Json]:
        """The channel's settings, to be frozen into a job; defaults for a channel nobody has set up."""
        ...

    def today(self, code: str) -> str:
        """The date in the channel's time zone, YYYY-MM-DD."""
        ...


class Intake:
    """Turns what somebody offers into a complete job, and numbers the videos of each day and channel."""

    def __init__(self, profiles: Profiles) -> None:
        self._profiles = profiles
        self._last_video: dict[tuple[str, str], int] = {}
        self.tenants = Tenants()
        self.duplicates = Duplicates()

    def remember(self, job: Job) -> None:
        """Take note of a job that exists, so that no new one gets its number."""
        number = job.number("video_number")
        if number is not None and 0 < number <= VIDEO_NUMBER_MAX:
            day = (job.text("date"), job.text("channel_code"))
            self._last_video[day] = max(number, self._last_video.get(day, 0))
        self.tenants.enter(job)
        self.duplicates.remember(job)

    def remember_numbers(self, last: Mapping[Day, int]) -> None:
        """Take note of numbers of jobs that have been removed."""
        for day, number in last.items():
            self._last_video[day] = max(number, self._last_video.get(day, 0))

    def last_numbers(self, days: Iterable[Day]) -> dict[Day, int]:
        """The last number given on each of these days."""
        return {day: self._last_video[day] for day in days if day in self._last_video}

    def forget(self, job: Job) -> None:
        """The job was refused before it was written: its folder is free again; its number is skipped."""
        if production_of(job) == job.id:  # else its audio job, which is there, uses the folder too
            self.tenants.leave(job)
        self.duplicates.forget(job)

    def let_go(self, job: Job) -> None:
        """The job has been removed: its folder is free, its number is not."""
        self.tenants.leave(job)
        self.duplicates.forget(job)

    def check(
        self, kind: Kind, record: Mapping[str, Json], *, parent: Job | None = None
    ) -> tuple[str, dict[str, Json]]:
        """The id the job has or shall have, and its fields as far as they are given.

        Args:
            record: what was offered; fields nobody knows are kept.
            parent: the audio job a video job grows from.
        Raises: JobInvalid, naming each field that is wrong.
        """
        fields: dict[str, Json] = {
            name: value
            for name, value in _unpointed(record).items()
            if name not in CLAIM_FIELDS and value is not None
        }
        if isinstance(profile := fields.get("profile"), dict):
            fields["profile"] = _unpointed(profile)
        if not tracing.is_correlation_id(fields.get("correlation_id")):
            fields.pop("correlation_id", None)
        reasons = _faults(kind, fields)
        if reasons:
            raise JobInvalid(reasons)
        if parent is not None:  # what it passes on was accepted with it, and must not hold its video up now
            fields = _grown_from(parent, fields)
        return str(fields.get("job_id") or _new_id(kind, fields)), fields

    def complete(self, kind: Kind, job_id: str, checked: Mapping[str, Json], *, now: float) -> Job:
        """The job with everything filled in that was missing; `now` in Unix seconds. Raises: JobInvalid."""
        fields = dict(checked)
        code = str(fields.setdefault("channel_code", self._profiles.default_code))
        fields.setdefault("channel_shortform", code)
        self._freeze_profile(kind, fields, code)
        self._place(fields, code)
        fields.setdefault("correlation_id", tracing.new_correlation_id())
        if kind is Kind.AUDIO:
            fields["script_digest"] = script_digest(str(fields.get("script_text")))
        job = from_record(kind, fields, job_id=job_id, created_at=now)
        self.remember(job)
        return job

    def _freeze_profile(self, kind: Kind, fields: dict[str, Json], code: str) -> None:
        profile = dict(self._profiles.profile(code))
        given = fields.get("profile")
        profile |= given if isinstance(given, dict) else {}
        fields["profile"] = profile
        for name in ("chat_id", "priority"):
            if profile.get(name) is not None:
                fields.setdefault(name, profile[name])
        fields.setdefault("chat_id", None)
        if kind is Kind.VIDEO:
            fields.setdefault("image_folder", profile.get("image_folder", code))

    def _place(self, fields: dict[str, Json], code: str) -> None:
        """Give the job its day, its number of the day and the folder of its media."""
        day = str(fields.setdefault("date", self._profiles.today(code)))
        if "video_number" not in fields:
            fields["video_number"] = min(self._last_video.get((day, code), 0) + 1, VIDEO_NUMBER_MAX)
        if "organized_path" not in fields:
            path = f"{day}/{code}/video_{fields['video_number']}"
            # Two jobs that claim the same number must not write over each other's files.
            fields["organized_path"] = path if path not in self.tenants else f"{path}-{uuid.uuid4().hex[:8]}"


def _new_id(kind: Kind, fields: Mapping[str, Json]) -> str:
    parent = fields.get("audio_job_id")
    return video_job_id(str(parent)) if kind is Kind.VIDEO and parent else f"{random.getrandbits(128):032x}"


def _grown_from(parent: Job, offered: Mapping[str, Json]) -> dict[str, Json]:
    fields = {name: parent.fields[name] for name in INHERITED if name in parent.fields}
    fields |= {"audio_job_id": parent.id, "job_id": video_job_id(parent.id), "priority": parent.priority}
    fields["correlation_id"] = tracing.correlation_id_of(parent)
    if "duration_s" in parent.fields:
        fields["audio_duration_s"] = parent.fields["duration_s"]
    if "notes" in parent.fields:
        fields["audio_notes"] = parent.fields["notes"]
    return fields | {name: value for name, value in offered.items() if name != "job_id"}


def _faults(kind: Kind, fields: Mapping[str, Json]) -> dict[str, str]:
    """What is wrong with which field, in words for the caller."""
    reasons = {}
    for name, pattern, example in (
        ("job_id", JOB_ID, "lower-case letters, digits and -, at most 64"),
        ("audio_job_id", JOB_ID, "the id of an audio job"),
        ("channel_code", CHANNEL_CODE, "letters, digits, - and _, at most 32"),
    ):
        value = fields.get(name)
        if value is not None and not (isinstance(value, str) and pattern.fullmatch(value)):
            reasons[name] = f"must be {example}"
    own, parent = str(fields.get("job_id") or ""), str(fields.get("audio_job_id") or "")
    if kind is Kind.VIDEO and own.endswith(VIDEO_SUFFIX) and own != video_job_id(parent):
        reasons["job_id"] = f"must not end in {VIDEO_SUFFIX}: so ends the id of an audio job's own video"
    script = fields.get("script_text")
    if kind is Kind.AUDIO and not (isinstance(script, str) and script.strip()):
        reasons["script_text"] = "must be the text to speak"
    if not _is_date(fields.get("date")):
        reasons["date"] = "must be a date such as 2025-01-27"
    if not _is_path(fields.get("organized_path")):
        reasons["organized_path"] = "must be a relative path such as 2025-01-27/BI/video_1"
    if kind is Kind.VIDEO and not isinstance(fields.get("image_folder", ""), str):
        reasons["image_folder"] = "must be the name of a folder"
    try:
        from_record(kind, fields, job_id="unknown", created_at=0)
    except JobInvalid as error:
        reasons |= error.fields
    return reasons | dict(_number_faults(kind, fields))


def _number_faults(kind: Kind, fields: Mapping[str, Json]) -> Iterable[tuple[str, str]]:
    number = fields.get("video_number")
    if number is not None and not (_is_whole(number) and 0 < int(str(number)) <= VIDEO_NUMBER_MAX):
        yield "video_number", "must be a whole number from 1"
    counter = fields.get(f"{kind}_counter")
    if counter is not None and not (_is_whole(counter) and 0 <= int(str(counter)) <= LARGEST):
        yield f"{kind}_counter", "must be a whole number from 0"
    if not _is_chat(fields.get("chat_id")):
        yield "chat_id", "must be a numeric Telegram chat id"
    profile = fields.get("profile", {})
    if not isinstance(profile, dict):
        yield "profile", "must be an object"
    elif not _is_chat(profile.get("chat_id")):
        yield "profile", "its chat_id must be a numeric Telegram chat id"
    elif not _is_priority(profile.get("priority")):
        yield "profile", "its priority must be a whole number"


def _unpointed(fields: Mapping[str, Json]) -> dict[str, Json]:
    return {name: unpointed(value) if name in WHOLE else value for name, value in fields.items()}


def _is_chat(value: Json) -> bool:
    return (
        value is None or _is_whole(value) or (isinstance(value, str) and CHAT_ID.fullmatch(value) is not None)
    )


def _is_priority(value: Json) -> bool:
    return value is None or (_is_whole(value) and abs(int(str(value))) <= LARGEST)


def _is_whole(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def _is_date(value: Json) -> bool:
    if value is None:
        return True
    try:
        # The pattern first: a week such as 2025-W05-1 is a date to Python, and no folder of ours.
        return isinstance(value, str) and bool(DAY.fullmatch(value) and date.fromisoformat(value))
    except ValueError:
        return False


def _is_path(value: Json) -> bool:
    if value is None:
        return True
    try:
        check_path(str(value))
    except PathRefused:
        return False
    return isinstance(value, str)
