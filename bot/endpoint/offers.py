"""What a job may be offered as, for the spec: the queue's intake checks it, the tests compare the two."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from jobqueue.intake import CHANNEL_CODE, CHAT_ID, DAY, VIDEO_NUMBER_MAX
from jobqueue.job import JOB_ID
from jobqueue.storage import MAX_PATH_BYTES
from jobqueue.wire import LARGEST

JobId = Annotated[str, Field(pattern=f"^{JOB_ID.pattern}$")]
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
ChatId = Annotated[int, Field(gt=-(2**63), lt=2**63)] | Annotated[str, Field(pattern=f"^{CHAT_ID.pattern}$")]
Day = Annotated[str, Field(pattern=f"^{DAY.pattern}$", json_schema_extra={"format": "date"})]
MediaPath = Annotated[
    str, Field(min_length=1, max_length=MAX_PATH_BYTES, json_schema_extra={"format": "media-path"})
]
"""Parts of printable characters between slashes, each of 200 bytes at most, none beginning with a dot."""


class Channel(BaseModel):
    """Settings of a channel, laid over its own."""

    model_config = ConfigDict(extra="allow")

    chat_id: ChatId | None = None
    priority: Annotated[int, Field(ge=-LARGEST, le=LARGEST)] | None = None


class JobOffer(BaseModel):
    """What any job may say. Null means unsaid; fields nobody knows are kept."""

    model_config = ConfigDict(extra="allow")

    job_id: JobId | None = None
    channel_code: Annotated[str, Field(pattern=f"^{CHANNEL_CODE.pattern}$")] | None = None
    chat_id: ChatId | None = None
    priority: Annotated[int, Field(ge=-LARGEST, le=LARGEST)] | None = None
    not_before: Moment | None = None
    created_at: Moment | None = None
    date: Day | None = None
    video_number: Annotated[int, Field(ge=1, le=VIDEO_NUMBER_MAX)] | None = None
    organized_path: MediaPath | None = None
    profile: Channel | None = None


class AudioOffer(JobOffer):
    """A script to be spoken."""

    script_text: Annotated[str, Field(pattern=r"\S")]
    audio_counter: Annotated[int, Field(ge=0, le=LARGEST)] | None = None


class VideoOffer(JobOffer):
    """A recording to be made into a video; of an audio job the queue knows it takes over the rest."""

    audio_job_id: JobId | None = None
    image_folder: str | None = None
    video_counter: Annotated[int, Field(ge=0, le=LARGEST)] | None = None


Offers: dict[str, Any] = {"audio": AudioOffer, "video": VideoOffer}
