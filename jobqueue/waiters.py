"""Claims that wait for a job to come: each job that comes wakes exactly one of them."""

import asyncio
from collections import deque

from jobqueue.job import Kind


class Waiters:
    """Those who wait, first come, first served."""

    def __init__(self) -> None:
        self._waiting: dict[Kind, deque[asyncio.Future[bool]]] = {kind: deque() for kind in Kind}
        self._by_claim: dict[str, asyncio.Future[bool]] = {}
        self._closed = False

    def wake(self, kind: Kind) -> None:
        """Wake the one that has waited longest, if any."""
        waiting = self._waiting[kind]
        while waiting:
            future = waiting.popleft()
            if not future.done():
                future.set_result(True)
                return

    def dismiss_all(self) -> None:
        """Let all go empty-handed, and those who come later too."""
        self._closed = True
        for waiting in self._waiting.values():
            for future in waiting:
                if not future.done():
                    future.set_result(False)

    async def wait(self, kind: Kind, claim_id: str | None, timeout_s: float) -> bool:
        """Wait to be woken or `timeout_s`; False if there is no use in looking again.

        A second wait with the same `claim_id` dismisses the first: its caller has gone.
        """
        if self._closed:
            return False
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if claim_id is not None:
            earlier = self._by_claim.get(claim_id)
            if earlier is not None and not earlier.done():
                earlier.set_result(False)
            self._by_claim[claim_id] = future
        self._waiting[kind].append(future)
        try:
            await asyncio.wait({future}, timeout=timeout_s)
            return not future.done() or future.result()
        except asyncio.CancelledError:
            if future.done() and future.result():
                self.wake(kind)  # the job that woke us must not wait for nobody
            raise
        finally:
            if not future.done():
                self._waiting[kind].remove(future)
                future.cancel()
            if claim_id is not None and self._by_claim.get(claim_id) is future:
                del self._by_claim[claim_id]
