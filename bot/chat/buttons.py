"""What a button carries: `v1:<verb>:<id>`. Anyone can forge it, so it only ever names, never permits."""

import re
from enum import StrEnum
from typing import NamedTuple


class Verb(StrEnum):
    """What pressing a button asks for."""

    CANCEL = "cancel"
    RETRY = "retry"
    RESEND = "resend"
    HISTORY = "history"  # turn the page; the id is where it begins
    MAKE = "make"  # a video of this short text anyway; the id is that of the message
    DROP = "drop"  # no video of it


class Press(NamedTuple):
    """A button that was pressed."""

    verb: Verb
    target: str


PATTERN = re.compile(r"v1:([a-z]{1,10}):([a-z0-9-]{1,64})")
LIMIT_BYTES = 64


def data(verb: Verb, target: str) -> str:
    """The callback data of a button.

    A long id is cut to what Telegram takes: it is looked up as the beginning of one.
    """
    return f"v1:{verb}:{target}"[:LIMIT_BYTES]


def parse(text: str | None) -> Press | None:
    """What the data asks for; None if it is not ours."""
    match = PATTERN.fullmatch(text or "")
    if match is None or match[1] not in set(Verb):
        return None
    return Press(Verb(match[1]), match[2])
