"""What people are told at the end of a production: the caption of the video, or what failed."""

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from bot.chat.buttons import Verb, data
from bot.chat.card_face import Face, headline
from bot.chat.texts import Html, Words, cut
from bot.notifications import Ending
from jobqueue.job import Json, Kind
from jobqueue.lifecycle import State

REASON_CHARS = 400
NOTE_CHARS = 120
MOST_NOTES = 3
BYTES_PER_MB = 1_000_000


def caption_of(ending: Ending, words: Words) -> Html:
    """The words that go with a finished video; at most ~900 characters, Telegram takes 1024."""
    job = ending.production.first
    facts = {"id": ending.production.short_id, "channel": job.text("channel_code")}
    seconds = _seconds(ending.view.job.fields.get("duration_s") or job.fields.get("duration_s"))
    return words.lines(
        words("done-title", title=ending.production.title),
        words("done-facts", **facts, length=_clock_time(seconds), size=_size(ending, words)),
        *(words("done-link", number=number, url=url) for number, url in enumerate(ending.links[:3], 1)),
        *(words("done-note", note=cut(note, NOTE_CHARS)) for note in _notes(ending)),
    )


def without_upload(ending: Ending, words: Words) -> Html:
    """The same when the file itself cannot be sent: where it is to be had."""
    if ending.news.kind is Kind.AUDIO:
        return words.lines(words("audio-done"), caption_of(ending, words))
    if ending.links:
        return words.lines(caption_of(ending, words), words("done-by-link"))
    return words.lines(caption_of(ending, words), words("done-no-link", path=ending.lies_at))


def failure_of(ending: Ending, words: Words) -> Face:
    """What failed, why, and what to do, with a button that tries again."""
    production = ending.production
    reason = cut(ending.view.job.text("error_message"), REASON_CHARS)
    text = words.lines(
        words("failed-title", title=production.title),
        words(
            f"failed-{ending.news.kind}",
            id=production.short_id,
            channel=production.first.text("channel_code"),
        ),
        words("failed-reason", reason=reason) if reason else None,
        words("failed-advice", id=production.short_id),
    )
    return Face(text, _one(words.plain("button-retry"), data(Verb.RETRY, production.id)))


def uncertain(ending: Ending, words: Words) -> Face:
    """The outcome written into the card, because nobody knows whether the message arrived."""
    if ending.news.state is State.FAILED:
        return failure_of(ending, words)
    text = words.lines(headline(ending.production, words), words("uncertain"), *_links(ending, words))
    return Face(text, _one(words.plain("button-resend"), data(Verb.RESEND, ending.production.id)))


def _links(ending: Ending, words: Words) -> list[Html]:
    if not ending.links and ending.lies_at:
        return [words("done-no-link", path=ending.lies_at)]
    return [words("done-link", number=number, url=url) for number, url in enumerate(ending.links[:3], 1)]


def _notes(ending: Ending) -> list[str]:
    """What the workers had to do otherwise than asked, such as leaving a picture out."""
    fields = ending.view.job.fields
    found: list[str] = []
    for name in ("audio_notes", "notes"):
        notes: Json = fields.get(name)
        found += [note for note in notes if isinstance(note, str)] if isinstance(notes, list) else []
        found += [notes] if isinstance(notes, str) and notes else []
    return found[:MOST_NOTES]


def _size(ending: Ending, words: Words) -> Html:
    if not ending.size_bytes:
        return Html("")
    return words("done-size", mb=round(ending.size_bytes / BYTES_PER_MB, 1))


def _seconds(value: Json) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _clock_time(seconds: float) -> str:
    """Length as people read it on a player, such as 14:05 or 1:02:09."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _one(label: str, callback: str) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup([[InlineKeyboardButton(label, callback_data=callback)]])
