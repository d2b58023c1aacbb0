"""Who may talk to the bot: a list of numeric ids, asked before anything else happens."""

import logging
from typing import Any

from telegram import Update
from telegram.constants import ChatType
from telegram.ext import ApplicationHandlerStop, CallbackContext

from bot.chat.settings import ChatSettings
from bot.chat.texts import Texts
from bot.chat.transport import reply
from bot.productions import Person
from jobqueue.clock import Clock

log = logging.getLogger(__name__)

MOST_STRANGERS = 1000


class Gate:
    """Lets the listed users through, whatever they send; anyone else learns their id and no more."""

    def __init__(self, settings: ChatSettings, texts: Texts, clock: Clock) -> None:
        self._admins = settings.admin_users
        self._allowed = settings.allowed_users | settings.admin_users
        self._texts = texts
        self._clock = clock
        self._quiet_s = settings.patience.stranger_s
        self._told_at: dict[int, float] = {}

    def person(self, user_id: int) -> Person:
        return Person(user_id, user_id in self._admins)

    async def check(self, update: Update, _context: CallbackContext[Any, Any, Any, Any]) -> None:
        """Raises: ApplicationHandlerStop, so that no other handler sees the update of a stranger."""
        user = update.effective_user
        if user is not None and user.id in self._allowed:
            return
        try:
            if user is not None:
                await self._refuse(update, user.id)
        finally:
            raise ApplicationHandlerStop

    async def _refuse(self, update: Update, user_id: int) -> None:
        words = self._texts.of(update.effective_user)
        if update.callback_query is not None:
            await update.callback_query.answer(words.plain("stranger", id=str(user_id)), show_alert=True)
            return
        # In groups silence: whoever added the bot there would make it talk to everybody.
        message = update.message
        if message is not None and message.chat.type == ChatType.PRIVATE and self._is_due(user_id):
            log.warning("user %d is not in ALLOWED_USERS: refused", user_id)
            await reply(message, words("stranger", id=str(user_id)))

    def _is_due(self, user_id: int) -> bool:
        """One answer per stranger and hour, so that nobody can make the bot talk."""
        now = self._clock.monotonic()
        told_at = self._told_at.pop(user_id, None)
        if told_at is not None and now - told_at < self._quiet_s:
            self._told_at[user_id] = told_at
            return False
        if len(self._told_at) >= MOST_STRANGERS:
            del self._told_at[next(iter(self._told_at))]
        self._told_at[user_id] = now
        return True
