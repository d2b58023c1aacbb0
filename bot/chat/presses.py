"""What happens when a button is pressed. Every press is answered once, and checked anew."""

import asyncio
import contextlib
import logging
import re
from typing import Any

from telegram import CallbackQuery, InlineKeyboardMarkup, Message, Update
from telegram.error import TelegramError
from telegram.ext import CallbackContext

from bot.chat.buttons import Press, Verb, parse
from bot.chat.cards import Cards
from bot.chat.gate import Gate
from bot.chat.history import History
from bot.chat.reception import Reception
from bot.chat.texts import Texts, Words
from bot.productions import Ambiguous, Person, Production, Productions, Stage
from jobqueue.errors import InvalidTransition, JobNotFound, QueueError
from jobqueue.lifecycle import FINAL
from jobqueue.outbox import News, Outbox

log = logging.getLogger(__name__)

PAGE = re.compile(r"[0-9]{1,15}")


class Presses:
    """Handles buttons. Their data is forgeable: it names a production, the person's right is looked up."""

    def __init__(
        self,
        productions: Productions,
        cards: Cards,
        reception: Reception,
        outbox: Outbox,
        *,
        history: History,
        gate: Gate,
        texts: Texts,
    ) -> None:
        self._productions = productions
        self._cards = cards
        self._reception = reception
        self._outbox = outbox
        self._history = history
        self._gate = gate
        self._texts = texts

    async def on_press(self, update: Update, _context: CallbackContext[Any, Any, Any, Any]) -> None:
        query = update.callback_query
        if query is None:
            return
        words, press = self._texts.of(query.from_user), parse(query.data)
        if press is None:
            await _answer(query, words.plain("button-stale"))
        elif press.verb in (Verb.MAKE, Verb.DROP):
            await self._decide(query, press, words)
        elif press.verb is Verb.HISTORY:
            await self._turn(query, press, self._gate.person(query.from_user.id), words)
        else:
            await self._move(query, press, self._gate.person(query.from_user.id), words)

    async def _decide(self, query: CallbackQuery, press: Press, words: Words) -> None:
        """Yes or no to the question about a short text."""
        question = query.message
        original = question.reply_to_message if isinstance(question, Message) else None
        if not isinstance(question, Message) or original is None:
            await _answer(query, words.plain("ask-gone"))
            return
        if original.from_user is None or original.from_user.id != query.from_user.id:
            await _answer(query, words.plain("not-yours"))
            return
        problem = None
        if press.verb is Verb.MAKE:
            problem = await self._reception.make_anyway(question, words)
        await _answer(query, "", alert=False)
        settled = words("ask-made") if press.verb is Verb.MAKE else words("ask-dropped")
        with contextlib.suppress(TelegramError):
            await question.edit_text(problem or settled)

    async def _turn(self, query: CallbackQuery, press: Press, person: Person, words: Words) -> None:
        """Show another page of the history in the same message."""
        message = query.message
        if not isinstance(message, Message) or not PAGE.fullmatch(press.target):
            await _answer(query, words.plain("button-stale"))
            return
        try:
            face = await self._history.page(person, message.chat.id, words, press.target)
        except (OSError, QueueError) as error:
            log.error("history of user %d: %s", person.user_id, error)
            await _answer(query, words.plain("not-saved"))
            return
        await _answer(query, "", alert=False)
        with contextlib.suppress(TelegramError):
            await message.edit_text(face.text, reply_markup=face.buttons)

    async def _move(self, query: CallbackQuery, press: Press, person: Person, words: Words) -> None:
        """Cancel, try again, or send again."""
        try:
            production = await self._productions.find(press.target, person)
            text, alert = await self._do(press.verb, production, person, words), False
        except (JobNotFound, Ambiguous):
            text, alert, production = words.plain("unknown-job-short"), True, None
        except InvalidTransition as error:
            # Someone was quicker, perhaps the same person with a second press.
            text, alert = words.plain(f"already-{error.state}"), True
        except (OSError, QueueError) as error:
            log.error("button %s of user %d: %s", press.verb, person.user_id, error)
            text, alert, production = words.plain("not-saved"), True, None
        await _answer(query, text, alert=alert)
        if production is not None:
            await self._tidy(query, production)

    async def _do(self, verb: Verb, production: Production, person: Person, words: Words) -> str:
        by = f"user {person.user_id}"
        if verb is Verb.CANCEL:
            await self._productions.cancel(production, by=by)
            return words.plain("cancelled-short")
        if verb is Verb.RETRY:
            with self._cards.expecting(production.id):
                again = await self._productions.retry(production, by=by)
                await self._cards.open(again, reply_to=again.first.number("reply_to_message_id"), silent=True)
            return words.plain("retried-short")
        return await self._send_again(production, words)

    async def _send_again(self, production: Production, words: Words) -> str:
        """The person has looked and the message is not there: it is owed anew."""
        view = production.current
        if production.stage not in (Stage.DONE, Stage.FAILED) or view.state not in FINAL:
            return words.plain("button-stale")
        news = News(view.job.kind, view.job.id, view.job.epoch, view.state)
        await asyncio.to_thread(self._outbox.owe, news)
        return words.plain("resending")

    async def _tidy(self, query: CallbackQuery, production: Production) -> None:
        """Take the used button away, so that it is not pressed twice."""
        message = query.message
        if not isinstance(message, Message):
            return
        if message.message_id == self._cards.message_of(production.id):
            await self._cards.hurry(production.id)
            return
        await self._cards.hurry(production.id)
        if message.reply_markup is None:
            return
        rows = (
            tuple(button for button in row if button.callback_data != query.data)
            for row in message.reply_markup.inline_keyboard
        )
        with contextlib.suppress(TelegramError):
            left = InlineKeyboardMarkup([row for row in rows if row])
            await message.edit_reply_markup(left if left.inline_keyboard else None)


async def _answer(query: CallbackQuery, text: str, *, alert: bool = True) -> None:
    # Telegram takes an answer only for a short while; after a restart it may be too late for it.
    # Whatever keeps it from being taken, what was pressed is done all the same.
    with contextlib.suppress(TelegramError):
        await query.answer(text or None, show_alert=alert and bool(text))
