"""How long finished jobs are kept, and the rounds that remove those whose time is over."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from pathlib import Path

from jobqueue import durable
from jobqueue.counters import Counters
from jobqueue.daynumbers import DayNumbers
from jobqueue.disk import in_thread, on_disk
from jobqueue.errors import QueueError
from jobqueue.index import Entry
from jobqueue.intake import Intake
from jobqueue.job import Kind
from jobqueue.policy import DAY_S, KeepPolicy
from jobqueue.retention.archive import Archive
from jobqueue.retention.clockwatch import ClockWatch
from jobqueue.retention.disposal import Disposal
from jobqueue.retention.tidying import Tidying

log = logging.getLogger(__name__)

FIRST_ROUND_S = 2.0
"""After the start, which has more urgent things to do."""
ROUND_S = 3600.0
STEP_S = 0.01
"""Between two removals: the disk is there for the others."""
COUNTED_S = DAY_S
"""What ended less than this ago is kept, however many: a busy hour must not push out its own results."""
EVIDENCE_S = 90 * DAY_S
"""How long files in `corrupt/` and `audit/` are kept at least."""
EVIDENCE = ("corrupt", "audit")


class Retention:
    """Removes finished jobs with all that is theirs. Never one whose news is owed, or whose video is to come.

    It chooses from the index and reads a job's record only when it is about to go.
    """

    def __init__(
        self,
        archive: Archive,
        disposal: Disposal,
        intake: Intake,
        counters: Counters,
        watch: ClockWatch,
        *,
        data_dir: Path,
        policy: KeepPolicy,
    ) -> None:
        self._archive = archive
        self._disposal = disposal
        self._intake = intake
        self._counters = counters
        self._watch = watch
        self._data_dir = data_dir
        self._policy = policy
        self._numbers = DayNumbers(data_dir / "numbers.json", data_dir / "tmp")
        self._tidying = Tidying(archive)

    def load(self) -> None:
        """Go on from what former rounds noted. Blocking."""
        self._intake.remember_numbers(self._numbers.load())

    async def run(self, stop: asyncio.Event) -> None:
        """A round soon after the start and then every hour, until `stop`."""
        pause_s = FIRST_ROUND_S
        while not await _stops_within(stop, pause_s):
            pause_s = ROUND_S
            try:
                await self.round(stop)
            except QueueError as error:
                log.warning("finished jobs stay for now: %s", error)
            except Exception:
                # One odd file must not stop the rest; what it is stands in the log.
                log.exception("finished jobs could not be removed")

    async def round(self, stop: asyncio.Event | None = None) -> int:
        """Remove what may go now, or until `stop`; returns how many productions. Raises: QueueUnwritable."""
        now = await self._watch.believed_now(self._archive.newest())
        if now is None:
            return 0
        await in_thread(self._disposal.clear)
        await self._tidying.round(now)
        if not self._policy.keep_s:
            return 0
        removed = 0
        for kind in Kind:
            removed += await self._remove_finished(kind, now, stop or asyncio.Event())
        if removed:
            log.info("finished jobs: %d removed with their media", removed)
        await self._remove_evidence(now)
        return removed

    async def _remove_finished(self, kind: Kind, now: float, stop: asyncio.Event) -> int:
        excess = self._archive.count(kind) - self._policy.keep_jobs if self._policy.keep_jobs else 0
        removed = 0
        async for page in self._archive.pages(kind):
            due = self._due(page, max(excess, 0), now)
            excess -= len(page)
            if due:
                await self._keep_numbers(entry for entry in page if entry.job_id in due)
            for job_id, before in due.items():
                if stop.is_set():
                    return removed
                removed += await self._remove(kind, job_id, before)
                await asyncio.sleep(STEP_S)
        return removed

    def _due(self, page: list[Entry], excess: int, now: float) -> dict[str, float]:
        """Ids of jobs that may go if they ended before the time given with each, Unix s.

        `excess`: how many from the beginning of the page are more than shall be kept.
        """
        old = now - self._policy.keep_s
        counted = now - min(COUNTED_S, self._policy.keep_s)
        # No job ends before it is made, so those made later need not be looked at.
        due = {entry.job_id: old for entry in page if entry.created_at <= old}
        return due | {entry.job_id: counted for entry in page[:excess] if entry.created_at <= counted}

    async def _keep_numbers(self, entries: Iterable[Entry]) -> None:
        """Make sure that no number is given again once the records that carry it are gone."""
        numbers = self._intake.last_numbers((entry.date, entry.channel) for entry in entries)

        def write() -> None:
            self._numbers.note(numbers)
            self._counters.flush()
            with contextlib.suppress(FileNotFoundError):
                durable.sync_file(self._data_dir / "counters.json")

        await on_disk(write)

    async def _remove(self, kind: Kind, job_id: str, before: float) -> bool:
        """Remove the production of this job if all of it ended before then, Unix s."""
        async with self._archive.production(kind, job_id) as jobs:
            for finished in jobs:
                if await self._archive.ended_at(finished) > before:
                    return False
            if not jobs or not await self._archive.may_go(jobs):
                return False
            await self._archive.remove(jobs)
            return True

    async def _remove_evidence(self, now: float) -> None:
        before = now - max(EVIDENCE_S, self._policy.keep_s)
        for name in EVIDENCE:
            folder = self._data_dir / name
            removed = await on_disk(lambda folder=folder: self._disposal.remove_files(folder, before))  # type: ignore[misc]  # mypy cannot type a lambda's default
            if removed:
                log.info("%s/: %d old files removed", name, removed)


async def _stops_within(stop: asyncio.Event, seconds: float) -> bool:
    """Wait so long, or until `stop`; whether it came."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
    return stop.is_set()
