"""What a person has had made so far, page by page, with links to what is still there."""

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from bot.chat.buttons import Verb, data
from bot.chat.card_face import Face, headline
from bot.chat.texts import Html, Words
from bot.notifications import Links
from bot.productions import Person, Production, Productions
from jobqueue.disk import in_thread
from jobqueue.errors import PathRefused
from jobqueue.storage import DirectoryStorage

NEWEST = "0"
"""Stands for the first page in a button."""


class History:
    """Ended productions of a chat, newest first. A page has five to twelve of them."""

    def __init__(self, productions: Productions, files: DirectoryStorage, links: Links | None) -> None:
        self._productions = productions
        self._files = files
        self._links = links

    async def page(self, person: Person, chat_id: int, words: Words, cursor: str = NEWEST) -> Face:
        """The page that begins there, with buttons to turn it. Raises: QueueError, OSError."""
        after = None if cursor == NEWEST else cursor
        found, following = await self._productions.ended(person, chat_id, cursor=after)
        if not found and after is None:
            return Face(words("history-none"))
        lines = [await self._line(production, words) for production in found]
        text = words.lines(words("history-head"), *(lines or [words("history-end")]))
        return Face(text, _buttons(words, after, following))

    async def _line(self, production: Production, words: Words) -> Html:
        job, url = production.first, await self._link(production)
        return words(
            "history-line",
            line=headline(production, words),
            channel=job.text("channel_code"),
            date=job.text("date"),
            link=words("history-link", url=url) if url else "",
        )

    async def _link(self, production: Production) -> str | None:
        """To the video, if it can still be fetched; else to a recording or video that lies elsewhere."""
        job = production.current.job
        if production.video is not None and self._links is not None:
            path = job.text("video_path") or f"{job.organized_path}/video.mp4"
            if await in_thread(lambda: self._is_there(path)) and (url := self._links.for_file(path)):
                return url
        return job.text("gofile_link") or None

    def _is_there(self, path: str) -> bool:
        try:
            return self._files.locate(path).is_file()
        except (PathRefused, OSError):
            return False


def _buttons(words: Words, after: str | None, following: str | None) -> InlineKeyboardMarkup | None:
    turns = [(words.plain("button-newest"), NEWEST)] if after else []
    turns += [(words.plain("button-older"), following)] if following else []
    row = [InlineKeyboardButton(label, callback_data=data(Verb.HISTORY, target)) for label, target in turns]
    return InlineKeyboardMarkup([row]) if row else None
