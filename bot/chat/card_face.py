"""What the status card of a production says: a pure function of how far it is."""

from dataclasses import dataclass

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from bot.chat.buttons import Verb, data
from bot.chat.scripts import speech_minutes
from bot.chat.texts import Html, Words, cut
from bot.productions import ENDED, Production, Stage
from jobqueue.backend import JobView
from jobqueue.lifecycle import State

REASON_CHARS = 200
MOST_PERCENT = 99
"""100 % is said by the finished file, not by the card."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the card needs to know beyond the production itself."""

    voice_workers: int
    """Audio workers that are online."""
    max_attempts: int
    now: float
    """Unix seconds."""
    earlier: Production | None = None
    """Another one with the same script."""


@dataclass(frozen=True, slots=True)
class Face:
    """A message as it is shown."""

    text: Html
    buttons: InlineKeyboardMarkup | None = None


def face_of(production: Production, words: Words, around: Surroundings) -> Face:
    """The card as it should look now. Ended productions have one line and no buttons."""
    if production.stage in ENDED:
        return Face(headline(production, words))
    view = production.current
    text = words.lines(
        words("card-title", title=production.title),
        _facts(production, words),
        _stage(production, words),
        _attempt(view, words, around),
        _eta(view, words),
        _duplicate(around.earlier, words),
        words("card-no-voice") if _lacks_worker(production, around) else None,
    )
    cancel = InlineKeyboardButton(
        words.plain("button-cancel"), callback_data=data(Verb.CANCEL, production.id)
    )
    return Face(text, InlineKeyboardMarkup([[cancel]]))


def headline(production: Production, words: Words) -> Html:
    """A production in one line: its title, id and stage."""
    stage = words(f"stage-{production.stage}")
    mark = words(f"mark-{production.stage}")
    return words("headline", mark=mark, title=production.title, id=production.short_id, stage=stage)


def _facts(production: Production, words: Words) -> Html:
    job = production.first
    length = len(job.text("script_text"))
    if not length:
        return words("card-facts-short", id=production.short_id, channel=job.text("channel_code"))
    return words(
        "card-facts",
        id=production.short_id,
        channel=job.text("channel_code"),
        chars=length,
        minutes=speech_minutes(length),
    )


def _stage(production: Production, words: Words) -> Html:
    view, progress = production.current, production.current.progress
    percent = min(round(progress.percent), MOST_PERCENT) if progress else 0
    match production.stage:
        case Stage.WAITING if view.position:
            return words("card-waiting", place=view.position)
        case Stage.WAITING_FOR_VIDEO if view.position and production.video is not None:
            return words("card-waiting-for-video", place=view.position)
        case Stage.SPEAKING if progress and progress.chunks and progress.chunk is not None:
            part = min(progress.chunk + 1, progress.chunks)
            return words("card-speaking-part", part=part, parts=progress.chunks, percent=percent)
        case Stage.SPEAKING | Stage.RENDERING if percent:
            return words(f"card-{production.stage}", percent=percent)
        case stage:
            return words(f"card-{stage}-begins")


def _attempt(view: JobView, words: Words, around: Surroundings) -> Html | None:
    """What went wrong before, while it is being tried again."""
    failures, reason = view.job.retry_count, view.job.text("error_message")
    if not failures or not reason:
        return None
    attempts = max(around.max_attempts, view.job.attempt)
    reason = cut(reason, REASON_CHARS)
    if view.state is State.PROCESSING:
        return words("card-attempt-runs", reason=reason, attempt=view.job.attempt, attempts=attempts)
    wait_s = (view.job.not_before or 0) - around.now
    return words(
        "card-attempt-follows",
        reason=reason,
        attempt=view.job.attempt,
        attempts=attempts,
        wait=words("card-attempt-wait", time=words.duration(wait_s)) if wait_s > 0 else "",
    )


def _eta(view: JobView, words: Words) -> Html | None:
    return words("card-eta", time=words.duration(view.eta_s)) if view.eta_s else None


def _duplicate(earlier: Production | None, words: Words) -> Html | None:
    """Perhaps it was sent twice by mistake; the Cancel button is below."""
    if earlier is None:
        return None
    stage, date = words(f"stage-{earlier.stage}"), earlier.first.text("date")
    return words("card-duplicate", id=earlier.short_id, date=date, stage=stage)


def _lacks_worker(production: Production, around: Surroundings) -> bool:
    return production.stage is Stage.WAITING and not around.voice_workers
