"""The way in: an update is on disk before Telegram is told that it was received."""

import asyncio
import logging

from telegram import Bot, Update
from telegram.error import NetworkError

from bot.chat.journal import Journal

log = logging.getLogger(__name__)


class Inbox(asyncio.Queue[object]):
    """Updates to handle, each once even if Telegram delivers it twice.

    python-telegram-bot alone confirms updates when it fetches the next ones, whatever became of
    their handlers: a crash would lose scripts. So `put` journals first, and the poller asks for
    the next updates only after `put` has returned.
    """

    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self._journal = journal
        self._held: set[int] = set()

    async def put(self, item: object) -> None:
        """Raises: NetworkError if it cannot be written, so that the poller asks for it again."""
        if not isinstance(item, Update):
            # The library's own sign that it stops.
            await super().put(item)
            return
        try:
            is_new = await asyncio.to_thread(self._journal.save, item.update_id, item.to_json())
        except OSError as error:
            raise NetworkError(f"the inbox cannot be written: {error}") from error
        if is_new:
            await super().put(item)

    async def replay(self, bot: Bot) -> None:
        """Take up again what was not handled when the process last ended."""
        for record in await asyncio.to_thread(self._journal.open):
            try:
                update = Update.de_json(record, bot)
            except Exception:
                # Whatever it is, it must not keep the rest from being answered.
                log.exception("update %s cannot be read again", record.get("update_id"))
                continue
            log.info("update %d is taken up again", update.update_id)
            await super().put(update)

    def hold(self, update_id: int) -> None:
        """Keep the update journaled although its handler has ended: `release` will say when it is done."""
        self._held.add(update_id)

    def is_held(self, update_id: int) -> bool:
        return update_id in self._held

    async def done(self, update_id: int) -> None:
        """Handled, unless someone holds it."""
        if update_id in self._held:
            return
        try:
            await asyncio.to_thread(self._journal.done, update_id)
        except OSError as error:
            log.error("update %d cannot be marked as handled: %s", update_id, error)

    async def release(self, update_ids: list[int]) -> None:
        """What was held is done.

        The last one first: if a crash leaves some, the first piece is among them, and the
        script it would make has the id of the one that is queued already.
        """
        for update_id in sorted(update_ids, reverse=True):
            self._held.discard(update_id)
            await self.done(update_id)
