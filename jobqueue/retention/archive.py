"""The finished jobs, production by production: found in the index, held still while one is dealt with."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from jobqueue.backend import Filter
from jobqueue.disk import in_thread, on_disk
from jobqueue.errors import JobNotFound
from jobqueue.index import Entry
from jobqueue.intake import Intake
from jobqueue.job import Kind, video_job_id
from jobqueue.ledger import Ledger
from jobqueue.lifecycle import FINAL, State
from jobqueue.outbox import Outbox
from jobqueue.retention.disposal import Disposal, Finished
from jobqueue.tenants import production_of
from jobqueue.uninterrupted import uninterrupted

LOOKED_AT = 1000
"""Jobs that are looked at in one go: less than a millisecond."""


class Archive:
    """An audio job and the video job that grew from it are one: both stay, or both go."""

    def __init__(self, ledger: Ledger, intake: Intake, outbox: Outbox, disposal: Disposal) -> None:
        self._ledger = ledger
        self._intake = intake
        self._outbox = outbox
        self._disposal = disposal

    def count(self, kind: Kind) -> int:
        """How many jobs of the kind are finished."""
        counts = self._ledger.indexes[kind].counts()
        return sum(counts[state] for state in FINAL)

    def state(self, kind: Kind, job_id: str) -> State | None:
        """None: there is no such job."""
        entry = self._ledger.indexes[kind].get(job_id)
        return None if entry is None else entry.state

    def newest(self) -> float | None:
        """When the latest job was made, Unix s; None if there are none."""
        latest = [
            entry.created_at
            for kind, index in self._ledger.indexes.items()
            for entry in index.listing(Filter(kind), after=None, newest_first=True, looked_at=1)[0]
        ]
        return max(latest, default=None)

    async def pages(self, kind: Kind) -> AsyncIterator[list[Entry]]:
        """The finished jobs, as accepted; others have their turn in between."""
        wanted, after = Filter(kind, states=FINAL), None
        while True:
            index = self._ledger.indexes[kind]
            page, after = index.listing(wanted, after=after, newest_first=False, looked_at=LOOKED_AT)
            if after is None:
                return
            yield page
            await asyncio.sleep(0)

    @asynccontextmanager
    async def production(self, kind: Kind, job_id: str) -> AsyncIterator[list[Finished]]:
        """The jobs of a production, its video first, moved by nobody else; none unless all are finished."""
        audio_id = job_id if kind is Kind.AUDIO else await self._parent_of(job_id)
        video_id = job_id if kind is Kind.VIDEO else video_job_id(job_id)
        async with self._ledger.lock(Kind.AUDIO, audio_id), self._ledger.lock(Kind.VIDEO, video_id):
            halves = [(Kind.VIDEO, video_id), (Kind.AUDIO, audio_id)]
            entries = [entry for kind, each in halves if (entry := self._ledger.indexes[kind].get(each))]
            yield await self._read(entries) if all(entry.state in FINAL for entry in entries) else []

    async def _read(self, entries: list[Entry]) -> list[Finished]:
        found = []
        for entry in entries:
            with contextlib.suppress(JobNotFound):
                found.append(Finished(await self._ledger.read(entry), entry.state))
        return found

    async def _parent_of(self, video_id: str) -> str:
        """Id of the audio job that a video job grew from; empty if it came by itself."""
        entry = self._ledger.indexes[Kind.VIDEO].get(video_id)
        found = await self._read([entry] if entry else [])
        production = production_of(found[0].job) if found else video_id
        return production if production != video_id else ""

    async def ended_at(self, finished: Finished) -> float:
        """Unix s; if its record does not say, when its file was written. Raises: QueueUnwritable."""
        return await on_disk(lambda: self._disposal.ended_at(finished))

    async def may_go(self, jobs: list[Finished]) -> bool:
        """Whether nothing but their age keeps them: no news is owed, no other job's folder lies in theirs."""
        return await in_thread(lambda: not any(self._is_needed(finished) for finished in jobs))

    def _is_needed(self, finished: Finished) -> bool:
        job = finished.job
        return self._outbox.owes(job.kind, job.id, job.epoch) or self._disposal.holds_another(
            job, self._intake.tenants.__contains__
        )

    async def remove(self, jobs: list[Finished]) -> None:
        """Delete a whole production that is held still. Raises: QueueUnwritable; it is tried again then."""
        await uninterrupted(self._remove(jobs))

    async def _remove(self, jobs: list[Finished]) -> None:
        gone = {(each.job.kind, each.job.id) for each in jobs}
        folders = {
            each.job.organized_path: each.job for each in jobs if self._intake.tenants.is_alone(each.job)
        }
        # Jobs of both kinds may have the same id, and then one log.
        logs = [
            job_id
            for _, job_id in gone
            if not any(self.state(kind, job_id) and (kind, job_id) not in gone for kind in Kind)
        ]
        await on_disk(lambda: self._disposal.remove(jobs, folders=folders.values(), logs=logs))
        for finished in jobs:
            self._ledger.indexes[finished.job.kind].drop(finished.job.id)
            self._intake.let_go(finished.job)

    async def remove_working_files(self, jobs: list[Finished]) -> None:
        """Delete what the workers needed on the way. Raises: QueueUnwritable."""
        alone = [each.job for each in jobs if self._intake.tenants.is_alone(each.job)]
        await on_disk(lambda: self._disposal.remove_working_files(alone))
