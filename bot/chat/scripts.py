"""A script and who sent it, as the audio job it becomes."""

import re
import uuid
from dataclasses import dataclass

from jobqueue.job import Json

TITLE_CHARS = 80
CHARS_PER_MINUTE = 900
"""Speech at a narrator's pace, Hindi and English alike: about 15 characters a second."""
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://telegram.org/scriptreel")
LEADING_MARKS = re.compile(r"^[\s#*_>\-=~`\"“”]+")
SENTENCE_END = re.compile(r"(?<=[.!?।॥])\s")


@dataclass(frozen=True, slots=True)
class Sender:
    """Where a script came from, and so where its answers go."""

    bot_id: int
    chat_id: int
    user_id: int
    message_id: int
    """Of the first message of the script: the answers reply to it."""
    language: str


@dataclass(frozen=True, slots=True)
class Script:
    """A whole script, ready to be queued."""

    text: str
    sender: Sender
    source: str | None = None
    """Name of the file it came in."""

    @property
    def job_id(self) -> str:
        """Always the same one for the same message, so that an update delivered twice is one job."""
        return job_id_of(self.sender.bot_id, self.sender.chat_id, self.sender.message_id)

    def record(self, channel_code: str) -> dict[str, Json]:
        """The audio job to enqueue."""
        record: dict[str, Json] = {
            "job_id": self.job_id,
            "script_text": self.text,
            "chat_id": self.sender.chat_id,
            "user_id": self.sender.user_id,
            "channel_code": channel_code,
            "chat_language": self.sender.language,
            "reply_to_message_id": self.sender.message_id,
            "title": title_of(self.text),
        }
        return record | ({"source": self.source} if self.source else {})


def job_id_of(bot_id: int, chat_id: int, message_id: int) -> str:
    """The id of the job that the script in this message becomes."""
    return uuid.uuid5(NAMESPACE, f"{bot_id}/{chat_id}/{message_id}").hex


def title_of(text: str) -> str:
    """The first line or sentence, without the marks of headings and lists."""
    first = next((line for line in text.splitlines() if LEADING_MARKS.sub("", line).strip()), "")
    first = LEADING_MARKS.sub("", first).strip(" *_#\t")
    if len(first) > TITLE_CHARS:
        first = SENTENCE_END.split(first, maxsplit=1)[0]
    if len(first) > TITLE_CHARS:
        first = first[: TITLE_CHARS - 1].rsplit(" ", 1)[0].rstrip(" ,;:-–—") + "…"
    return first[:TITLE_CHARS]


def speech_minutes(text_chars: int) -> int:
    """How long the narration will be, roughly, min."""
    return max(1, round(text_chars / CHARS_PER_MINUTE))
