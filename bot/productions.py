"""Productions: what a person sees as one video is an audio job and the video job that grows from it."""

import contextlib
from dataclasses import dataclass
from enum import StrEnum

from jobqueue.backend import Filter, JobView, QueueBackend
from jobqueue.errors import InvalidTransition, JobNotFound, QueueError
from jobqueue.job import Job, Kind, video_job_id
from jobqueue.lifecycle import FINAL, State

SHORT_ID = 8
"""Characters of an id that people are shown."""
TITLE_CHARS = 80
MOST_MATCHES = 200
"""A prefix that fits more jobs than this is ambiguous without looking at each."""
A_ROUND, MOST_ROUNDS, ENOUGH = 8, 12, 5
"""Jobs looked at in one go, how often, and how many productions end the search for a page."""
ACTIVE = frozenset({State.PENDING, State.PROCESSING})
REVIVABLE = frozenset({State.FAILED, State.CANCELLED})


class Ambiguous(QueueError):
    """The beginning of an id fits several productions."""

    def __init__(self, prefix: str) -> None:
        super().__init__(f"several jobs begin with {prefix!r}")
        self.prefix = prefix


class Stage(StrEnum):
    """How far a production is, over both of its jobs."""

    WAITING = "waiting"  # for a worker to speak it
    SPEAKING = "speaking"
    WAITING_FOR_VIDEO = "waiting-for-video"  # spoken; the render has not begun
    RENDERING = "rendering"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


AUDIO_STAGES = {
    State.PENDING: Stage.WAITING,
    State.PROCESSING: Stage.SPEAKING,
    State.FAILED: Stage.FAILED,
    State.CANCELLED: Stage.CANCELLED,
}
VIDEO_STAGES = {
    State.PENDING: Stage.WAITING_FOR_VIDEO,
    State.PROCESSING: Stage.RENDERING,
    State.COMPLETED: Stage.DONE,
    State.FAILED: Stage.FAILED,
    State.CANCELLED: Stage.CANCELLED,
}
ENDED = frozenset({Stage.DONE, Stage.FAILED, Stage.CANCELLED})


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks."""

    user_id: int
    is_admin: bool = False


@dataclass(frozen=True, slots=True)
class Production:
    """One video in the making, or made."""

    id: str
    """That of its audio job; of its video job if that one came without."""
    audio: JobView | None
    video: JobView | None

    @property
    def short_id(self) -> str:
        return self.id[:SHORT_ID]

    @property
    def current(self) -> JobView:
        """The half that matters now."""
        view = self.video or self.audio
        if view is None:
            raise JobNotFound(self.id)
        return view

    @property
    def first(self) -> Job:
        """The job that carries the script and who sent it."""
        return (self.audio or self.current).job

    @property
    def stage(self) -> Stage:
        if self.video is not None:
            return VIDEO_STAGES[self.video.state]
        if self.current.state is not State.COMPLETED:
            return AUDIO_STAGES[self.current.state]
        # A recording is followed by its video job; one that was only linked to is all there will be.
        return Stage.WAITING_FOR_VIDEO if self.first.text("audio_path") else Stage.DONE

    @property
    def chat_id(self) -> int | None:
        return self.current.job.chat_id or self.first.chat_id

    @property
    def title(self) -> str:
        return self.first.text("title")[:TITLE_CHARS] or self.short_id

    def visible_to(self, person: Person) -> bool:
        """A person sees their own; without a name on it, what belongs to their private chat."""
        owner = self.first.number("user_id")
        return person.is_admin or person.user_id == (self.chat_id if owner is None else owner)


class Productions:
    """Finds productions in the queue and moves the right half of them."""

    def __init__(self, queue: QueueBackend) -> None:
        self._queue = queue

    async def get(self, production_id: str) -> Production:
        """Raises: JobNotFound."""
        audio = await self._view(Kind.AUDIO, production_id)
        video = await self._view(Kind.VIDEO, video_job_id(production_id) if audio else production_id)
        if audio is None and video is None:
            raise JobNotFound(production_id)
        return Production(production_id, audio, video)

    async def of(self, kind: Kind, job_id: str) -> Production:
        """The production a job belongs to. Raises: JobNotFound."""
        if kind is Kind.AUDIO:
            return await self.get(job_id)
        video = await self._queue.get(Kind.VIDEO, job_id)
        audio_id = video.job.text("audio_job_id")
        audio = await self._view(Kind.AUDIO, audio_id) if audio_id else None
        return Production(audio_id if audio else job_id, audio, video)

    async def find(self, prefix: str, person: Person) -> Production:
        """The one production of this person whose id begins so. Raises: JobNotFound, Ambiguous."""
        prefix = prefix.strip().lstrip("#").lower()
        matches = self._queue.matching(prefix) if prefix else []
        if len(matches) > MOST_MATCHES:
            raise Ambiguous(prefix)
        found: dict[str, Production] = {}
        for kind, job_id in matches:
            try:
                production = await self.of(kind, job_id)
            except JobNotFound:
                continue
            if production.visible_to(person):
                found[production.id] = production
        if prefix in found:
            return found[prefix]
        if len(found) > 1:
            raise Ambiguous(prefix)
        if not found:
            raise JobNotFound(prefix)
        return next(iter(found.values()))

    async def recent(
        self, person: Person, chat_id: int, *, states: frozenset[State] | None = None, limit: int
    ) -> list[Production]:
        """The newest productions a person may see in a chat (an admin: everywhere), by their current half."""
        where = None if person.is_admin else chat_id
        kinds = (Kind.AUDIO, Kind.VIDEO) if states else (Kind.AUDIO,)
        found: dict[str, Production] = {}
        for kind in kinds:
            wanted = Filter(kind=kind, chat_id=where, states=states)
            page = await self._queue.jobs(wanted, limit=4 * limit, newest_first=True)
            for view in page.jobs:
                production = await self.of(kind, view.job.id)
                if production.visible_to(person) and (not states or production.current.state in states):
                    found[production.id] = production
        newest = sorted(found.values(), key=lambda production: production.first.created_at, reverse=True)
        return newest[:limit]

    async def ended(
        self, person: Person, chat_id: int, *, cursor: str | None = None
    ) -> tuple[list[Production], str | None]:
        """The next productions that have ended, newest first, as far as `recent` would show them.

        Returns: a few of them, and the cursor of the next ones; None at the end.
        """
        wanted = Filter(Kind.AUDIO, states=FINAL, chat_id=None if person.is_admin else chat_id)
        found: list[Production] = []
        for _ in range(MOST_ROUNDS):
            page = await self._queue.jobs(wanted, limit=A_ROUND, cursor=cursor, newest_first=True)
            cursor = page.cursor
            for view in page.jobs:
                with contextlib.suppress(JobNotFound):
                    production = await self.of(Kind.AUDIO, view.job.id)
                    if production.stage in ENDED and production.visible_to(person):
                        found.append(production)
            if cursor is None or len(found) >= ENOUGH:
                break
        return found, cursor

    async def earlier(self, production: Production) -> Production | None:
        """The one whose script this one repeats, if it is there and not called off."""
        job_id = production.first.text("duplicate_of")
        try:
            earlier = await self.get(job_id) if job_id else None
        except JobNotFound:
            return None
        return None if earlier is None or earlier.stage is Stage.CANCELLED else earlier

    async def cancel(self, production: Production, *, by: str) -> Production:
        """Call off whichever half is not finished. Raises: InvalidTransition, JobNotFound."""
        try:
            await self._queue.cancel(production.current.job.kind, production.current.job.id, by=by)
        except InvalidTransition:
            # The recording may have been finished this very moment: then it is the video that is called off.
            again = await self.get(production.id)
            if again.current.state in FINAL or again.current.job.id == production.current.job.id:
                raise
            await self._queue.cancel(again.current.job.kind, again.current.job.id, by=by)
        return await self.get(production.id)

    async def retry(self, production: Production, *, by: str) -> Production:
        """Take it up again at the half that failed. Raises: InvalidTransition, JobNotFound."""
        await self._queue.retry(production.current.job.kind, production.current.job.id, by=by)
        return await self.get(production.id)

    async def retry_all(self, person: Person, chat_id: int, *, by: str) -> int:
        """Take up again all of a person's own that failed in this chat; returns how many."""
        own, retried = Person(person.user_id), 0
        for kind in Kind:
            cursor: str | None = None
            while True:
                wanted = Filter(kind=kind, states=frozenset({State.FAILED}), chat_id=chat_id)
                page = await self._queue.jobs(wanted, cursor=cursor)
                for view in page.jobs:
                    retried += await self._retry_own(kind, view.job.id, own, by)
                if (cursor := page.cursor) is None:
                    break
        return retried

    async def _retry_own(self, kind: Kind, job_id: str, own: Person, by: str) -> bool:
        try:
            production = await self.of(kind, job_id)
            if production.current.job.id != job_id or not production.visible_to(own):
                return False
            await self._queue.retry(kind, job_id, by=by)
        except (JobNotFound, InvalidTransition):
            return False  # somebody was quicker
        return True

    async def _view(self, kind: Kind, job_id: str) -> JobView | None:
        try:
            return await self._queue.get(kind, job_id)
        except JobNotFound:
            return None
