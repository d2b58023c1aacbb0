"""Whether the wall clock may be believed where a mistake cannot be undone: before old things are deleted."""

import logging
from pathlib import Path

from jobqueue import durable
from jobqueue.clock import Clock
from jobqueue.disk import on_disk
from jobqueue.errors import QueueUnwritable
from jobqueue.job import Json
from jobqueue.wire import moment, timestamp

log = logging.getLogger(__name__)

SLACK_S = 3600.0
"""As far as a clock may be corrected between two looks without being doubted."""
AWAY_S = 7 * 86400.0
"""As long as the bot may have been off: a longer gap may as well be a clock that was set ahead."""
FIRST_AWAY_S = 365 * 86400.0
"""The same where nobody has noted the time yet, measured from the newest job."""
PROBATION_S = 3 * 86400.0
"""A clock that has jumped is believed after so long of running evenly: time for a person to see the log."""


class ClockWatch:
    """`clock.json`: when the bot last looked at the clock, and for how long it is still doubted."""

    def __init__(self, path: Path, tmp: Path, clock: Clock) -> None:
        """`tmp` must lie on the same file system as `path`."""
        self._path = path
        self._tmp = tmp
        self._clock = clock
        self._wall: float | None = None
        self._monotonic = 0.0
        self._doubted_s = 0.0

    async def believed_now(self, newest: float | None) -> float | None:
        """The time, Unix s; None while it is doubted. Call it now and then, say every hour.

        `newest`: Unix s at which the newest job was made, if there is one.
        """
        now, monotonic = self._clock.now(), self._clock.monotonic()
        if self._wall is None:
            await self._begin(now, newest)
        else:
            passed_s = monotonic - self._monotonic
            self._doubted_s = max(self._doubted_s - passed_s, 0.0)
            if abs(now - self._wall - passed_s) > SLACK_S:
                self._doubt(now, self._wall + passed_s)
        self._wall, self._monotonic = now, monotonic
        try:
            await on_disk(self._save)
        except QueueUnwritable as error:
            log.warning("clock.json cannot be written: %s", error)
        return None if self._doubted_s > 0 else now

    async def _begin(self, now: float, newest: float | None) -> None:
        seen, self._doubted_s = await on_disk(self._load)
        if seen is not None:
            if not -SLACK_S <= now - seen <= AWAY_S:
                self._doubt(now, seen)
        elif newest is not None and now - newest > FIRST_AWAY_S:
            self._doubt(now, newest)

    def _doubt(self, now: float, expected: float) -> None:
        self._doubted_s = PROBATION_S
        log.warning(
            "the clock says %s and was expected near %s: nothing is removed for its age until it has run"
            " evenly for %.0f days",
            timestamp(now),
            timestamp(expected),
            PROBATION_S / 86400,
        )

    def _load(self) -> tuple[float | None, float]:
        """When the clock was last looked at, Unix s, and for how many seconds it was to be doubted yet."""
        try:
            record = durable.read_record(self._path)
            doubted_s = record.get("doubted_s")
            return moment(str(record.get("seen_at"))), float(doubted_s) if isinstance(doubted_s, int) else 0.0
        except FileNotFoundError:
            return None, 0.0
        except (OSError, ValueError) as error:
            log.warning("clock.json cannot be read: %s", error)
            return None, PROBATION_S

    def _save(self) -> None:
        record: dict[str, Json] = {
            "seen_at": timestamp(self._wall or 0.0),
            "doubted_s": round(self._doubted_s),
        }
        durable.replace(self._tmp, self._path, durable.to_bytes(record))
