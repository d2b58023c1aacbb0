"""What comes back from the workers: jobs done, failed, handed back, or not heard of any more."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from jobqueue.admission import Admission
from jobqueue.backend import Verdict
from jobqueue.clock import Clock
from jobqueue.disk import in_thread
from jobqueue.errors import JobInvalid, LeaseLost, PathRefused, QueueUnwritable
from jobqueue.intake import INHERITED
from jobqueue.job import OF_THE_CLAIM, Claim, Job, Json, Kind, Result, video_job_id
from jobqueue.leases import ClaimTokens, Lease, Leases
from jobqueue.ledger import Ledger
from jobqueue.lifecycle import Event, State, after_failure, next_state
from jobqueue.pace import Pace
from jobqueue.policy import QueuePolicy
from jobqueue.retry import backoff_s
from jobqueue.roster import Roster
from jobqueue.storage import DirectoryStorage
from jobqueue.uninterrupted import uninterrupted
from jobqueue.waiters import Waiters
from jobqueue.wire import OWN_FIELDS, timestamp

log = logging.getLogger(__name__)

OF_THE_SCRIPT = frozenset({"script_text", "script_digest", "duplicate_of"})
NUMBERS = frozenset(f"{kind}_counter" for kind in Kind)
NOT_A_RESULT = (
    OWN_FIELDS | OF_THE_CLAIM | OF_THE_SCRIPT | NUMBERS | {*INHERITED, "claim_token", "last_worker_id"}
)
"""Fields that no result may change."""
REASON_MAX = 2000


class Outcomes:
    """Takes outcomes in from whoever holds the job, each once; a lease that is over is an outcome too."""

    def __init__(
        self,
        ledger: Ledger,
        admission: Admission,
        storage: DirectoryStorage,
        leases: Leases,
        tokens: ClaimTokens,
        roster: Roster,
        paces: Mapping[Kind, Pace],
        waiters: Waiters,
        clock: Clock,
        policy: QueuePolicy,
    ) -> None:
        self._ledger = ledger
        self._admission = admission
        self._storage = storage
        self._leases = leases
        self._tokens = tokens
        self._roster = roster
        self._paces = paces
        self._waiters = waiters
        self._clock = clock
        self._policy = policy

    # --- whose job it is

    async def held(self, claim: Claim) -> Lease:
        """The caller's lease, for one who has the job's lock.

        Raises: JobNotFound; LeaseLost if it is not the caller's, or over.
        """
        entry = self._ledger.entry(claim.kind, claim.job_id)
        lease = self._leases.get(claim.kind, claim.job_id)
        is_holder = lease is not None and lease.worker_id == claim.worker_id and self.is_worked_on(lease)
        if lease is None or not is_holder or not self._tokens.proves(claim, entry.epoch):
            raise LeaseLost(claim.job_id, claim.worker_id)
        if (reason := self._leases.why_over(lease, self._clock.monotonic())) is not None:
            await uninterrupted(self._failed(lease, reason, permanent=False, expired=True))
            raise LeaseLost(claim.job_id, claim.worker_id)
        return lease

    def is_worked_on(self, lease: Lease) -> bool:
        """Whether the job still is where the lease says; a person may have moved its file."""
        entry = self._ledger.indexes[lease.kind].get(lease.job.id)
        return entry is not None and entry.state is State.PROCESSING and entry.epoch == lease.job.epoch

    async def _is_settled(self, claim: Claim, state: State) -> bool:
        """Whether the same holder has reported this outcome before: the answer got lost."""
        entry = self._ledger.entry(claim.kind, claim.job_id)
        if entry.state is not state or not self._tokens.proves(claim, entry.epoch):
            return False
        return (await self._ledger.read(entry)).text("worker_id") == claim.worker_id

    async def _is_handed_back(self, claim: Claim) -> bool:
        """Whether the same holder's claim ended with the job back in pending, where it still is."""
        entry = self._ledger.entry(claim.kind, claim.job_id)
        if entry.state is not State.PENDING or not self._tokens.proves(claim, entry.epoch - 1):
            return False
        return (await self._ledger.read(entry)).text("last_worker_id") == claim.worker_id

    # --- what the holder reports

    async def complete(self, claim: Claim, result: Result) -> None:
        """Raises: JobNotFound, LeaseLost; JobInvalid if the file it names was never uploaded."""
        async with self._ledger.lock(claim.kind, claim.job_id):
            if await self._is_settled(claim, State.COMPLETED):
                return
            lease = await self.held(claim)
            await uninterrupted(self._completed(lease, result))

    async def _completed(self, lease: Lease, result: Result) -> None:
        next_state(lease.job.id, State.PROCESSING, Event.COMPLETE)
        taken_s = self._clock.monotonic() - lease.granted_at
        told = {
            name: value for name, value in result.items() if name not in NOT_A_RESULT and value is not None
        }
        fields = {**lease.job.fields, **told, "completed_at": timestamp(self._clock.now())}
        fields.pop("claim_id", None)
        fields["processing_seconds"] = round(taken_s, 3)
        job = replace(lease.job, fields=fields)
        offspring = None
        if job.kind is Kind.AUDIO:
            recording = f"{job.organized_path}/audio.wav"
            job = await in_thread(partial(self._with_file, job, "audio_path", default=recording))
            if (
                "audio_path" in job.fields
                and self._ledger.indexes[Kind.VIDEO].get(video_job_id(job.id)) is None
            ):
                offspring = await self._admission.offspring(job)
        elif "video_path" in told:
            job = await in_thread(partial(self._with_file, job, "video_path"))
        is_end = job.kind is Kind.VIDEO or "audio_path" not in job.fields  # else its video goes on
        async with self._ledger.lock(Kind.VIDEO, video_job_id(job.id)):
            await self._ledger.move(
                job,
                State.COMPLETED,
                Event.COMPLETE,
                offspring=offspring,
                announce=is_end,
                details={"worker_id": lease.worker_id},
            )
        self._leases.end(job.kind, job.id)
        self._paces[job.kind].learn(job, taken_s, lease.worker_id)
        self._roster.finished(job.kind, lease.worker_id, taken_s=taken_s)
        if offspring is not None:
            self._waiters.wake(Kind.VIDEO)

    def _with_file(self, job: Job, field: str, *, default: str = "") -> Job:
        """The job with the path of its recording or video, if that lies in the storage. Blocking.

        Raises: JobInvalid if it names one that does not, and no link to it elsewhere.
        """
        named = job.text(field)
        path = named or default
        try:
            there = bool(path) and self._storage.locate(path).is_file()
        except PathRefused:
            raise JobInvalid({field: "must be a relative path below files/"}) from None
        if not there and named and not job.text("gofile_link"):
            raise JobInvalid({field: f"there is no file {named!r}: upload it with PUT /files/ first"})
        without = {name: value for name, value in job.fields.items() if name != field}
        return replace(job, fields={**without, field: path} if there else without)

    async def fail(self, claim: Claim, reason: str, *, permanent: bool) -> Verdict:
        """Raises: JobNotFound, LeaseLost."""
        async with self._ledger.lock(claim.kind, claim.job_id):
            if await self._is_settled(claim, State.FAILED) or await self._is_handed_back(claim):
                job = await self._ledger.read(self._ledger.entry(claim.kind, claim.job_id))
                state = self._ledger.entry(claim.kind, claim.job_id).state
                return Verdict(state, job.retry_count, job.not_before)
            lease = await self.held(claim)
            return await uninterrupted(self._failed(lease, reason, permanent=permanent, expired=False))

    async def _failed(self, lease: Lease, reason: str, *, permanent: bool, expired: bool) -> Verdict:
        job, now = lease.job, self._clock.now()
        failures = job.retry_count + 1
        event = after_failure(
            failures, max_failures=self._policy.max_failures, permanent=permanent, expired=expired
        )
        state = next_state(job.id, State.PROCESSING, event)
        fields: dict[str, Json] = {
            **job.fields,
            "error_message": reason[:REASON_MAX],
            "last_failed_at": timestamp(now),
        }
        job = replace(job, retry_count=failures, fields=fields)
        if state is State.PENDING:
            delay_s = 0.0 if expired else self._delay_s(failures)
            job = _freed(replace(job, not_before=round(now + delay_s, 3) if delay_s else None))
        else:
            job = replace(job, not_before=None)
        details: dict[str, Json] = {"worker_id": lease.worker_id, "reason": reason, "attempt": failures}
        await self._ledger.move(job, state, event, announce=state is State.FAILED, details=details)
        self._leases.end(job.kind, job.id)
        self._roster.finished(job.kind, lease.worker_id, taken_s=None)
        if state is State.PENDING:
            self._waiters.wake(job.kind)
        return Verdict(state, job.retry_count, job.not_before)

    def _delay_s(self, failures: int) -> float:
        return backoff_s(failures, base_s=self._policy.retry_base_s, cap_s=self._policy.retry_cap_s)

    async def release(self, claim: Claim) -> None:
        """Raises: JobNotFound, LeaseLost."""
        async with self._ledger.lock(claim.kind, claim.job_id):
            if await self._is_handed_back(claim):
                return
            lease = await self.held(claim)
            await uninterrupted(self._released(lease))

    async def _released(self, lease: Lease) -> None:
        state = next_state(lease.job.id, State.PROCESSING, Event.RELEASE)
        details: dict[str, Json] = {"worker_id": lease.worker_id}
        await self._ledger.move(_freed(lease.job), state, Event.RELEASE, details=details)
        self._leases.end(lease.kind, lease.job.id)
        self._waiters.wake(lease.kind)

    async def hand_back(self, lease: Lease) -> None:
        """The holder has gone, politely: no attempt is counted."""
        async with self._ledger.lock(lease.kind, lease.job.id):
            if self._leases.get(lease.kind, lease.job.id) is lease:
                await uninterrupted(self._released(lease))

    # --- what nobody reports

    async def sweep(self, kind: Kind) -> None:
        """Take back the jobs whose lease is over."""
        for lease, reason in self._leases.expired(self._clock.monotonic()):
            if lease.kind is kind:
                try:
                    await self.expire(lease, reason)
                except QueueUnwritable as error:
                    log.warning("job %s: cannot be taken back yet: %s", lease.job.id, error)

    async def take_back(self, kind: Kind, worker_id: str, reason: str) -> None:
        """The worker is known to be dead: its jobs return at once, the delivery counted."""
        for lease in self._leases.of_worker(kind, worker_id):
            await self.expire(lease, reason)

    async def expire(self, lease: Lease, reason: str) -> None:
        async with self._ledger.lock(lease.kind, lease.job.id):
            if self._leases.get(lease.kind, lease.job.id) is not lease:
                return
            if self.is_worked_on(lease):
                await uninterrupted(self._failed(lease, reason, permanent=False, expired=True))
            else:
                self._leases.end(lease.kind, lease.job.id)


def _freed(job: Job) -> Job:
    """The job as it goes back to pending: a new epoch, so that its old claim is stale from now on."""
    fields: Mapping[str, Json] = {
        name: value for name, value in job.fields.items() if name not in OF_THE_CLAIM
    }
    return replace(job, epoch=job.epoch + 1, fields={**fields, "last_worker_id": job.text("worker_id")})
