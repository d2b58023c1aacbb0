"""Which jobs have the same script, told by a number for each text: the texts themselves are not kept."""

import hashlib
import re
import unicodedata

from jobqueue.job import Job, Kind

COMPARED = 20_000
"""Characters compared however they were typed; beyond, they must be typed the same. NFKC can make
eighteen characters of one, and the event loop waits for it."""
KEPT = 8
"""Jobs remembered for one text, the latest of them: somebody may send the same a thousand times."""
DIGEST = re.compile("[0-9a-f]{15}")
"""60 bits: as much as fits an int of the smaller size."""


def script_digest(text: str) -> str:
    """The same for texts that differ in white space, in case, or in how Unicode writes a letter."""
    plain = " ".join(text.split())
    head = unicodedata.normalize("NFKC", plain[:COMPARED]).casefold()
    tail = plain[COMPARED:].casefold()
    return hashlib.blake2b((head + tail).encode(errors="replace"), digest_size=8).hexdigest()[:15]


class Duplicates:
    """The audio jobs by their script. About 90 bytes a job."""

    def __init__(self) -> None:
        self._jobs: dict[int, str | tuple[str, ...]] = {}

    def remember(self, job: Job) -> None:
        """A job exists. Quick if its record tells the digest, as those of this version do."""
        if job.kind is Kind.AUDIO:
            number = _number(job)
            if self._jobs.setdefault(number, job.id) != job.id:
                self._jobs[number] = (*self._others(number, job.id), job.id)[-KEPT:]

    def forget(self, job: Job) -> None:
        """It does not exist any more."""
        if job.kind is not Kind.AUDIO or not self._jobs:
            return
        number = _number(job)
        if others := self._others(number, job.id):
            self._jobs[number] = others if len(others) > 1 else others[0]
        else:
            self._jobs.pop(number, None)

    def of(self, job: Job) -> tuple[str, ...]:
        """Ids of other audio jobs with the same script, the latest last; they may be cancelled."""
        return self._others(_number(job), job.id) if job.kind is Kind.AUDIO else ()

    def __len__(self) -> int:
        return len(self._jobs)

    def _others(self, number: int, job_id: str) -> tuple[str, ...]:
        known = self._jobs.get(number, ())
        ids = (known,) if isinstance(known, str) else known
        return tuple(each for each in ids if each != job_id)


def _number(job: Job) -> int:
    digest = job.text("script_digest")
    return int(digest if DIGEST.fullmatch(digest) else script_digest(job.text("script_text")), 16)
