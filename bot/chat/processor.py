"""Who waits for whom: the updates of a chat are handled in order, buttons and /cancel at once."""

import asyncio
from collections.abc import Awaitable
from contextlib import nullcontext
from weakref import WeakValueDictionary

from telegram import Update
from telegram.ext import BaseUpdateProcessor

from bot.chat.inbox import Inbox

AT_ONCE = 256


class PerChat(BaseUpdateProcessor):
    """Handles updates side by side, but those of one chat one after another."""

    def __init__(self, inbox: Inbox) -> None:
        super().__init__(AT_ONCE)
        self._inbox = inbox
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def initialize(self) -> None:
        """Nothing to prepare."""

    async def shutdown(self) -> None:
        """Nothing to give back."""

    async def do_process_update(self, update: object, coroutine: Awaitable[object]) -> None:
        async with self._turn(update):
            await coroutine
        # Not reached when the process stops in the middle: then it is handled at the next start.
        if isinstance(update, Update):
            await self._inbox.done(update.update_id)

    def _turn(self, update: object) -> "asyncio.Lock | nullcontext[None]":
        if not isinstance(update, Update) or update.effective_chat is None or _is_urgent(update):
            return nullcontext()
        return self._locks.setdefault(update.effective_chat.id, asyncio.Lock())


def _is_urgent(update: Update) -> bool:
    message = update.effective_message
    text = (message.text if message else None) or ""
    return update.callback_query is not None or text.startswith("/cancel")
