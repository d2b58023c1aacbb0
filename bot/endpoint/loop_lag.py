"""How late the event loop runs what is due: the measure of whether something blocks it."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

EVERY_S = 0.25
WINDOW_S = 60.0


class LoopLag:
    """Looks at the loop four times a second, while the application runs."""

    def __init__(self) -> None:
        self._current_s = 0.0
        self._previous_s = 0.0
        self._window_ends = 0.0
        self._handle: asyncio.TimerHandle | None = None

    @property
    def worst_s(self) -> float:
        """The longest delay of the last one to two minutes, s."""
        # Not "since the last scrape": two scrapers would take it from each other.
        return max(self._current_s, self._previous_s)

    async def watched(self, _application: web.Application) -> AsyncIterator[None]:
        """For the application's cleanup_ctx."""
        loop = asyncio.get_running_loop()
        self._window_ends = loop.time() + WINDOW_S
        self._schedule(loop)
        yield
        if self._handle is not None:
            self._handle.cancel()

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + EVERY_S
        self._handle = loop.call_at(due, self._look, loop, due)

    def _look(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        now = loop.time()
        if now >= self._window_ends:
            self._previous_s, self._current_s = self._current_s, 0.0
            self._window_ends = now + WINDOW_S
        self._current_s = max(self._current_s, now - due)
        self._schedule(loop)
