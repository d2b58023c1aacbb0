"""The commands people type."""

import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from telegram import InlineKeyboardButton, InlineKeyboardMarkup, Message, Update
from telegram.ext import CallbackContext

from bot.chat.buttons import Verb, data
from bot.chat.cards import Cards
from bot.chat.gate import Gate
from bot.chat.history import History
from bot.chat.reports import line_of, queue_report, story_of, workers_report
from bot.chat.settings import ChatSettings
from bot.chat.texts import Html, Texts, Words, cut
from bot.chat.transport import reply
from bot.productions import ACTIVE, Ambiguous, Person, Production, Productions
from jobqueue.backend import QueueBackend
from jobqueue.clock import Clock
from jobqueue.errors import InvalidTransition, JobNotFound, QueueError
from jobqueue.job import Json, Kind
from jobqueue.lifecycle import State

log = logging.getLogger(__name__)

Context = CallbackContext[Any, Any, Any, Any]
LISTED = 5
OFFERED = 8
BUTTON_TITLE_CHARS = 30
ALL = "all"
"""In place of an id: all of one's own."""
NAMES = ("start", "help", "status", "queue", "history", "retry", "cancel", "workers", "pause", "resume")
SHOWN = ("status", "queue", "history", "retry", "cancel", "workers", "help")
"""Those in Telegram's menu."""


class Roster(Protocol):
    """The workers, as far as people want to know of them."""

    def online(self, kind: Kind) -> int: ...

    def members(self, kind: Kind) -> list[dict[str, Json]]:
        """Their records, the latest heard of first."""
        ...


class Commands:
    """Answers commands. People see and move their own productions, admins all."""

    def __init__(
        self,
        queue: QueueBackend,
        productions: Productions,
        cards: Cards,
        roster: Roster,
        *,
        history: History,
        gate: Gate,
        texts: Texts,
        settings: ChatSettings,
        clock: Clock,
    ) -> None:
        self._queue = queue
        self._productions = productions
        self._cards = cards
        self._roster = roster
        self._history = history
        self._gate = gate
        self._texts = texts
        self._settings = settings
        self._clock = clock

    async def on_help(self, message: Message, _person: Person, words: Words, _argument: str) -> None:
        await reply(message, words("help", minimum=self._settings.script_min_chars))

    async def on_start(self, message: Message, _person: Person, words: Words, _argument: str) -> None:
        welcome, rest = words("welcome"), words("help", minimum=self._settings.script_min_chars)
        await reply(message, f"{welcome}\n\n{rest}")

    async def on_status(self, message: Message, person: Person, words: Words, argument: str) -> None:
        if argument:
            production = await self._productions.find(argument, person)
            await reply(message, story_of(production, words, self._clock.now()))
            return
        recent = await self._productions.recent(person, message.chat.id, limit=LISTED)
        if not recent:
            await reply(message, words("status-none"))
            return
        lines = (line_of(production, words) for production in recent)
        await reply(message, words.lines(words("status-head"), *lines, words("status-foot")))

    async def on_queue(self, message: Message, person: Person, words: Words, _argument: str) -> None:
        active = await self._productions.recent(person, message.chat.id, states=ACTIVE, limit=OFFERED)
        stats = {kind: self._queue.stats(kind) for kind in Kind}
        await reply(message, queue_report(stats, active, words))

    async def on_history(self, message: Message, person: Person, words: Words, _argument: str) -> None:
        face = await self._history.page(person, message.chat.id, words)
        await reply(message, face.text, reply_markup=face.buttons)

    async def on_workers(self, message: Message, _person: Person, words: Words, _argument: str) -> None:
        members = {kind: self._roster.members(kind) for kind in Kind}
        await reply(message, workers_report(members, words, self._clock.now()))

    async def on_cancel(self, message: Message, person: Person, words: Words, argument: str) -> None:
        if argument:
            await self._cancel(message, await self._productions.find(argument, person), person, words)
            return
        active = await self._productions.recent(person, message.chat.id, states=ACTIVE, limit=OFFERED)
        if len(active) == 1:
            await self._cancel(message, active[0], person, words)
        elif active:
            await reply(message, words("cancel-which"), reply_markup=_choice(active, Verb.CANCEL))
        else:
            await reply(message, words("cancel-none"))

    async def on_retry(self, message: Message, person: Person, words: Words, argument: str) -> None:
        if argument.lower() == ALL:
            by = f"user {person.user_id}"
            retried = await self._productions.retry_all(person, message.chat.id, by=by)
            await reply(message, words("retried-all", n=retried) if retried else words("retry-none"))
            return
        if argument:
            await self._retry(message, await self._productions.find(argument, person), person, words)
            return
        failed_only = frozenset({State.FAILED})
        failed = await self._productions.recent(person, message.chat.id, states=failed_only, limit=OFFERED)
        if failed:
            await reply(message, words("retry-which"), reply_markup=_choice(failed, Verb.RETRY))
        else:
            await reply(message, words("retry-none"))

    async def on_unknown(self, message: Message, _person: Person, words: Words, _argument: str) -> None:
        await reply(message, words("unknown-command"))

    def handler(
        self, answer: Callable[[Message, Person, Words, str], Awaitable[None]]
    ) -> Callable[[Update, Context], Coroutine[None, None, None]]:
        """A handler for the library: finds out who asks and for what, and words the queue's refusals."""

        async def handle(update: Update, context: Context) -> None:
            message = update.message
            if message is None or message.from_user is None:
                return
            words = self._texts.of(message.from_user)
            argument = (context.args or [""])[0]
            try:
                await answer(message, self._gate.person(message.from_user.id), words, argument)
            except JobNotFound:
                await reply(message, words("unknown-job", id=cut(argument, 70)))
            except Ambiguous:
                await reply(message, words("ambiguous-id", id=cut(argument, 70)))
            except InvalidTransition as error:
                await reply(message, words(f"already-{error.state}"))
            except (OSError, QueueError) as error:
                log.error("a command of user %d: %s", message.from_user.id, error)
                await reply(message, words("not-saved"))

        return handle

    async def _cancel(self, message: Message, production: Production, person: Person, words: Words) -> None:
        await self._productions.cancel(production, by=f"user {person.user_id}")
        await reply(message, _sentence(words, "cancelled", production))
        await self._cards.hurry(production.id)

    async def _retry(self, message: Message, production: Production, person: Person, words: Words) -> None:
        with self._cards.expecting(production.id):
            again = await self._productions.retry(production, by=f"user {person.user_id}")
            await reply(message, _sentence(words, "retried", again))
            await self._cards.open(again, reply_to=again.first.number("reply_to_message_id"), silent=True)


def _sentence(words: Words, key: str, production: Production) -> Html:
    return words(key, title=production.title, id=production.short_id)


def _choice(productions: list[Production], verb: Verb) -> InlineKeyboardMarkup:
    """One button for each."""
    return InlineKeyboardMarkup(
        [
            [
                InlineKeyboardButton(
                    f"{production.short_id} · {cut(production.title, BUTTON_TITLE_CHARS)}",
                    callback_data=data(verb, production.id),
                )
            ]
            for production in productions
        ]
    )
