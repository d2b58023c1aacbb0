"""Status cards: one message per production, edited as it moves, seldom enough for Telegram."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from telegram import Bot, ReplyParameters
from telegram.error import BadRequest

from bot.chat.card_face import Face, Surroundings, face_of
from bot.chat.card_files import Card, CardFiles
from bot.chat.settings import ChatSettings
from bot.chat.texts import Texts
from bot.chat.transport import MessageGone, editing, sending
from bot.notifications import NotDelivered, OutcomeUnknown, Refused
from bot.pause import pause
from bot.productions import ENDED, Production, Productions, Stage
from jobqueue import tracing
from jobqueue.clock import Clock
from jobqueue.errors import JobNotFound, QueueError
from jobqueue.feed import Change
from jobqueue.job import Kind, video_job_id
from jobqueue.lifecycle import Event

log = logging.getLogger(__name__)

TICK_S = 0.25
LOOK_ROUND_S = 60.0
"""Places and times change without news of the job itself."""
UNREACHABLE_S = 5.0


@dataclass(slots=True)
class _Live:
    """A card in use."""

    card: Card
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    shown: Face | None = None
    was_posted: bool = False
    is_settled: bool = False
    """The news of the end has arrived: the card is not needed any more."""


class Cards:
    """Keeps the cards true. At most one edit per chat and `edit_s`; the newest state always gets through."""

    def __init__(
        self,
        bot: Bot,
        productions: Productions,
        files: CardFiles,
        *,
        texts: Texts,
        settings: ChatSettings,
        voice_workers: Callable[[], int],
        clock: Clock,
    ) -> None:
        self._bot = bot
        self._productions = productions
        self._files = files
        self._texts = texts
        self._settings = settings
        self._voice_workers = voice_workers
        self._clock = clock
        self._live: dict[str, _Live] = {}
        self._dirty: dict[str, None] = {}
        self._video_ids: dict[str, str] = {}
        self._begun: dict[tuple[Kind, str], None] = {}
        self._expected: set[str] = set()
        self._chat_free_at: dict[int, float] = {}

    # --- what others tell the cards

    def heard(self, change: Change) -> None:
        """Listens on the feed."""
        production_id = self._video_ids.get(change.job_id, change.job_id)
        if production_id in self._live:
            self._dirty[production_id] = None
        elif change.what == Event.CLAIM and production_id not in self._expected:
            self._begun[change.kind, change.job_id] = None

    @contextmanager
    def expecting(self, production_id: str) -> Iterator[None]:
        """A card is about to be opened by hand, even if a worker is quicker."""
        self._expected.add(production_id)
        try:
            yield
        finally:
            self._expected.discard(production_id)

    async def open(self, production: Production, *, reply_to: int | None, silent: bool = False) -> None:
        """Post the card of a production, unless it has one already."""
        job, chat_id = production.first, production.chat_id
        if production.id in self._live or chat_id is None:
            return
        live = self._adopt(Card(production.id, chat_id, job.text("chat_language", "en")))
        live.was_posted = silent
        async with live.lock:
            await self._try(live, self._show(live, production, reply_to))

    async def amend(self, production_id: str, face: Face) -> bool:
        """Replace a card by this text for good; False if there is none. Raises: as editing."""
        live = self._live.get(production_id)
        if live is None or live.card.message_id is None:
            return False
        async with live.lock:
            try:
                await self._edit(live, face)
            except MessageGone:
                return False
            finally:
                self._spend(live.card.chat_id)
            await self._forget(live)
        return True

    async def close(self, production_id: str) -> None:
        """The news of the end has arrived: collapse the card and forget it."""
        if (live := self._live.get(production_id)) is not None:
            live.is_settled = True
            self._dirty[production_id] = None

    async def hurry(self, production_id: str) -> bool:
        """Show at once what a person has just brought about; False if there is no card."""
        live = self._live.get(production_id)
        if live is not None:
            await self._refresh(live)
        return live is not None

    def message_of(self, production_id: str) -> int | None:
        live = self._live.get(production_id)
        return live.card.message_id if live else None

    # --- their life

    async def load(self, owed: set[str]) -> None:
        """Take up the cards of the last run; `owed`: jobs whose end is still to be told."""
        for card in await asyncio.to_thread(self._files.load):
            live = self._adopt(card)
            live.was_posted = card.message_id is not None
            live.is_settled = not owed & {card.production_id, video_job_id(card.production_id)}

    async def run(self, stop: asyncio.Event) -> None:
        """Edit what has changed until `stop`."""
        look_at = self._clock.monotonic() + LOOK_ROUND_S
        while not stop.is_set():
            if self._clock.monotonic() >= look_at:
                look_at = self._clock.monotonic() + LOOK_ROUND_S
                self._dirty |= dict.fromkeys(self._live)
            await self._step()
            await pause(stop, TICK_S)

    async def _step(self) -> None:
        """One edit in each chat whose turn has come."""
        while self._begun:
            kind, job_id = next(iter(self._begun))
            del self._begun[kind, job_id]
            await self._begin(kind, job_id)
        now = self._clock.monotonic()
        due: dict[int, _Live] = {}
        for production_id in list(self._dirty):
            live = self._live.get(production_id)
            if live is None:
                del self._dirty[production_id]
            elif self._chat_free_at.get(live.card.chat_id, 0) <= now:
                due.setdefault(live.card.chat_id, live)
        async with asyncio.TaskGroup() as group:
            for live in due.values():
                group.create_task(self._refresh_safely(live))

    async def _refresh_safely(self, live: _Live) -> None:
        """One card that cannot be shown must not end all others."""
        try:
            await self._refresh(live)
        except Exception:
            log.exception("job %s: its card cannot be shown", live.card.production_id)
            self._spend(live.card.chat_id)

    async def _begin(self, kind: Kind, job_id: str) -> None:
        """A worker has taken a job that no card was opened for: it came from elsewhere."""
        try:
            production = await self._productions.of(kind, job_id)
        except (QueueError, OSError):
            return
        if production.stage not in ENDED and production.id not in self._expected:
            await self.open(production, reply_to=production.first.number("reply_to_message_id"))

    async def _refresh(self, live: _Live) -> None:
        async with live.lock:
            self._dirty.pop(live.card.production_id, None)
            if self._live.get(live.card.production_id) is not live:
                return
            try:
                production = await self._productions.get(live.card.production_id)
            except JobNotFound:
                await self._forget(live)
                return
            if production.stage in ENDED and live.card.message_id is None:
                # It never got through; the message about the end says all.
                await self._forget(live)
                return
            with tracing.following(production.first):
                arrived = await self._try(live, self._show(live, production, None))
            if arrived and self._is_over(live, production):
                await self._forget(live)

    def _is_over(self, live: _Live, production: Production) -> bool:
        if production.stage is Stage.CANCELLED:
            return True
        return production.stage in ENDED and live.is_settled

    async def _show(self, live: _Live, production: Production, reply_to: int | None) -> None:
        """Bring the message up to date: post it, edit it, or post it again if it is gone."""
        if production.stage not in ENDED:
            live.is_settled = False
        around = Surroundings(
            self._voice_workers(),
            self._settings.max_attempts,
            self._clock.now(),
            await self._productions.earlier(production),
        )
        face = face_of(production, self._texts.in_language(live.card.language), around)
        if face == live.shown:
            return
        self._spend(live.card.chat_id)
        try:
            if live.card.message_id is None:
                await self._post(live, face, reply_to or production.first.number("reply_to_message_id"))
            else:
                await self._edit(live, face)
        except MessageGone:
            log.info("job %s: its card is gone, a new one is posted", production.id)
            await self._post(live, face, production.first.number("reply_to_message_id"))

    async def _post(self, live: _Live, face: Face, reply_to: int | None) -> None:
        reply = ReplyParameters(reply_to, allow_sending_without_reply=True) if reply_to else None
        message = await sending(
            self._bot.send_message(
                live.card.chat_id,
                face.text,
                reply_markup=face.buttons,
                reply_parameters=reply,
                disable_notification=live.was_posted,
            )
        )
        live.card.message_id, live.shown, live.was_posted = message.message_id, face, True
        await asyncio.to_thread(self._files.save, live.card)

    async def _edit(self, live: _Live, face: Face) -> None:
        await editing(
            self._bot.edit_message_text(
                face.text,
                chat_id=live.card.chat_id,
                message_id=live.card.message_id,
                reply_markup=face.buttons,
            )
        )
        live.shown = face

    async def _try(self, live: _Live, show: Awaitable[None]) -> bool:
        """Show it if Telegram lets us; if not, it stays to be shown later."""
        card = live.card
        try:
            await show
        except NotDelivered as error:
            self._spend(card.chat_id, max(error.retry_after_s, UNREACHABLE_S))
        except OutcomeUnknown:
            # An edit may be repeated. So may the first post: a card too many does no harm, one too few does.
            self._spend(card.chat_id)
        except Refused as error:
            log.info("job %s: chat %d takes no card: %s", card.production_id, card.chat_id, error)
            await self._forget(live)
            return False
        except BadRequest as error:
            log.error("job %s: Telegram does not take its card: %s", card.production_id, error)
            await self._forget(live)
            return False
        else:
            return True
        self._dirty[card.production_id] = None
        return False

    def _adopt(self, card: Card) -> _Live:
        live = self._live[card.production_id] = _Live(card)
        self._video_ids[video_job_id(card.production_id)] = card.production_id
        self._dirty[card.production_id] = None
        return live

    async def _forget(self, live: _Live) -> None:
        production_id = live.card.production_id
        self._live.pop(production_id, None)
        self._video_ids.pop(video_job_id(production_id), None)
        self._dirty.pop(production_id, None)
        await asyncio.to_thread(self._files.remove, production_id)

    def _spend(self, chat_id: int, pause_s: float = 0) -> None:
        """This chat has had its edit; the next one must wait."""
        patience = self._settings.patience
        usual_s = patience.group_edit_s if chat_id < 0 else patience.edit_s
        free_at = self._clock.monotonic() + max(pause_s, usual_s)
        self._chat_free_at[chat_id] = max(free_at, self._chat_free_at.get(chat_id, 0))
