"""What the bench asks of every queue it measures, and the job it gives them."""

import json
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Protocol

Act = Callable[[], Awaitable[None]] | Callable[[], None]
"""One step by one client: a coroutine function, or a blocking function that is run in a thread per client."""

OFFER: dict[str, str] = {"channel_code": "BI", "title": "A bench", "script_text": "The sea remembers. " * 32}
"""What is put into the queues: about 700 bytes of JSON. It names no chat, so nobody is owed news of it."""
BODY = json.dumps(OFFER).encode()
CROWD = 32


class Step(StrEnum):
    """What is measured."""

    ACCEPT = "accept"
    CLAIM = "claim"
    COMPLETE = "complete"
    LIFE = "life"  # the three in turn, by one client


class Contestant(Protocol):
    """A queue with some jobs pending."""

    name: str

    async def open(self, folder: Path, pending: int) -> None:
        """Fill the queue with `pending` jobs, quickly and unmeasured, and be ready."""
        ...

    def acts(self) -> Mapping[Step, Act]:
        """How it takes each step; one it does not know is left out. COMPLETE ends any claimed job."""
        ...

    async def close(self) -> None: ...
