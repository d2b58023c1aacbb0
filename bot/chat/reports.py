"""The longer answers to commands: one production's story, the queue, the workers."""

from collections.abc import Mapping

from bot.chat.card_face import MOST_PERCENT, headline
from bot.chat.texts import Html, Words, cut
from bot.productions import SHORT_ID, Production, Stage
from jobqueue.backend import JobView
from jobqueue.job import Json, Kind
from jobqueue.lifecycle import State
from jobqueue.wire import moment

REASON_CHARS = 300
MOST_WORKERS = 10


def line_of(production: Production, words: Words) -> Html:
    """One production in a list."""
    line = headline(production, words)
    progress = production.current.progress
    if production.stage in (Stage.SPEAKING, Stage.RENDERING) and progress:
        return words("line-percent", line=line, percent=min(round(progress.percent), MOST_PERCENT))
    if production.stage is Stage.WAITING and production.current.position:
        return words("line-place", line=line, place=production.current.position)
    return line


def story_of(production: Production, words: Words, now: float) -> Html:
    """Every stage of a production, with times."""
    job = production.first
    created = words("story-created", ago=words.duration(now - job.created_at))
    return words.lines(
        headline(production, words),
        words("story-id", id=production.id, channel=job.text("channel_code")),
        created,
        *(_half(production.audio, "audio", words, now) if production.audio else ()),
        *(_half(production.video, "video", words, now) if production.video else ()),
    )


def _half(view: JobView, kind: str, words: Words, now: float) -> list[Html]:
    job = view.job
    began, ended = _at(view, "processing_started_at"), _at(view, "completed_at")
    lines = [words(f"story-{kind}", state=words(f"state-{view.state}"), place=view.position or 0)]
    details = []
    if view.state is State.PROCESSING and began:
        details.append(words("story-since", time=words.duration(now - began)))
    if view.state is State.COMPLETED and began and ended:
        details.append(words("story-took", time=words.duration(ended - began)))
    if view.state is State.PROCESSING and view.progress:
        percent = min(round(view.progress.percent), MOST_PERCENT)
        parts = view.progress.chunks or 0
        details.append(words("story-progress", percent=percent, part=view.progress.chunk or 0, parts=parts))
    if view.eta_s and view.state in (State.PENDING, State.PROCESSING):
        details.append(words("card-eta", time=words.duration(view.eta_s)))
    if details:
        lines.append(Html(" · ".join(details)))
    if (reason := job.text("error_message")) and view.state is not State.COMPLETED:
        lines.append(words("story-error", reason=cut(reason, REASON_CHARS), attempts=job.retry_count))
    return lines


def queue_report(stats: Mapping[Kind, Mapping[str, Json]], active: list[Production], words: Words) -> Html:
    """How much waits and runs, and which of the person's own."""
    counts = [
        words(
            f"queue-{kind}",
            pending=_count(stats[kind], "pending"),
            processing=_count(stats[kind], "processing"),
        )
        for kind in Kind
    ]
    counts += [words(f"queue-paused-{kind}") for kind in Kind if stats[kind].get("paused")]
    own = (line_of(production, words) for production in active)
    return words.lines(
        words("queue-head"), *counts, words("queue-own") if active else words("queue-empty"), *own
    )


def workers_report(members: Mapping[Kind, list[dict[str, Json]]], words: Words, now: float) -> Html:
    """Who works, on what, and when they were last heard of."""
    lines = []
    for kind in Kind:
        lines.append(words(f"workers-{kind}"))
        lines += [_worker(member, words, now) for member in members[kind][:MOST_WORKERS]]
        if not members[kind]:
            lines.append(words(f"workers-none-{kind}"))
    return words.lines(*lines)


def _worker(member: Mapping[str, Json], words: Words, now: float) -> Html:
    status, job = str(member.get("status")), str(member.get("current_job") or "")
    known = status if status in ("online", "busy", "offline") else "offline"
    return words(
        f"worker-{known}",
        name=cut(str(member.get("worker_id")), 40),
        machine=cut(str(member.get("gpu_model") or member.get("hostname") or ""), 40),
        job=job[:SHORT_ID],
        done=_count(member, "jobs_completed"),
        ago=words.duration(now - _moment(member.get("last_heartbeat"), now)),
    )


def _at(view: JobView, name: str) -> float | None:
    text = view.job.text(name)
    return _moment(text, 0) or None if text else None


def _moment(value: Json, default: float) -> float:
    try:
        return moment(value) if isinstance(value, str) else default
    except ValueError:
        return default


def _count(record: Mapping[str, Json], name: str) -> int:
    value = record.get(name)
    return value if isinstance(value, int) else 0
