"""The environment (and `.env` beside this file), read once into typed settings."""

import re
import socket
import sys
import uuid
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from stopping import EXIT_CONFIG

ROOT = Path(__file__).resolve().parent


Ids = Annotated[frozenset[int], NoDecode]
Url = Annotated[str, Field(pattern=r"^https?://[^\s/]+(/\S*)?$")]
S = TypeVar("S", bound="SharedSettings")


class SharedSettings(BaseSettings):
    """What both processes read."""

    model_config = SettingsConfigDict(env_file=ROOT / ".env", extra="ignore", frozen=True)

    data_dir: Path = Path("queue")
    file_server_api_key: str | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, values: Any) -> Any:
        """`NAME=` in `.env` or the environment means: as if it were not there."""
        if not isinstance(values, dict):
            return values
        return {
            name: value
            for name, value in values.items()
            if not (isinstance(value, str) and not value.strip())
        }

    @field_validator("data_dir")
    @classmethod
    def _below_root(cls, value: Path) -> Path:
        return ROOT / value.expanduser()

    @field_validator("log_level", "log_format", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value


class BotSettings(SharedSettings):
    """The bot process."""

    bot_token: str | None = None
    telegram_api_url: Url = "https://api.telegram.org"
    telegram_max_upload_mb: Annotated[int, Field(ge=1, le=2000)] = 49
    allowed_users: Ids = frozenset()
    admin_users: Ids = frozenset()
    chat_id: int | None = None
    api_host: str = "127.0.0.1"
    api_port: Annotated[int, Field(ge=0, le=65535)] = 8000
    public_url: Url | None = None
    queue_backend: Literal["directory"] = "directory"
    max_retries: Annotated[int, Field(ge=1, le=100)] = 3
    retry_base_seconds: Annotated[float, Field(gt=0)] = 30
    retry_cap_seconds: Annotated[float, Field(gt=0)] = 900
    lease_seconds: Annotated[float, Field(ge=5)] = 90
    stuck_minutes: Annotated[float, Field(gt=0)] = 30
    keep_days: Annotated[float, Field(ge=0, le=36500)] = 30
    keep_jobs: Annotated[int, Field(ge=0)] = 100_000
    min_free_mb: Annotated[int, Field(ge=0)] = 500
    script_min_chars: Annotated[int, Field(ge=1)] = 200
    script_max_chars: Annotated[int, Field(ge=1)] = 200_000

    @field_validator("allowed_users", "admin_users", mode="before")
    @classmethod
    def _ids(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        ids = value.replace(",", " ").split()
        if not all(re.fullmatch(r"-?\d{1,18}", each) for each in ids):
            raise ValueError("must be numeric Telegram ids, separated by commas")
        return ids


class WorkerSettings(SharedSettings):
    """The audio worker process."""

    file_server_url: Url = "http://127.0.0.1:8000"
    worker_id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")] = Field(
        default_factory=lambda: default_worker_id()  # noqa: PLW0108  defined below
    )
    speech_engine: Literal["auto", "f5", "embedded"] = "auto"
    chunk_size: Annotated[int, Field(ge=100, le=5000)] = 500
    audio_speed: Annotated[float, Field(ge=0.5, le=2.0)] = 1.0
    poll_interval: Annotated[float, Field(ge=0, le=60)] = 30
    vastai_instance_id: str = ""


def default_worker_id() -> str:
    """Host name and a boot nonce: after a restart it is another worker, with no part in old leases."""
    host = "".join(
        letter if letter.isalnum() else "-" for letter in socket.gethostname().lower() if letter.isascii()
    )
    return f"{host.strip('-')[:40] or 'worker'}-{uuid.uuid4().hex[:6]}"


def load(settings: type[S]) -> S:
    """The settings; on a mistake, one line per setting on standard error and an exit."""
    try:
        return settings()
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_input=False):
            name = str(fault["loc"][0]).upper() if fault["loc"] else "settings"
            reason = fault["msg"].removeprefix("Value error, ")
            print(f"{name}: {reason}: correct it in the environment or in .env", file=sys.stderr)  # noqa: T201
        raise SystemExit(EXIT_CONFIG) from None
