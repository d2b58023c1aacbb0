"""The last video number of each day and channel whose jobs were removed: no number is given twice."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from jobqueue import durable
from jobqueue.job import Json

log = logging.getLogger(__name__)

MOST_DAYS = 1000
"""Days remembered, the latest; nobody makes new videos of older ones."""

Day: TypeAlias = tuple[str, str]
"""A date and a channel's code."""


class DayNumbers:
    """`numbers.json`: `{"2025-01-27": {"BI": 4}}`. Blocking; call from a thread."""

    def __init__(self, path: Path, tmp: Path) -> None:
        """`tmp` must lie on the same file system as `path`."""
        self._path = path
        self._tmp = tmp

    def load(self) -> dict[Day, int]:
        """What was noted; what cannot be read is left out."""
        return {
            (date, code): number for date, codes in self._read().items() for code, number in codes.items()
        }

    def note(self, numbers: Mapping[Day, int]) -> None:
        """Remember these as well, durably."""
        noted = before = self._read()
        for (date, code), number in numbers.items():
            of_date = noted.get(date, {})
            noted = noted | {date: of_date | {code: max(number, of_date.get(code, 0))}}
        if noted != before:
            record: dict[str, Json] = {date: {**noted[date]} for date in sorted(noted)[-MOST_DAYS:]}
            durable.replace(self._tmp, self._path, durable.to_bytes(record))

    def _read(self) -> dict[str, dict[str, int]]:
        try:
            record = durable.read_record(self._path)
        except FileNotFoundError:
            return {}
        except ValueError as error:
            log.warning("numbers.json cannot be read: %s", error)
            return {}
        return {
            date: {code: number for code, number in codes.items() if isinstance(number, int)}
            for date, codes in record.items()
            if isinstance(codes, dict)
        }
