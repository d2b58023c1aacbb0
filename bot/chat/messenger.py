"""Carries news to Telegram: the video itself if it may be sent, else a picture or words with the links."""

import logging
from pathlib import Path

from telegram import Bot, InlineKeyboardMarkup, InputFile, ReplyParameters
from telegram.error import BadRequest

from bot.chat.cards import Cards
from bot.chat.endings import caption_of, failure_of, uncertain, without_upload
from bot.chat.texts import Html, Texts, Words
from bot.chat.transport import TooLarge, sending
from bot.notifications import Ending, NotDelivered
from jobqueue.job import Json
from jobqueue.lifecycle import State

log = logging.getLogger(__name__)

PHOTO_BYTES = 10_000_000
UPLOAD_TIMEOUT_S = 1800.0
WRITE_TIMEOUT_S = 300.0
READ_TIMEOUT_S = 180.0
"""Telegram answers only after it has looked at the whole video."""


class TelegramMessenger:
    """The Messenger of the notifications."""

    def __init__(self, bot: Bot, cards: Cards, texts: Texts) -> None:
        self._bot = bot
        self._cards = cards
        self._texts = texts

    async def deliver(self, ending: Ending) -> None:
        words = self._words(ending)
        if ending.news.state is State.FAILED:
            face = failure_of(ending, words)
            await self._text(ending, face.text, face.buttons)
        elif ending.may_be_uploaded and ending.video is not None:
            try:
                await self._video(ending, ending.video, caption_of(ending, words))
            except (TooLarge, BadRequest) as error:
                log.warning("job %s: Telegram does not take the video: %s", ending.news.job_id, error)
                await self._without_upload(ending, words)
        else:
            await self._without_upload(ending, words)

    async def amend(self, ending: Ending) -> bool:
        try:
            return await self._cards.amend(ending.production.id, uncertain(ending, self._words(ending)))
        except BadRequest as error:
            log.warning("job %s: its card cannot be edited: %s", ending.news.job_id, error)
            return False

    async def tell(self, ending: Ending) -> None:
        face = uncertain(ending, self._words(ending))
        await self._text(ending, face.text, face.buttons)

    async def close(self, production_id: str) -> None:
        await self._cards.close(production_id)

    async def _video(self, ending: Ending, path: Path, caption: Html) -> None:
        fields = ending.view.job.fields
        with path.open("rb") as handle:
            await sending(
                self._bot.send_video(
                    ending.chat_id,
                    # Streamed from the handle: reading it first would cost three times its size in memory.
                    InputFile(handle, filename=_file_name(ending), read_file_handle=False),
                    caption=caption,
                    duration=_whole(fields.get("duration_s")),
                    width=_whole(fields.get("width")),
                    height=_whole(fields.get("height")),
                    supports_streaming=True,
                    reply_parameters=_reply(ending),
                    write_timeout=WRITE_TIMEOUT_S,
                    read_timeout=READ_TIMEOUT_S,
                ),
                timeout_s=UPLOAD_TIMEOUT_S,
            )

    async def _without_upload(self, ending: Ending, words: Words) -> None:
        text = without_upload(ending, words)
        photo = ending.thumbnail
        if photo is not None and 0 < photo.stat().st_size <= PHOTO_BYTES:
            try:
                with photo.open("rb") as handle:
                    picture = InputFile(handle, filename="thumbnail.jpg", read_file_handle=False)
                    await sending(
                        self._bot.send_photo(
                            ending.chat_id, picture, caption=text, reply_parameters=_reply(ending)
                        )
                    )
                return
            except (TooLarge, BadRequest) as error:
                log.warning("job %s: Telegram does not take the thumbnail: %s", ending.news.job_id, error)
        await self._text(ending, text, None)

    async def _text(self, ending: Ending, text: Html, buttons: InlineKeyboardMarkup | None) -> None:
        try:
            await sending(
                self._bot.send_message(
                    ending.chat_id, text, reply_markup=buttons, reply_parameters=_reply(ending)
                )
            )
        except BadRequest as error:
            # Such as a chat that does not exist for us: it may one day.
            raise NotDelivered(str(error)) from error

    def _words(self, ending: Ending) -> Words:
        return self._texts.in_language(ending.production.first.text("chat_language", "en"))


def _reply(ending: Ending) -> ReplyParameters | None:
    message_id = ending.production.first.number("reply_to_message_id")
    if message_id is None or ending.production.chat_id != ending.chat_id:
        return None
    return ReplyParameters(message_id, allow_sending_without_reply=True)


def _file_name(ending: Ending) -> str:
    job = ending.view.job
    parts = (job.text("channel_code", "video"), job.text("date"), str(job.number("video_number") or ""))
    return "-".join(part for part in parts if part) + ".mp4"


def _whole(value: Json) -> int | None:
    return round(value) if isinstance(value, int | float) and value > 0 else None
