"""What a log line is about: set where the work begins, read by the formatter of the log."""

import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeGuard

from jobqueue.job import Job, Json

CORRELATION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Anything else is replaced: it goes into logs and into the environment of FFmpeg."""

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Of the HTTP request that is being answered; empty outside of one."""

job_in_hand: ContextVar[Job | None] = ContextVar("job_in_hand", default=None)
"""The job that is being worked on, or moved."""


@contextmanager
def following(job: Job) -> Iterator[None]:
    """What is logged inside, also by tasks and threads that begin there, carries the job's correlation id."""
    token = job_in_hand.set(job)
    try:
        yield
    finally:
        job_in_hand.reset(token)


def correlation_id_of(job: Job) -> str:
    """The id that joins all that is logged about a script, from the bot to FFmpeg.

    A job from before there were such ids has the beginning of its own, as does the video
    job that grew from it.
    """
    given = job.fields.get("correlation_id")
    return given if is_correlation_id(given) else job.id[:12]


def is_correlation_id(value: Json) -> TypeGuard[str]:
    return isinstance(value, str) and CORRELATION_ID.fullmatch(value) is not None


def new_correlation_id() -> str:
    return f"{random.getrandbits(48):012x}"


def correlation_id() -> str:
    """Of the job in hand; empty if there is none."""
    job = job_in_hand.get()
    return "" if job is None else correlation_id_of(job)


def marks() -> dict[str, str]:
    """What a log line shall carry: names and ids, as far as there are any."""
    ids = {"correlation_id": correlation_id(), "request_id": request_id.get()}
    return {name: value for name, value in ids.items() if value}
