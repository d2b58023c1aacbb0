"""Which productions have their media in which folder below `files/`."""

from jobqueue.job import Job, Kind, video_job_id


def production_of(job: Job) -> str:
    """Id of what people see as one video: that of the audio job a video job grew from, else the job's own."""
    parent = job.text("audio_job_id") if job.kind is Kind.VIDEO else ""
    return parent if parent and video_job_id(parent) == job.id else job.id


class Tenants:
    """Nearly always one production per folder, so nothing but its id is kept then."""

    def __init__(self) -> None:
        self._of: dict[str, str | frozenset[str]] = {}

    def __contains__(self, path: str) -> bool:
        """Whether the folder is some production's."""
        return path in self._of

    def enter(self, job: Job) -> None:
        """The job has its media there; entering twice is the same as once."""
        path, production = job.organized_path, production_of(job)
        there = self._of.setdefault(path, production)
        if isinstance(there, frozenset):
            self._of[path] = there | {production}
        elif there != production:
            self._of[path] = frozenset({there, production})

    def leave(self, job: Job) -> None:
        """The job's production is gone."""
        path, production = job.organized_path, production_of(job)
        there = self._of.pop(path, frozenset())
        rest = (there if isinstance(there, frozenset) else frozenset({there})) - {production}
        if rest:
            self._of[path] = next(iter(rest)) if len(rest) == 1 else rest

    def is_alone(self, job: Job) -> bool:
        """Whether no other production uses the job's folder."""
        production = production_of(job)
        return self._of.get(job.organized_path, production) == production
