"""The channels people publish on: `channels.json`, editable by hand and read again when it changes."""

import json
import logging
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from jobqueue.clock import Clock
from jobqueue.intake import CHANNEL_CODE
from jobqueue.job import Json

log = logging.getLogger(__name__)

MAIN = "MAIN"


class Channel(BaseModel):
    """One channel's settings; fields of later versions are kept."""

    model_config = ConfigDict(extra="allow")

    name: str | None = None
    language: Literal["auto", "hi", "en"] = "auto"
    voice: str | None = None
    image_folder: str | None = None
    priority: int = 0
    chat_id: int | None = None
    time_zone: str = "UTC"
    speed: float | None = Field(default=None, ge=0.5, le=2.0)

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("must be a time zone such as Asia/Kolkata") from None
        return value


CHANNELS = TypeAdapter(dict[str, Channel])


class Channels:
    """The channels as they stand in the file; without one there is a single channel, MAIN."""

    def __init__(self, path: Path, clock: Clock, default_chat_id: int | None) -> None:
        """`default_chat_id`: where news of jobs goes whose channel names no chat."""
        self._path = path
        self._clock = clock
        self._default_chat_id = default_chat_id
        self._channels = {MAIN: Channel()}
        self._read_at: int | None = None

    @property
    def default_code(self) -> str:
        """The channel of a job that names none: the first in the file."""
        return next(iter(self._current()))

    def current(self, user_id: int) -> str:
        """The channel this person's scripts go to."""
        return self.default_code

    def profile(self, code: str) -> Mapping[str, Json]:
        channel = self._current().get(code, Channel())
        profile: dict[str, Json] = channel.model_dump(mode="json", exclude_none=True)
        profile.setdefault("image_folder", code)
        if self._default_chat_id is not None:
            profile.setdefault("chat_id", self._default_chat_id)
        return profile

    def today(self, code: str) -> str:
        zone = ZoneInfo(self._current().get(code, Channel()).time_zone)
        return datetime.fromtimestamp(self._clock.now(), zone).date().isoformat()

    def _current(self) -> dict[str, Channel]:
        try:
            changed_at = self._path.stat().st_mtime_ns
        except FileNotFoundError:
            changed_at = None
        if changed_at != self._read_at:
            self._read_at = changed_at
            self._read(exists=changed_at is not None)
        return self._channels

    def _read(self, *, exists: bool) -> None:
        if not exists:
            self._channels = {MAIN: Channel()}
            return
        try:
            channels = CHANNELS.validate_python(json.loads(self._path.read_bytes()))
            bad = [code for code in channels if not CHANNEL_CODE.fullmatch(code)]
            if bad or not channels:
                raise ValueError(f"{bad[0]!r} is no channel code" if bad else "it names no channel")
        except (OSError, ValueError, RecursionError) as error:
            # The channels as they were go on; a slip in an editor must not stop the factory.
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            log.error("%s is ignored until it is corrected: %s", self._path.name, reason)
            return
        self._channels = channels
