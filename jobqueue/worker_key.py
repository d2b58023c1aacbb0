"""What a worker's own key looks like: `srw_NAME_` and 256 random bits, so that filters know one."""

import re
import secrets

PREFIX = "srw"
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
"""No `_` and no `.`: the key splits at the first, and the second ends the name in a worker's id."""
RESERVED = frozenset({"bot", "owner"})
"""Names of others: the bot's own render task, and whoever holds the main key."""
KEY = re.compile(rf"{PREFIX}_({NAME.pattern})_[A-Za-z0-9_-]{{43}}")


def new_key(name: str) -> str:
    """A fresh key for the worker of that name."""
    return f"{PREFIX}_{name}_{secrets.token_urlsafe(32)}"


def name_in(key: str) -> str | None:
    """The name a key was made for; None if it is no worker's key."""
    found = KEY.fullmatch(key)
    return found[1] if found else None


def is_named_for(worker_id: str, name: str) -> bool:
    """Whether the id belongs to the key of that name: it is the name, or begins with `NAME.`."""
    return worker_id == name or worker_id.startswith(f"{name}.")
