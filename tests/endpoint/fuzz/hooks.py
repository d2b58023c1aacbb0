"""What schemathesis must be told of our formats and media types; it loads this itself."""

import re
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

import schemathesis
from hypothesis import strategies as st

JOB_ID, WORKER_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}"), re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
SEEDS = 10
"""As many jobs of each kind are there when it begins, called seed-0 and so on."""

part = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="/\\"),
    min_size=1,
    max_size=20,
).filter(lambda text: not text.startswith("."))
moments = st.datetimes(datetime(1971, 1, 1), datetime(2099, 1, 1)).map(
    lambda moment: moment.replace(tzinfo=UTC).isoformat()
)

schemathesis.openapi.format("media-path", st.lists(part, min_size=1, max_size=3).map("/".join))
schemathesis.openapi.format("date-time", moments)
schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")


@schemathesis.hook
def map_path_parameters(_context: Any, parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """A well-formed id becomes that of a job there is: else nearly all that is tried is a 404."""
    if parameters and JOB_ID.fullmatch(str(parameters.get("job_id", "_"))):
        parameters["job_id"] = f"seed-{crc32(parameters['job_id'].encode()) % SEEDS}"
    return parameters


@schemathesis.hook
def map_body(_context: Any, body: Any) -> Any:
    """Likewise a worker's: it becomes that of the one worker who has claimed something."""
    if isinstance(body, dict) and WORKER_ID.fullmatch(str(body.get("worker_id", "-"))):
        body["worker_id"] = "fuzzer"
    return body
