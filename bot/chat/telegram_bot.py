"""Chat: the conversation with people, joined from its parts and kept alive."""

import asyncio
import contextlib
import logging
from datetime import UTC
from pathlib import Path
from typing import Any

from telegram import BotCommand, LinkPreviewOptions, Update
from telegram.constants import ParseMode
from telegram.error import InvalidToken, TelegramError
from telegram.ext import (
    Application,
    ApplicationBuilder,
    CallbackContext,
    CallbackQueryHandler,
    CommandHandler,
    Defaults,
    MessageHandler,
    TypeHandler,
    filters,
)
from telegram.request import HTTPXRequest

from bot.chat.card_files import CardFiles
from bot.chat.cards import Cards
from bot.chat.commands import SHOWN, Commands, Roster
from bot.chat.gate import Gate
from bot.chat.history import History
from bot.chat.inbox import Inbox
from bot.chat.journal import Journal
from bot.chat.messenger import TelegramMessenger
from bot.chat.pausing import Pausing
from bot.chat.poller import Poller
from bot.chat.presses import Presses
from bot.chat.processor import PerChat
from bot.chat.reception import Channels, Reception
from bot.chat.settings import ChatSettings
from bot.chat.texts import LANGUAGES, Texts
from bot.chat.transport import want_timedeltas
from bot.notifications import Links
from bot.pause import pause
from bot.productions import Productions
from jobqueue.backend import QueueBackend
from jobqueue.clock import Clock
from jobqueue.feed import Feed
from jobqueue.job import Kind
from jobqueue.outbox import Outbox
from jobqueue.storage import DirectoryStorage

log = logging.getLogger(__name__)

App = Application[Any, Any, Any, Any, Any, Any]
NO_TOKEN = "0:none"  # noqa: S105  it is none
"""Stands where BOT_TOKEN is not set; nothing is ever sent with it."""


class Chat:
    """Everything between Telegram and the queue."""

    def __init__(
        self,
        queue: QueueBackend,
        *,
        feed: Feed,
        outbox: Outbox,
        data_dir: Path,
        settings: ChatSettings,
        channels: Channels,
        roster: Roster,
        clock: Clock,
        links: Links | None = None,
    ) -> None:
        """`links`: to finished files, for the history; None: it shows none."""
        folder, tmp = data_dir / "chat", data_dir / "tmp"
        want_timedeltas()
        self._settings, self._outbox, self._texts = settings, outbox, Texts()
        self._inbox = Inbox(Journal(folder / "inbox", tmp))
        self._requests = (
            HTTPXRequest(connection_pool_size=64, read_timeout=20, media_write_timeout=300, pool_timeout=10),
            HTTPXRequest(connection_pool_size=1, read_timeout=10, pool_timeout=10),
        )
        self._app = _application(settings, self._inbox, *self._requests)
        bot, productions = self._app.bot, Productions(queue)
        self._cards = Cards(
            bot,
            productions,
            CardFiles(folder / "cards", tmp),
            texts=self._texts,
            settings=settings,
            voice_workers=lambda: roster.online(Kind.AUDIO),
            clock=clock,
        )
        self._gate = Gate(settings, self._texts, clock)
        history = History(productions, DirectoryStorage(data_dir / "files", tmp), links)
        self._reception = Reception(
            queue,
            productions,
            self._cards,
            self._inbox,
            channels=channels,
            texts=self._texts,
            settings=settings,
            clock=clock,
        )
        self._commands = Commands(
            queue,
            productions,
            self._cards,
            roster,
            history=history,
            gate=self._gate,
            texts=self._texts,
            settings=settings,
            clock=clock,
        )
        self._pausing = Pausing(queue)
        self._presses = Presses(
            productions,
            self._cards,
            self._reception,
            outbox,
            history=history,
            gate=self._gate,
            texts=self._texts,
        )
        self._poller = Poller(bot, self._inbox, settings.patience)
        self.messenger = TelegramMessenger(bot, self._cards, self._texts) if settings.token else None
        """For the notifications; None where there is no Telegram."""
        self._add_handlers()
        if settings.token:
            feed.listen(self._cards.heard)

    async def serve(self, stop: asyncio.Event) -> None:
        """Talk to people until `stop`; whatever Telegram does, this neither raises nor ends."""
        if not self._settings.token:
            log.info("BOT_TOKEN is not set: Telegram is off, everything else runs")
            await stop.wait()
            return
        # These two log every call with its address, and the address holds the token.
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)
        owed = await asyncio.to_thread(self._outbox.owed)
        await self._cards.load({news.job_id for news in owed})
        try:
            if await self._connect(stop):
                await self._talk(stop)
        finally:
            await self._hang_up()

    async def _connect(self, stop: asyncio.Event) -> bool:
        """Until Telegram knows us; False if `stop` came first."""
        while not stop.is_set():
            try:
                await self._app.initialize()
            except TelegramError as error:
                await pause(stop, self._poller.setback(error))
            else:
                self._poller.recovered()
                return True
        return False

    async def _talk(self, stop: asyncio.Event) -> None:
        await self._inbox.replay(self._app.bot)
        await self._app.start()
        log.info("the chat is open as @%s", self._app.bot.username)
        async with asyncio.TaskGroup() as group:
            duties = [self._poller.run(stop), self._cards.run(stop), self._reception.pieces.run(stop)]
            tasks = {group.create_task(duty) for duty in [*duties, self._name_commands()]}
            await stop.wait()
            # None of them holds anything that would not come again: the poll, an edit, a piece.
            for task in tasks:
                task.cancel()

    async def _hang_up(self) -> None:
        """Let handlers in work end, but not for long: what they leave is handled at the next start."""
        if self._app.running:
            try:
                async with asyncio.timeout(self._settings.patience.stop_s):
                    await self._app.stop()
            except TimeoutError:
                log.warning("some messages are answered at the next start")
            await self._poller.confirm()
        with contextlib.suppress(TelegramError, RuntimeError):
            await self._app.shutdown()
        # The library leaves them open if Telegram never knew us.
        for request in self._requests:
            await request.shutdown()

    async def _name_commands(self) -> None:
        """Fill Telegram's menu, in each language. It is a convenience: a failure is only logged."""
        try:
            for language in LANGUAGES:
                words = self._texts.in_language(language)
                menu = [BotCommand(name, words.plain(f"menu-{name}")) for name in SHOWN]
                # English goes to all whose language we do not speak.
                code = None if language == LANGUAGES[0] else language
                await self._app.bot.set_my_commands(menu, language_code=code)
        except TelegramError as error:
            log.warning("the menu of commands could not be set: %s", type(error).__name__)

    def _add_handlers(self) -> None:
        fresh = filters.UpdateType.MESSAGE  # without it, text filters fire on edits too
        app, commands, reception = self._app, self._commands, self._reception
        # One gate before everything: filters on handlers do not cover buttons.
        app.add_handler(TypeHandler(Update, self._gate.check), group=-1)
        for name, answer in {
            "start": commands.on_start,
            "help": commands.on_help,
            "status": commands.on_status,
            "queue": commands.on_queue,
            "history": commands.on_history,
            "retry": commands.on_retry,
            "cancel": commands.on_cancel,
            "workers": commands.on_workers,
            "pause": self._pausing.on_pause,
            "resume": self._pausing.on_resume,
        }.items():
            app.add_handler(CommandHandler(name, commands.handler(answer), filters=fresh))
        app.add_handler(CallbackQueryHandler(self._presses.on_press))
        app.add_handler(MessageHandler(filters.UpdateType.EDITED_MESSAGE, reception.on_edit))
        # A long text that happens to begin with a slash is a script all the same.
        short = filters.Regex(rf"(?s)\A.{{0,{self._settings.script_min_chars}}}\Z")
        unknown = commands.handler(commands.on_unknown)
        app.add_handler(MessageHandler(fresh & filters.COMMAND & short, unknown))
        app.add_handler(MessageHandler(fresh & filters.TEXT, reception.on_text))
        app.add_handler(MessageHandler(fresh & filters.Document.ALL, reception.on_document))
        app.add_handler(MessageHandler(fresh & ~filters.StatusUpdate.ALL, reception.on_other))
        app.add_error_handler(self._on_error)

    async def _on_error(self, update: object, context: CallbackContext[Any, Any, Any, Any]) -> None:
        """Log it once; tell the person a sentence, never a traceback."""
        error = context.error
        update_id = update.update_id if isinstance(update, Update) else None
        if isinstance(error, InvalidToken):
            log.error("update %s: Telegram refuses BOT_TOKEN", update_id)
            return
        if isinstance(error, TelegramError):
            log.warning("update %s: Telegram did not take the answer: %s", update_id, error)
            return
        log.error("update %s could not be handled", update_id, exc_info=error)
        if isinstance(update, Update) and update.effective_chat is not None:
            words = self._texts.of(update.effective_user)
            with contextlib.suppress(TelegramError):
                await context.bot.send_message(update.effective_chat.id, words("error"))


def _application(settings: ChatSettings, inbox: Inbox, calls: HTTPXRequest, polls: HTTPXRequest) -> App:
    defaults = Defaults(
        parse_mode=ParseMode.HTML,
        tzinfo=UTC,
        # A reply to a message that was deleted meanwhile is still sent.
        allow_sending_without_reply=True,
        # A preview would open one-time links before people do.
        link_preview_options=LinkPreviewOptions(is_disabled=True),
    )
    return (
        ApplicationBuilder()
        .token(settings.token or NO_TOKEN)
        .base_url(f"{settings.api_url}/bot")
        .base_file_url(f"{settings.api_url}/file/bot")
        .defaults(defaults)
        .updater(None)
        .update_queue(inbox)
        .concurrent_updates(PerChat(inbox))
        .request(calls)
        .get_updates_request(polls)
        .build()
    )
