"""What happened to each job, one line of JSON per event, appended and never changed."""

import json
import logging
from collections import deque
from pathlib import Path

from jobqueue.job import Json, Kind
from jobqueue.wire import timestamp

log = logging.getLogger(__name__)

FULL_BYTES = 16 << 20
"""A log this long tells nothing new; somebody reports progress without end."""
LAST_BYTES = 1 << 20
LAST_LINES = 1000
"""As much as is read back; a log may be longer."""


class JobLog:
    """The folder `logs/`. Lines reach it with the next `flush`: no step of a job waits for its history."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: deque[tuple[str, dict[str, Json]]] = deque()

    def add(self, kind: Kind, job_id: str, now: float, event: str, **details: Json) -> None:
        line: dict[str, Json] = {"at": timestamp(now), "kind": kind, "event": event}
        line |= {name: value for name, value in details.items() if value is not None}
        self._waiting.append((job_id, line))

    def flush(self) -> None:
        """Append what waits. Blocking. A log that cannot be written is no reason to stop the job."""
        lines: dict[str, list[str]] = {}
        while self._waiting:
            job_id, line = self._waiting.popleft()
            lines.setdefault(job_id, []).append(json.dumps(line, ensure_ascii=False) + "\n")
        for job_id, its in lines.items():
            try:
                with self._place(job_id).open("a", encoding="utf-8", errors="replace") as file:
                    if file.tell() < FULL_BYTES:
                        file.write("".join(its))
            except OSError as error:
                log.warning("job %s: its log cannot be written: %s", job_id, error)

    def read(self, kind: Kind, job_id: str) -> list[dict[str, Json]]:
        """The last lines of the job, oldest first. Blocking."""
        self.flush()
        try:
            with self._place(job_id).open("rb") as file:
                file.seek(max(file.seek(0, 2) - LAST_BYTES, 0))
                text = file.read().decode(errors="replace")
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

    def remove(self, job_id: str) -> None:
        """Forget all about the job. Blocking."""
        self.flush()
        self._place(job_id).unlink(missing_ok=True)

    def _place(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.jsonl"
