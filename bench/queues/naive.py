"""The directory queue as one writes it first: sort the folder for each claim, rename, rewrite in place."""

import itertools
import json
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from bench.queues.contestant import OFFER, Act, Step


class Naive:
    """Syncs nothing. What it shows is what a claim costs when the folder is the index."""

    name = "naive directory"

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._claimed: deque[Path] = deque()

    async def open(self, folder: Path, pending: int) -> None:
        self._pending, self._processing, self._completed = (
            folder / state for state in ("pending", "processing", "completed")
        )
        for each in (self._pending, self._processing, self._completed):
            each.mkdir()
        for _ in range(pending):
            self.accept()

    def acts(self) -> Mapping[Step, Act]:
        return {Step.ACCEPT: self.accept, Step.CLAIM: self.claim, Step.COMPLETE: self.complete}

    async def close(self) -> None:
        pass

    def accept(self) -> None:
        job_id = f"{next(self._numbers):09d}"
        with (self._pending / f"{job_id}.json").open("w") as file:
            json.dump({**OFFER, "job_id": job_id, "created_at": time.time()}, file, indent=2)

    def claim(self) -> None:
        for path in sorted(self._pending.glob("*.json")):
            mine = self._processing / f"bench_{path.name}"
            with suppress(FileNotFoundError):  # another client was faster
                path.rename(mine)
                _rewrite(mine, mine, {"worker_id": "bench"})
                self._claimed.append(mine)
                return

    def complete(self) -> None:
        mine = self._claimed.popleft()
        _rewrite(mine, self._completed / mine.name.removeprefix("bench_"), {"completed_at": time.time()})
        mine.unlink()


def _rewrite(source: Path, place: Path, added: Mapping[str, object]) -> None:
    with source.open() as file:
        record = json.load(file)
    with place.open("w") as file:
        json.dump({**record, **added}, file, indent=2)
