"""Joins the pieces into which Telegram's apps cut a long text."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import pairwise

from bot.chat.scripts import Sender
from bot.pause import pause
from jobqueue.clock import Clock

log = logging.getLogger(__name__)

CUT_AT = 4096
"""The longest message there is; the apps count in code points or in UTF-16 units."""
LONG_PIECE = 3800
"""From this length on a message may be the piece of a longer text: the apps like to cut at a white space."""
SENTENCE_ENDS = (".", "!", "?", "।", "॥", "…")
TICK_S = 0.25


@dataclass(frozen=True, slots=True)
class Piece:
    """One message that may be part of a longer script."""

    update_id: int
    text: str
    sender: Sender


WhenWhole = Callable[[list[Piece]], Awaitable[None]]
"""Takes all pieces of a script, in order."""


@dataclass(slots=True)
class _Chain:
    pieces: list[Piece]
    due_at: float
    """Monotonic; when no further piece is expected any more."""


class Pieces:
    """Waits for the rest of a script. A piece is open until its chain has been handed on."""

    def __init__(self, clock: Clock, when_whole: WhenWhole, *, join_s: float) -> None:
        self._clock = clock
        self._when_whole = when_whole
        self._join_s = join_s
        self._chains: dict[tuple[int, int], _Chain] = {}

    def belongs(self, sender: Sender, text: str) -> bool:
        """Whether this message is a piece: it is long enough, or the end of one that is awaited."""
        return len(text) >= LONG_PIECE or _key(sender) in self._chains

    async def add(self, piece: Piece) -> None:
        """Take a piece; a short one ends its script, which is handed on at once."""
        key = _key(piece.sender)
        chain = self._chains.setdefault(key, _Chain([], 0))
        chain.pieces.append(piece)
        chain.due_at = self._clock.monotonic() + self._join_s
        if len(piece.text) < LONG_PIECE:
            await self._hand_on(key)

    async def run(self, stop: asyncio.Event) -> None:
        """Hand on the scripts whose last piece was a long one, once nothing more has come."""
        while not stop.is_set():
            now = self._clock.monotonic()
            for key in [key for key, chain in self._chains.items() if chain.due_at <= now]:
                await self._hand_on(key)
            await pause(stop, TICK_S)

    async def _hand_on(self, key: tuple[int, int]) -> None:
        chain = self._chains.pop(key)
        try:
            await self._when_whole(sorted(chain.pieces, key=lambda piece: piece.sender.message_id))
        except Exception:
            log.exception("chat %d: a script in %d pieces could not be taken", key[0], len(chain.pieces))


def join(texts: list[str]) -> str:
    """One text of pieces in order."""
    whole = texts[0]
    for head, tail in pairwise(texts):
        whole += _seam(head, tail) + tail
    return whole


def _seam(head: str, tail: str) -> str:
    """What stood between a piece and the next.

    A piece of full length was cut anywhere, mostly in the middle of a word; a shorter one at a
    white space. Telegram trims the white space away, so it has to be put back.
    """
    if head[-1:].isspace() or tail[:1].isspace():
        return ""
    ends_sentence = head.endswith(SENTENCE_ENDS)
    is_full = len(head) >= CUT_AT or len(head.encode("utf-16-le", errors="replace")) // 2 >= CUT_AT
    if not is_full:
        return "\n" if ends_sentence else " "
    return " " if ends_sentence and not (tail[:1].isdigit() or tail[:1].islower()) else ""


def _key(sender: Sender) -> tuple[int, int]:
    return sender.chat_id, sender.user_id
