"""Takes what people send: scripts as text, in pieces or as files, and everything that is none."""

import asyncio
import logging
from collections import deque
from typing import Any, Protocol

from telegram import Document, InlineKeyboardButton, InlineKeyboardMarkup, Message, Update
from telegram.error import NetworkError
from telegram.ext import CallbackContext

from bot.chat.buttons import Verb, data
from bot.chat.cards import Cards
from bot.chat.documents import MAX_BYTES, DocumentUnusable, decode, is_text_file, safe_name
from bot.chat.inbox import Inbox
from bot.chat.pieces import Piece, Pieces, join
from bot.chat.scripts import Script, Sender, job_id_of
from bot.chat.settings import ChatSettings
from bot.chat.texts import Html, Texts, Words, cut
from bot.chat.transport import reply
from bot.productions import ENDED, Production, Productions, Stage
from jobqueue.backend import QueueBackend
from jobqueue.clock import Clock
from jobqueue.errors import JobExists, JobInvalid, JobNotFound, QueueError
from jobqueue.job import Kind

log = logging.getLogger(__name__)

Context = CallbackContext[Any, Any, Any, Any]
DOWNLOAD_TRIES = 3
ALBUMS_REMEMBERED = 100


class Channels(Protocol):
    """Which channel a person works on."""

    def current(self, user_id: int) -> str:
        """The code of the channel their next script goes to."""
        ...


class Reception:
    """Decides what a message is, and queues it if it is a script."""

    def __init__(
        self,
        queue: QueueBackend,
        productions: Productions,
        cards: Cards,
        inbox: Inbox,
        *,
        channels: Channels,
        texts: Texts,
        settings: ChatSettings,
        clock: Clock,
    ) -> None:
        self._queue = queue
        self._productions = productions
        self._cards = cards
        self._inbox = inbox
        self._channels = channels
        self._texts = texts
        self._settings = settings
        self._answered_albums: deque[str] = deque(maxlen=ALBUMS_REMEMBERED)
        self._messages: dict[int, Message] = {}
        self.pieces = Pieces(clock, self._whole, join_s=settings.patience.join_s)

    # --- what Telegram hands us

    async def on_text(self, update: Update, _context: Context) -> None:
        message = update.message
        if message is None or message.text is None:
            return
        sender = _sender(message, self._texts)
        if self.pieces.belongs(sender, message.text):
            # Journaled until the whole script is queued: a crash in between loses none of it.
            self._inbox.hold(update.update_id)
            self._messages[update.update_id] = message
            await self.pieces.add(Piece(update.update_id, message.text, sender))
        else:
            await self._consider(message, Script(message.text.strip(), sender))

    async def on_document(self, update: Update, _context: Context) -> None:
        message = update.message
        if message is None or message.document is None:
            return
        script = await self._read(message, message.document)
        if script is not None:
            await self._consider(message, script)

    async def on_edit(self, update: Update, _context: Context) -> None:
        """An edited message is never a second script; say what to do while it is in time."""
        message = update.edited_message
        if message is None:
            return
        try:
            job_id = job_id_of(message.get_bot().id, message.chat.id, message.message_id)
            production = await self._productions.get(job_id)
        except JobNotFound:
            return
        if production.stage in ENDED:
            return
        key = "edited-waiting" if production.stage is Stage.WAITING else "edited-begun"
        await reply(message, self._words(message)(key, id=production.short_id), do_quote=True)

    async def on_other(self, update: Update, _context: Context) -> None:
        message = update.message
        if message is None:
            return
        if message.media_group_id:
            # An album comes as one update per picture; one answer is enough.
            if message.media_group_id in self._answered_albums:
                return
            self._answered_albums.append(message.media_group_id)
        await reply(message, self._words(message)("not-a-script"), do_quote=True)

    async def make_anyway(self, message: Message, words: Words) -> Html | None:
        """Queue a script that was asked about; returns what is wrong with it, if anything is."""
        original = message.reply_to_message
        if not isinstance(original, Message):
            return words("ask-gone")
        if original.document is not None:
            script = await self._read(original, original.document, words)
        elif original.text:
            script = Script(original.text.strip(), _sender(original, self._texts))
        else:
            return words("ask-gone")
        if script is not None:
            await self._accept(original, script)
        return None

    # --- what becomes of it

    async def _whole(self, pieces: list[Piece]) -> None:
        """All pieces of a script are here."""
        messages = [self._messages.pop(piece.update_id) for piece in pieces]
        try:
            text = join([piece.text for piece in pieces]).strip()
            await self._consider(messages[0], Script(text, pieces[0].sender))
        except NetworkError as error:
            # It is queued or refused; only the answer did not get through.
            log.warning("chat %d: no answer to a script: %s", messages[0].chat.id, type(error).__name__)
        await self._inbox.release([piece.update_id for piece in pieces])

    async def _read(self, message: Message, document: Document, words: Words | None = None) -> Script | None:
        """The script in a file; None if there is none, and then they have been told why."""
        words = words or self._words(message)
        name = safe_name(document.file_name)
        try:
            if not is_text_file(name):
                raise DocumentUnusable("file-wrong-type")
            text = await _download(document)
        except DocumentUnusable as error:
            reason = words(error.reason, name=cut(name, 60) or "?", limit=MAX_BYTES // 1_000_000)
            await reply(message, reason, do_quote=True)
            return None
        return Script(text, _sender(message, self._texts), source=name)

    async def _consider(self, message: Message, script: Script) -> None:
        words, length = self._words(message), len(script.text)
        if length > self._settings.script_max_chars:
            too_long = words("script-too-long", chars=length, limit=self._settings.script_max_chars)
            await reply(message, too_long, do_quote=True)
        elif length < self._settings.script_min_chars:
            await self._ask(message, words, length)
        else:
            await self._accept(message, script)

    async def _ask(self, message: Message, words: Words, length: int) -> None:
        target = str(message.message_id)
        yes = InlineKeyboardButton(words.plain("button-yes"), callback_data=data(Verb.MAKE, target))
        no = InlineKeyboardButton(words.plain("button-no"), callback_data=data(Verb.DROP, target))
        # Stateless: the text is in the message that the question replies to.
        question = words("ask-short", chars=length)
        await reply(message, question, do_quote=True, reply_markup=InlineKeyboardMarkup([[yes, no]]))

    async def _accept(self, message: Message, script: Script) -> None:
        """Queue it and answer with its card; if it cannot be kept, say so."""
        words = self._words(message)
        try:
            with self._cards.expecting(script.job_id):
                production = await self._queued(script)
                if production.stage not in ENDED:
                    await self._cards.open(production, reply_to=message.message_id)
        except JobInvalid as error:
            await reply(message, words("script-refused", reason=cut(str(error), 300)), do_quote=True)
        except (OSError, QueueError) as error:
            log.error("job %s: cannot be saved: %s", script.job_id, error)
            await reply(message, words("script-not-saved"), do_quote=True)

    async def _queued(self, script: Script) -> Production:
        """The production of this script, which is in the queue now. Raises: OSError, QueueError."""
        channel = self._channels.current(script.sender.user_id)
        try:
            await self._queue.enqueue(Kind.AUDIO, script.record(channel))
        except JobExists:
            # The same message once more, with other words: what came first counts.
            log.info("job %s: is there already", script.job_id)
        return await self._productions.get(script.job_id)

    def _words(self, message: Message) -> Words:
        return self._texts.of(message.from_user)


async def _download(document: Document) -> str:
    """The text of a file. Raises: DocumentUnusable."""
    for attempt in range(1, DOWNLOAD_TRIES + 1):
        # Telegram may leave the size out, so it is looked at again before and after the download.
        if (document.file_size or 0) > MAX_BYTES:
            raise DocumentUnusable("file-too-large")
        try:
            file = await document.get_file()
            if (file.file_size or 0) > MAX_BYTES:
                raise DocumentUnusable("file-too-large")
            content = bytes(await file.download_as_bytearray())
        except NetworkError as error:
            log.warning("a file cannot be fetched, attempt %d: %s", attempt, type(error).__name__)
            await asyncio.sleep(0.2 * attempt)
            continue
        if len(content) > MAX_BYTES:
            raise DocumentUnusable("file-too-large")
        return await asyncio.to_thread(decode, content)
    raise DocumentUnusable("file-not-fetched")


def _sender(message: Message, texts: Texts) -> Sender:
    user_id = message.from_user.id if message.from_user else message.chat.id
    language = texts.of(message.from_user).language
    return Sender(message.get_bot().id, message.chat.id, user_id, message.message_id, language)
