"""Claims that wait for a job to come: each job that comes wakes exactly one of them."""

import asyncio
from collections import deque
from typing import TypeAlias

from jobqueue.job import Kind

ClaimKey: TypeAlias = tuple[Kind, str, str]
"""Kind, worker and claim_id: two workers may well choose the same one."""


class Waiters:
    """Those who wait, first come, first served."""

    def __init__(self) -> None:
        self._waiting: dict[Kind, deque[asyncio.Future[bool]]] = {kind: deque() for kind in Kind}
        self._held: dict[Kind, deque[asyncio.Future[bool]]] = {kind: deque() for kind in Kind}
        """Those who get nothing while they are paused: no job that comes is theirs."""
        self._by_claim: dict[ClaimKey, asyncio.Future[bool]] = {}
        self._closed = False

    def wake(self, kind: Kind) -> None:
        """Wake the one that has waited longest, if any."""
        waiting = self._waiting[kind]
        while waiting:
            future = waiting.popleft()
            if not future.done():
                future.set_result(True)
                return

    def wake_all(self, kind: Kind) -> None:
        """Let all look again, also those held back: somebody was paused or goes on."""
        for waiting in (self._waiting[kind], self._held[kind]):
            _end(waiting, True)

    def dismiss_all(self) -> None:
        """Let all go empty-handed, and those who come later too."""
        self._closed = True
        for waiting in (*self._waiting.values(), *self._held.values()):
            _end(waiting, False)

    async def wait(
        self, kind: Kind, worker_id: str, claim_id: str | None, timeout_s: float, *, held_back: bool = False
    ) -> bool:
        """Wait to be woken or `timeout_s`; False if there is no use in looking again.

        `held_back`: no job that comes wakes this one, only `wake_all`.
        A second wait of the same claim dismisses the first: its caller has gone.
        """
        if self._closed:
            return False
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        key = None if claim_id is None else (kind, worker_id, claim_id)
        if key is not None:
            earlier = self._by_claim.get(key)
            if earlier is not None and not earlier.done():
                earlier.set_result(False)
            self._by_claim[key] = future
        line = (self._held if held_back else self._waiting)[kind]
        line.append(future)
        try:
            await asyncio.wait({future}, timeout=timeout_s)
            return not future.done() or future.result()
        except asyncio.CancelledError:
            if future.done() and future.result() and not held_back:
                self.wake(kind)  # the job that woke us must not wait for nobody
            raise
        finally:
            if not future.done():
                line.remove(future)
                future.cancel()
            if key is not None and self._by_claim.get(key) is future:
                del self._by_claim[key]


def _end(waiting: "deque[asyncio.Future[bool]]", use: bool) -> None:
    """Let all in the line go; `use`: whether there is use in looking again."""
    while waiting:
        future = waiting.popleft()
        if not future.done():
            future.set_result(use)
