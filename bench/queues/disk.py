"""The disk's own limit: write a file, sync it, rename it into place, sync the folder."""

import itertools
import os
from collections.abc import Mapping
from pathlib import Path

from bench.queues.contestant import BODY, Act, Step


class Disk:
    """No queue at all; what no durable queue with a sync for each job can beat."""

    name = "disk limit"

    def __init__(self) -> None:
        self._numbers = itertools.count()

    async def open(self, folder: Path, pending: int) -> None:
        self._tmp, self._place = folder / "tmp", folder / "pending"
        for each in (self._tmp, self._place):
            each.mkdir()
        for _ in range(pending):
            (self._place / f"{next(self._numbers)}.json").write_bytes(BODY)

    def acts(self) -> Mapping[Step, Act]:
        return {Step.ACCEPT: self._publish}

    async def close(self) -> None:
        pass

    def _publish(self) -> None:
        name = f"{next(self._numbers)}.json"
        file = os.open(self._tmp / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(file, BODY)
        os.fsync(file)
        os.close(file)
        (self._tmp / name).rename(self._place / name)
        folder = os.open(self._place, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
