"""What happened to each job, one line of JSON per event, appended and never changed."""

import json
import logging
from pathlib import Path

from jobqueue.job import Json, Kind
from jobqueue.wire import timestamp

log = logging.getLogger(__name__)

LAST_LINES = 1000
"""As many as are read back; a log may be longer."""


class JobLog:
    """The folder `logs/`. Blocking; call from a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, kind: Kind, job_id: str, now: float, event: str, **details: Json) -> None:
        """Append a line. A log that cannot be written is no reason to stop the job."""
        line: dict[str, Json] = {"at": timestamp(now), "kind": kind, "event": event}
        line |= {name: value for name, value in details.items() if value is not None}
        try:
            with (self._folder / f"{job_id}.jsonl").open("a", encoding="utf-8", errors="replace") as file:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        except OSError as error:
            log.warning("job %s: its log cannot be written: %s", job_id, error)

    def read(self, kind: Kind, job_id: str) -> list[dict[str, Json]]:
        """The last lines of the job, oldest first."""
        try:
            text = (self._folder / f"{job_id}.jsonl").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return []
        found = []
        for line in text.splitlines()[-LAST_LINES:]:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and entry.get("kind") == kind:
                found.append(entry)
        return found
