"""What the workers leave beside a finished video, removed while the video itself is kept."""

import asyncio

from jobqueue.index import Entry
from jobqueue.job import Kind, video_job_id
from jobqueue.lifecycle import State
from jobqueue.policy import DAY_S
from jobqueue.retention.archive import Archive
from jobqueue.retention.disposal import Finished

KEPT_S = {State.COMPLETED: DAY_S, State.CANCELLED: 7 * DAY_S}
"""How long `chunks/` and `render/` are kept after the end; those of a failed job until it goes itself,
because its next attempt finds them."""
REMEMBERED_S = 2 * max(KEPT_S.values())
"""Age of the jobs that are not looked at any more: their turn has come and gone."""
STEP_S = 0.01


class Tidying:
    """Each production once: those that are done are remembered until they are too old to matter."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._done: set[str] = set()

    async def round(self, now: float) -> None:
        """`now`: Unix s. Raises: QueueUnwritable."""
        young: set[str] = set()
        async for page in self._archive.pages(Kind.AUDIO):
            for entry in page:
                if not self._is_due(entry, now):
                    continue
                young.add(entry.job_id)
                if entry.job_id not in self._done and await self._tidy(entry, now):
                    self._done.add(entry.job_id)
                    await asyncio.sleep(STEP_S)
        self._done &= young

    def _is_due(self, entry: Entry, now: float) -> bool:
        """As far as can be told without reading: not failed, and of the right age."""
        video = self._archive.state(Kind.VIDEO, video_job_id(entry.job_id))
        return (
            entry.state in KEPT_S
            and (video is None or video in KEPT_S)
            and min(KEPT_S.values()) <= now - entry.created_at <= REMEMBERED_S
        )

    async def _tidy(self, entry: Entry, now: float) -> bool:
        async with self._archive.production(Kind.AUDIO, entry.job_id) as jobs:
            if not jobs or not all([await self._is_over(finished, now) for finished in jobs]):
                return False
            await self._archive.remove_working_files(jobs)
            return True

    async def _is_over(self, finished: Finished, now: float) -> bool:
        kept_s = KEPT_S.get(finished.state)
        return kept_s is not None and now - await self._archive.ended_at(finished) >= kept_s
