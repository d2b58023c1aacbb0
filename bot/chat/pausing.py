"""The commands with which admins hold up the work, and let it go on."""

from telegram import Message

from bot.chat.texts import Words
from bot.chat.transport import reply
from bot.productions import Person
from jobqueue.backend import QueueBackend
from jobqueue.job import Kind


class Pausing:
    """`/pause` and `/resume`, of one queue or of both."""

    def __init__(self, queue: QueueBackend) -> None:
        self._queue = queue

    async def on_pause(self, message: Message, person: Person, words: Words, argument: str) -> None:
        for kind in await _meant(message, person, words, argument):
            await self._queue.pause(kind)
            await reply(message, words(f"paused-{kind}"))

    async def on_resume(self, message: Message, person: Person, words: Words, argument: str) -> None:
        for kind in await _meant(message, person, words, argument):
            await self._queue.resume(kind)
            await reply(message, words(f"resumed-{kind}"))


async def _meant(message: Message, person: Person, words: Words, argument: str) -> list[Kind]:
    """The queues it is about; none if the person may not, or means something else, and is told so."""
    if not person.is_admin:
        await reply(message, words("admins-only"))
        return []
    kinds = [kind for kind in Kind if argument.lower() in ("", kind)]
    if not kinds:
        await reply(message, words("pause-which"))
    return kinds
