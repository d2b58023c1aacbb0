"""How fast jobs go, learned from those that finished: for each worker, and for all of a kind."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from jobqueue.job import Job, Kind

WEIGHT = 0.3
"""Share of the newest job in the moving average: a new GPU is noticed within a few jobs."""
TELLING_PERCENT = 5.0
"""Below this much progress, the time so far tells nothing of the time to come."""
LONGEST_S = 1e7
"""No recording is longer; a figure beyond is a mistake of whoever gave it."""
QUICKEST_S = 1e-6
"""Nothing takes no time at all; a clock that says so must not make a worker endlessly fast."""


def units(job: Job) -> float:
    """How much work a job is: characters for audio, seconds of recording for video; 1 if unknown."""
    if job.kind is Kind.AUDIO:
        return float(len(job.text("script_text")) or 1)
    # What the render measured, if it is done; before, what the voice said of its recording.
    for name in ("duration_s", "audio_duration_s"):
        length_s = job.fields.get(name)
        if isinstance(length_s, int | float) and 0 < length_s < LONGEST_S:
            return float(length_s)
    return 1.0


@dataclass(slots=True)
class Pace:
    """Moving averages of the jobs of one kind."""

    per_unit_s: float | None = None
    """Mean seconds for a unit of work; None until a job has finished, like the two below."""
    units: float | None = None
    """Mean size of a job."""
    average_s: float | None = None
    """Mean seconds a job takes."""
    workers: dict[str, float] = field(default_factory=dict)
    """The same as `per_unit_s` for each worker that has finished a job."""
    changes: int = 0
    """How often any of this has changed."""

    def learn(self, job: Job, taken_s: float, worker_id: str) -> None:
        """A worker has finished a job."""
        if job.epoch > 1 and self.per_unit_s is not None:
            # Part of it may have been done by those who had it before: it would look quicker than it is.
            return
        work = units(job)
        per_unit_s = max(taken_s, QUICKEST_S) / work
        self.per_unit_s = _mix(self.per_unit_s, per_unit_s)
        self.units = _mix(self.units, work)
        self.average_s = _mix(self.average_s, taken_s)
        self.workers[worker_id] = _mix(self.workers.get(worker_id), per_unit_s)
        self.changes += 1

    def forget_but(self, known: Collection[str]) -> None:
        """Keep no worker that is not among the known."""
        gone = [worker_id for worker_id in self.workers if worker_id not in known]
        for worker_id in gone:
            del self.workers[worker_id]
            self.changes += 1

    def remaining_s(self, job: Job, worker_id: str, elapsed_s: float, percent: float) -> float | None:
        """Seconds until a job that this worker has is done, None if nothing can be told yet."""
        if percent >= TELLING_PERCENT:
            return elapsed_s * (100 - percent) / percent
        per_unit_s = self.workers.get(worker_id, self.per_unit_s)
        if per_unit_s is None:
            return None
        return max(per_unit_s * units(job) - elapsed_s, 1.0)

    def waiting_s(self, job: Job, ahead: float, workers: Iterable[str], *, delay_s: float) -> float | None:
        """Seconds until a pending job is done; None if that cannot be told.

        Args:
            ahead: jobs that are done before its turn comes.
            workers: who is there to do them. They work side by side, each at its own speed.
            delay_s: before this it is not handed out, s.
        """
        if self.per_unit_s is None or self.units is None:
            return None
        mean_speed = 1 / self.per_unit_s
        speed = sum(1 / each if (each := self.workers.get(name)) else mean_speed for name in workers)
        if not speed:
            return None
        return max(ahead * self.units / speed, delay_s) + self.per_unit_s * units(job)


def _mix(average: float | None, value: float) -> float:
    return value if average is None else average + WEIGHT * (value - average)
