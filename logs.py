"""What the processes write to their log, and what must never stand in one."""

import json
import logging
import re
import sys
from datetime import UTC, datetime

from jobqueue import tracing
from jobqueue.worker_key import NAME, PREFIX

SECRETS = re.compile(
    r"\b\d{6,12}:[A-Za-z0-9_-]{30,}|(?<=/bot)\d+:[A-Za-z0-9_-]+|(?<=signature=)[0-9a-f]{16,}"
    rf"|{PREFIX}_{NAME.pattern}_[A-Za-z0-9_-]{{16,}}"
)
"""Bot tokens and workers' keys, wherever they stand, and signatures of links."""
SHORTEST_SECRET = 6
"""A shorter one would be found in every other word."""
MARKS = {"correlation_id": "c", "request_id": "r"}
"""How the text log names the ids of a line, such as `[c:0f3a…]`."""
CHATTY = ("httpx", "httpcore", "telegram", "asyncio", "filelock", "PIL")


class WithoutSecrets(logging.Formatter):
    """One line per event with its ids, and without anything that looks like a secret, or is one of ours."""

    def __init__(self, secrets: frozenset[str], *, as_json: bool) -> None:
        super().__init__("%(asctime)s %(levelname)s %(marks)s%(message)s")
        self._secrets = {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        record.marks = "".join(f"[{MARKS[name]}:{value}] " for name, value in tracing.marks().items())
        text = super().format(record) if not self._as_json else self._json(record)
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        return SECRETS.sub("[secret]", text)

    def _json(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **tracing.marks(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def set_up(level: str, log_format: str, secrets: frozenset[str]) -> None:
    """Log to standard error; `secrets` are texts that must never appear."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(WithoutSecrets(frozenset(filter(None, secrets)), as_json=log_format == "json"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
