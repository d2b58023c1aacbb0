"""Fetches updates from Telegram, and never gives up."""

import asyncio
import logging

from telegram import Bot
from telegram.error import Conflict, InvalidToken, RetryAfter, TelegramError

from bot.chat.inbox import Inbox
from bot.chat.settings import Patience
from bot.chat.transport import retry_after_s
from bot.pause import pause

log = logging.getLogger(__name__)

FIRST_WAIT_S = 1.0
KINDS = ("message", "edited_message", "callback_query")
SHARED = "another program polls with this BOT_TOKEN: stop it, or the two share the updates at random"
REFUSED = (
    "Telegram refuses BOT_TOKEN: ask @BotFather for a valid one and set it; looking again from time to time"
)


class Poller:
    """Polls in a loop of our own.

    The library's Updater dies for good of a single 404 or 401 and then looks alive (its `running`
    stays true), cannot be started again, and tells of its death only through a private task. A loop
    around `get_updates` has none of that, and waits for the journal in the same breath.
    """

    def __init__(self, bot: Bot, inbox: Inbox, patience: Patience) -> None:
        self._bot = bot
        self._inbox = inbox
        self._patience = patience
        self._offset: int | None = None
        self._trouble = ""
        self._wait_s = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Fetch until `stop`."""
        while not stop.is_set():
            try:
                await self._poll()
            except TelegramError as error:
                await pause(stop, self.setback(error))
            except Exception:
                # A batch the library cannot read, say; asking again is all there is to do.
                log.exception("the updates cannot be read")
                await pause(stop, self._patience.reconnect_cap_s)

    async def confirm(self) -> None:
        """Tell Telegram what has been received. If that fails, the journal drops what comes twice."""
        if self._offset is not None:
            try:
                async with asyncio.timeout(1):
                    await self._bot.get_updates(offset=self._offset, timeout=0, limit=1)
            except (TelegramError, TimeoutError):
                return

    def setback(self, error: TelegramError) -> float:
        """How long to wait after this error, s; each kind of trouble is logged once."""
        cap_s = self._patience.reconnect_cap_s
        self._wait_s = min(cap_s, max(FIRST_WAIT_S, 2 * self._wait_s))
        match error:
            case InvalidToken():
                # Never log the error itself: its text holds the token. A 404 may also be a hiccup of
                # the server, so the first waits are short ones.
                self._tell("token", logging.ERROR, REFUSED)
                is_lasting = self._wait_s >= cap_s
                return self._patience.refused_token_s if is_lasting else self._wait_s
            case Conflict():
                self._tell("conflict", logging.ERROR, SHARED)
            case RetryAfter():
                return max(self._wait_s, retry_after_s(error))
            case _:
                self._tell("unreachable", logging.WARNING, f"no updates from Telegram: {error}")
        return self._wait_s

    def recovered(self) -> None:
        if self._trouble:
            log.info("Telegram answers again")
        self._trouble, self._wait_s = "", 0.0

    async def _poll(self) -> None:
        updates = await self._bot.get_updates(
            offset=self._offset, timeout=round(self._patience.poll_s), allowed_updates=KINDS
        )
        for update in updates:
            await self._inbox.put(update)
            # Only now may the next call tell Telegram that we have it.
            self._offset = update.update_id + 1
        self.recovered()

    def _tell(self, trouble: str, level: int, text: str) -> None:
        if self._trouble != trouble:
            self._trouble = trouble
            log.log(level, text)
