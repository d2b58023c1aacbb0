"""How fast jobs go, learned from those that finished."""

from jobqueue.job import Job, Kind

WEIGHT = 0.3
"""Share of the newest job in the moving average: a new GPU is noticed within a few jobs."""
TELLING_PERCENT = 5.0
"""Below this much progress, the time so far tells nothing of the time to come."""
LONGEST_S = 1e7
"""No recording is longer; a figure beyond is a mistake of whoever gave it."""


def units(job: Job) -> float:
    """How much work a job is: characters for audio, seconds of recording for video; 1 if unknown."""
    if job.kind is Kind.AUDIO:
        return float(len(job.text("script_text")) or 1)
    duration = job.fields.get("audio_duration_s")
    return float(duration) if isinstance(duration, int | float) and 0 < duration < LONGEST_S else 1.0


class Pace:
    """Moving averages of the jobs of one kind."""

    def __init__(self) -> None:
        self._per_unit_s: float | None = None
        self.average_s: float | None = None
        """Mean seconds a job takes."""

    def learn(self, job: Job, taken_s: float) -> None:
        self._per_unit_s = _mix(self._per_unit_s, taken_s / units(job))
        self.average_s = _mix(self.average_s, taken_s)

    def remaining_s(self, job: Job, elapsed_s: float, percent: float) -> float | None:
        """Seconds until a job in work is done, None if nothing can be told yet."""
        if percent >= TELLING_PERCENT:
            return elapsed_s * (100 - percent) / percent
        if self._per_unit_s is None:
            return None
        return max(self._per_unit_s * units(job) - elapsed_s, 1.0)

    def waiting_s(self, job: Job, ahead: int, workers: int) -> float | None:
        """Seconds until a pending job is done, `ahead` jobs being before it; None if that cannot be told."""
        if self._per_unit_s is None or self.average_s is None or not workers:
            return None
        return self.average_s * ahead / workers + self._per_unit_s * units(job)


def _mix(average: float | None, value: float) -> float:
    return value if average is None else average + WEIGHT * (value - average)
