"""The outbox, drained: each piece of news about a job reaches its chat, once."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from bot.pause import pause
from bot.productions import Production, Productions
from jobqueue import tracing
from jobqueue.backend import JobView, QueueBackend
from jobqueue.clock import Clock
from jobqueue.errors import JobNotFound, PathRefused, QueueError
from jobqueue.feed import Change, Feed
from jobqueue.job import Kind
from jobqueue.lifecycle import FINAL, State
from jobqueue.outbox import News, Outbox
from jobqueue.storage import DirectoryStorage

log = logging.getLogger(__name__)

TICK_S = 0.25
LOOK_S = 3.0
"""How often the outbox is read again; a change of a job makes it sooner."""
CHAT_PAUSE_S = 1.0
"""Telegram takes about one message a second in one chat."""
BACKOFF_S = 2.0
BACKOFF_CAP_S = 300.0
GRACE_S = 3.0


class NotDelivered(Exception):
    """The message certainly did not arrive; it may be sent again."""

    def __init__(self, reason: str, *, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Refused(Exception):
    """The chat will not take any message: the person has blocked the bot."""


class OutcomeUnknown(Exception):
    """Nobody can say whether the message arrived; it must not be sent again."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What there is to tell about the end of a production."""

    news: News
    production: Production
    chat_id: int
    view: JobView
    """The job the news is of."""
    links: tuple[str, ...] = ()
    video: Path | None = None
    """The finished file, if it is there."""
    size_bytes: int = 0
    may_be_uploaded: bool = False
    thumbnail: Path | None = None
    lies_at: str = ""
    """Where the file is on the bot's machine, below DATA_DIR."""


class Messenger(Protocol):
    """Tells people how it ended. Every call but `close` raises NotDelivered, Refused, OutcomeUnknown."""

    async def deliver(self, ending: Ending) -> None:
        """Send the result as a new message."""
        ...

    async def amend(self, ending: Ending) -> bool:
        """Write the outcome into the status card, which may be repeated; False if there is no card."""
        ...

    async def tell(self, ending: Ending) -> None:
        """Send the outcome as a new message of text alone."""
        ...

    async def close(self, production_id: str) -> None:
        """The news is settled: the status card has done its duty."""
        ...


class Links(Protocol):
    """Where people can fetch files."""

    def for_file(self, path: str) -> str | None:
        """A link to a file below `files/`; None if files are not served to the outside."""
        ...


@dataclass(frozen=True, slots=True)
class Delivery:
    """What may be sent to whom, besides the chat a job names."""

    default_chat_id: int | None = None
    """Hears of jobs that came without a chat."""
    max_upload_bytes: int = 49_000_000
    """Telegram's own server takes 50 MB; one of one's own 2000 MB."""


class Notifications:
    """Drains the outbox. No delivery is repeated whose outcome is unknown."""

    def __init__(
        self,
        queue: QueueBackend,
        outbox: Outbox,
        *,
        feed: Feed,
        data_dir: Path,
        messenger: Messenger | None,
        links: Links,
        clock: Clock,
        delivery: Delivery | None = None,
    ) -> None:
        """`messenger` None: there is no Telegram, and the news stays until there is."""
        self._productions = Productions(queue)
        self._outbox = outbox
        self._files = DirectoryStorage(data_dir / "files", data_dir / "tmp")
        self._messenger = messenger
        self._links = links
        self._clock = clock
        self._delivery = delivery or Delivery()
        self._look = asyncio.Event()
        self._busy_chats: set[int] = set()
        self._chat_free_at: dict[int, float] = {}
        self._failures: dict[str, int] = {}
        self._retry_at: dict[str, float] = {}
        feed.listen(self._heard)

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop`; what is being sent then has a few seconds to arrive."""
        if self._messenger is None:
            await stop.wait()
            return
        sends: set[asyncio.Task[None]] = set()
        async with asyncio.TaskGroup() as group:

            def start(ending: Ending, messenger: Messenger) -> None:
                task = group.create_task(self._send(ending, messenger), name=f"news of {ending.news.job_id}")
                sends.add(task)
                task.add_done_callback(sends.discard)

            while not stop.is_set():
                try:
                    await self._round(self._messenger, start)
                except (OSError, QueueError) as error:
                    log.error("the outbox cannot be worked through: %s", error)
                await self._pause(stop)
            if sends:
                await asyncio.wait(sends, timeout=GRACE_S)
            for task in sends:
                task.cancel()

    def _heard(self, change: Change) -> None:
        if change.state in FINAL:
            self._look.set()

    async def _pause(self, stop: asyncio.Event) -> None:
        """Until the next look at the outbox; by the injected clock, which tests turn."""
        look_at = self._clock.monotonic() + LOOK_S
        if self._retry_at:
            look_at = min(look_at, *self._retry_at.values())
        if self._chat_free_at:
            look_at = min(look_at, *self._chat_free_at.values())
        while self._clock.monotonic() < look_at and not stop.is_set() and not self._look.is_set():
            # The time is the injected clock's, so no timeout of the loop can stand for it.
            await pause(stop, TICK_S)
        self._look.clear()

    async def _round(self, messenger: Messenger, start: Callable[[Ending, Messenger], None]) -> None:
        """Begin to deliver whatever may be delivered now, one piece of news per chat at a time."""
        now = self._clock.monotonic()
        self._chat_free_at = {chat: at for chat, at in self._chat_free_at.items() if at > now}
        owed = await asyncio.to_thread(self._outbox.owed)
        waiting = {news.id for news in owed}
        self._retry_at = {name: at for name, at in self._retry_at.items() if name in waiting}
        for news in owed:
            if self._retry_at.get(news.id, 0) > now:
                continue
            self._retry_at.pop(news.id, None)
            ending = await self._ending(news)
            if ending is None or ending.chat_id in self._busy_chats or ending.chat_id in self._chat_free_at:
                continue
            self._busy_chats.add(ending.chat_id)
            start(ending, messenger)

    async def _ending(self, news: News) -> Ending | None:
        """What to tell; None if it is not true yet, or nobody needs to hear of it any more."""
        try:
            production = await self._productions.of(news.kind, news.job_id)
        except JobNotFound:
            log.info("job %s: is gone, its news is dropped", news.job_id)
            await self._settle(news)
            return None
        view = production.video if news.kind is Kind.VIDEO else production.audio
        if view is None or view.job.epoch < news.epoch:
            return None
        if view.job.epoch > news.epoch or (view.state in FINAL and view.state is not news.state):
            await self._settle(news)
            return None
        if view.state is not news.state:
            return None
        chat_id = production.chat_id or self._delivery.default_chat_id
        if chat_id is None:
            log.info("job %s: %s; no chat wants to hear of it (CHAT_ID is not set)", news.job_id, news.state)
            await self._settle(news)
            return None
        return await self._with_media(Ending(news, production, chat_id, view))

    async def _with_media(self, ending: Ending) -> Ending:
        job = ending.view.job
        links = [link] if (link := job.text("gofile_link")) else []
        if ending.news.state is not State.COMPLETED or ending.news.kind is not Kind.VIDEO:
            return replace(ending, links=tuple(links))
        path = job.text("video_path") or f"{job.organized_path}/video.mp4"
        try:
            place = self._files.locate(path)
            thumbnail = self._files.locate(f"{job.organized_path}/thumbnail.jpg")
        except PathRefused as error:
            log.error("job %s: its file cannot be sent: %s", job.id, error)
            return replace(ending, links=tuple(links))
        size_bytes = place.stat().st_size if place.is_file() else 0
        if size_bytes and (signed := self._links.for_file(path)):
            links.insert(0, signed)
        return replace(
            ending,
            links=tuple(links),
            video=place if size_bytes else None,
            size_bytes=size_bytes,
            may_be_uploaded=0 < size_bytes <= self._delivery.max_upload_bytes,
            thumbnail=thumbnail if thumbnail.is_file() else None,
            lies_at=f"files/{path}",
        )

    async def _send(self, ending: Ending, messenger: Messenger) -> None:
        """One try to deliver; what is left in the outbox afterwards is tried again later."""
        news = ending.news
        try:
            with tracing.following(ending.view.job):
                await self._deliver_unless_refused(ending, messenger)
        except NotDelivered as error:
            self._later(news, str(error), error.retry_after_s)
        except OutcomeUnknown as error:
            # Only the edit of a card ends here, and that may be repeated.
            self._later(news, str(error), 0)
        except Exception:
            log.exception("job %s: its news cannot be delivered", news.job_id)
            self._later(news, "see above", BACKOFF_CAP_S)
        finally:
            self._busy_chats.discard(ending.chat_id)
            self._chat_free_at[ending.chat_id] = self._clock.monotonic() + CHAT_PAUSE_S
            self._look.set()

    async def _deliver_unless_refused(self, ending: Ending, messenger: Messenger) -> None:
        try:
            await self._deliver(ending, messenger)
        except Refused as error:
            log.info("job %s: chat %d takes no messages: %s", ending.news.job_id, ending.chat_id, error)
        await self._settled(ending, messenger)

    async def _deliver(self, ending: Ending, messenger: Messenger) -> None:
        news = ending.news
        if news.attempted_at is None:
            # Written before the send: after a crash in the middle nobody knows whether it arrived.
            await asyncio.to_thread(self._outbox.owe, replace(news, attempted_at=self._clock.now()))
            try:
                await messenger.deliver(ending)
            except NotDelivered:
                await asyncio.to_thread(self._outbox.owe, news)
                raise
            except OutcomeUnknown as error:
                log.warning("job %s: nobody knows whether its news arrived: %s", news.job_id, error)
                await self._after_unknown(ending, messenger)
        else:
            log.warning("job %s: its news may have been sent before a crash", news.job_id)
            await self._after_unknown(ending, messenger)

    async def _after_unknown(self, ending: Ending, messenger: Messenger) -> None:
        """Do not send it again: write it into the card. Without a card, say it once in a new message."""
        if await messenger.amend(ending):
            return
        await self._settle(ending.news)
        try:
            await messenger.tell(ending)
        except NotDelivered:
            await asyncio.to_thread(
                self._outbox.owe,
                replace(ending.news, attempted_at=ending.news.attempted_at or self._clock.now()),
            )
            raise
        except OutcomeUnknown as error:
            log.warning("job %s: nor whether the text about it arrived: %s", ending.news.job_id, error)

    async def _settled(self, ending: Ending, messenger: Messenger) -> None:
        await self._settle(ending.news)
        await messenger.close(ending.production.id)

    async def _settle(self, news: News) -> None:
        await asyncio.to_thread(self._outbox.settle, news)
        self._failures.pop(news.id, None)

    def _later(self, news: News, why: str, wait_s: float) -> None:
        failures = self._failures[news.id] = self._failures.get(news.id, 0) + 1
        wait_s = max(wait_s, min(BACKOFF_CAP_S, BACKOFF_S * 2 ** min(failures, 16)))
        self._retry_at[news.id] = self._clock.monotonic() + wait_s
        if failures in (1, 5) or failures % 20 == 0:
            log.warning("job %s: its news waits %.0f s: %s", news.job_id, wait_s, why)
