"""An offline stand-in for Telegram's Bot API server, run in the test's own event loop.

    async with Peer() as peer:
        ...point the bot at peer.url with peer.token...
        ann = peer.person(1001)
        await ann.send("/start")
        message = await ann.sees("Welcome")
        answer = await ann.press("Cancel")
        peer.fault(Fault("429", "editMessageText", retry_after=7))
        peer.calls("sendVideo")

Error texts and checks follow the public Bot API documentation and the behaviour of the official
server. Not modelled: media processing, inline mode, payments, webhooks, MarkdownV2, albums of the bot.
"""

from tests.telegram_peer.faults import Fault
from tests.telegram_peer.person import Message, Person
from tests.telegram_peer.server import Peer

__all__ = ["Fault", "Message", "Peer", "Person"]
