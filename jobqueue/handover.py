"""How jobs pass between the queue and the workers: claims, leases, and what comes back."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from jobqueue.admission import Admission
from jobqueue.backend import Verdict
from jobqueue.clock import Clock
from jobqueue.disk import in_thread
from jobqueue.errors import JobInvalid, JobNotFound, LeaseLost, PathRefused, QueueUnwritable
from jobqueue.index import Entry
from jobqueue.intake import INHERITED
from jobqueue.job import (
    Claim,
    Delivery,
    Job,
    Json,
    Kind,
    Orders,
    Progress,
    Result,
    WorkerReport,
    video_job_id,
)
from jobqueue.leases import ClaimTokens, Lease, Leases
from jobqueue.ledger import Ledger
from jobqueue.lifecycle import Event, State, after_failure, next_state
from jobqueue.pace import Pace
from jobqueue.pauses import Pauses
from jobqueue.policy import QueuePolicy
from jobqueue.retry import backoff_s
from jobqueue.roster import Roster
from jobqueue.storage import DirectoryStorage
from jobqueue.uninterrupted import uninterrupted
from jobqueue.waiters import Waiters
from jobqueue.wire import OWN_FIELDS, moment, timestamp

log = logging.getLogger(__name__)

OF_THE_CLAIM = frozenset({"worker_id", "processing_started_at", "claim_id"})
"""Fields a job carries of the worker that has it."""
OF_THE_SCRIPT = frozenset({"script_text", "script_digest", "duplicate_of"})
NOT_A_RESULT = OWN_FIELDS | OF_THE_CLAIM | OF_THE_SCRIPT | {*INHERITED, "claim_token", "last_worker_id"}
"""Fields that no result may change."""
REASON_MAX = 2000
DAY_S = 24 * 3600.0


class Handover:
    """Hands jobs out and takes outcomes in; the WorkQueue's side of DirectoryQueue."""

    def __init__(
        self,
        ledger: Ledger,
        admission: Admission,
        storage: DirectoryStorage,
        roster: Roster,
        waiters: Waiters,
        pauses: Pauses,
        tokens: ClaimTokens,
        clock: Clock,
        policy: QueuePolicy,
    ) -> None:
        self._ledger = ledger
        self._admission = admission
        self._storage = storage
        self._roster = roster
        self._waiters = waiters
        self._pauses = pauses
        self._tokens = tokens
        self._clock = clock
        self._policy = policy
        self._leases = Leases(policy.stuck_s)
        self.paces = {kind: Pace() for kind in Kind}

    def lease(self, kind: Kind, job_id: str) -> Lease | None:
        return self._leases.get(kind, job_id)

    def leases(self) -> list[Lease]:
        return list(self._leases)

    def is_holding(self, kind: Kind, worker_id: str) -> bool:
        return bool(self._leases.of_worker(kind, worker_id))

    # --- handing out

    async def claim(
        self, kind: Kind, worker: WorkerReport, claim_id: str | None, wait_s: float
    ) -> Delivery | None:
        self._roster.saw(kind, worker)
        deadline = self._clock.monotonic() + wait_s
        while True:
            await self.sweep(kind)
            delivery = await self._deliver_or_keep(kind, worker.worker_id, claim_id)
            left_s = deadline - self._clock.monotonic()
            if delivery is not None or left_s <= 0:
                return delivery
            held_back = self._pauses.holds_back(kind, worker.worker_id)
            due = None if held_back else self._ledger.indexes[kind].next_due(self._clock.now())
            soon_s = left_s if due is None else min(left_s, max(due - self._clock.now(), 0.01))
            if not await self._waiters.wait(kind, claim_id, soon_s, held_back=held_back):
                return None

    async def _deliver_or_keep(self, kind: Kind, worker_id: str, claim_id: str | None) -> Delivery | None:
        """As `_deliver`; for a caller that goes away meanwhile nothing is taken."""
        taken: list[Lease] = []
        try:
            return await uninterrupted(self._deliver(kind, worker_id, claim_id, taken))
        except asyncio.CancelledError:
            for lease in taken:
                await uninterrupted(self._hand_back(lease))
            raise

    async def _hand_back(self, lease: Lease) -> None:
        async with self._ledger.lock(lease.kind, lease.job.id):
            if self._leases.get(lease.kind, lease.job.id) is lease:
                await self._released(lease)

    async def _deliver(
        self, kind: Kind, worker_id: str, claim_id: str | None, taken: list[Lease]
    ) -> Delivery | None:
        """The job this claim already has, else the next one that is ready, which is noted in `taken`."""
        if claim_id is not None:
            lease = self._leases.of_claim(kind, worker_id, claim_id)
            if lease is not None:
                return self._delivery(lease)
        if self._pauses.holds_back(kind, worker_id):
            return None
        while (entry := self._ledger.indexes[kind].next_ready(self._clock.now())) is not None:
            async with self._ledger.lock(kind, entry.job_id):
                if self._ledger.indexes[kind].get(entry.job_id) is not entry:
                    continue  # cancelled, or moved in another way, while we waited for the lock
                lease = await self._take(entry, worker_id, claim_id)
                if lease is not None:
                    taken.append(lease)
                    return self._delivery(lease)
        return None

    async def _take(self, entry: Entry, worker_id: str, claim_id: str | None) -> Lease | None:
        next_state(entry.job_id, entry.state, Event.CLAIM)
        added: dict[str, Json] = {
            "worker_id": worker_id,
            "processing_started_at": timestamp(self._clock.now()),
            "claim_id": claim_id,
        }
        try:
            job = await self._ledger.take(entry, worker_id, added)
        except JobNotFound:
            return None  # somebody took the file away, or it is no job
        except BaseException:
            self._ledger.indexes[entry.kind].put(entry)  # back in line
            raise
        return self.grant(
            job, worker_id, self._policy.stuck_s if claim_id is None else self._policy.first_lease_s
        )

    def grant(self, job: Job, worker_id: str, lease_s: float) -> Lease:
        """Give the worker a lease on a job that is in processing."""
        now = self._clock.monotonic()
        lease = Lease(job.kind, job, worker_id, job.text("claim_id") or None, now, now + lease_s, now)
        self._leases.grant(lease)
        return lease

    def regrant(self, job: Job, worker_id: str) -> None:
        """After a start: the worker may have outlived us, so its job gets a fresh lease."""
        lease_s = self._policy.lease_s if job.text("claim_id") else self._policy.stuck_s
        lease = self.grant(job, worker_id, lease_s)
        # What it has taken so far counts, or the worker would look quicker than it is.
        lease.granted_at -= _since(job.text("processing_started_at"), self._clock.now())

    def _delivery(self, lease: Lease) -> Delivery:
        job = lease.job
        token = self._tokens.mint(job.kind, job.id, lease.worker_id, job.epoch)
        claim = Claim(job.kind, job.id, lease.worker_id, token)
        return Delivery(job, claim, self._policy.lease_s)

    # --- while it is out

    async def heartbeat(self, kind: Kind, worker: WorkerReport) -> Orders:
        self._roster.saw(kind, worker)
        held = self._leases.of_worker(kind, worker.worker_id)
        if worker.status == "offline":
            # It stops, and may have been handed a job whose reply it did not read any more.
            for lease in held:
                await uninterrupted(self._hand_back(lease))
            return Orders()
        await self.sweep(kind)
        held = self._leases.of_worker(kind, worker.worker_id)
        for lease in held:
            self._renew(lease)
        thought = worker.current_job
        if thought is None or any(lease.job.id == thought for lease in held):
            return Orders()
        entry = self._ledger.indexes[kind].get(thought)
        if entry is not None and entry.state is State.CANCELLED:
            return Orders(cancel=frozenset({thought}))
        return Orders(lost=frozenset({thought}))

    async def progress(self, claim: Claim, progress: Progress) -> bool:
        """Whether a person has cancelled the job. Raises: JobNotFound, LeaseLost."""
        entry = self._ledger.entry(claim.kind, claim.job_id)
        if entry.state is State.CANCELLED and self._tokens.proves(claim, entry.epoch):
            return True
        lease = await self._held(claim)
        before, lease.progress = lease.progress, progress
        now = self._clock.monotonic()
        seconds, lease.moved_at = now - lease.moved_at, now
        self._renew(lease)
        if before is None or (before.message, before.chunk) != (progress.message, progress.chunk):
            self._ledger.note_progress(lease.job, progress, seconds=seconds)
        else:
            self._ledger.tell(lease.job, "progress", State.PROCESSING, progress=progress)
        return False

    def _renew(self, lease: Lease) -> None:
        lease.ends_at = max(lease.ends_at, self._clock.monotonic() + self._policy.lease_s)

    async def _held(self, claim: Claim) -> Lease:
        """The caller's lease. Raises: JobNotFound; LeaseLost if it is not the caller's, or over."""
        entry = self._ledger.entry(claim.kind, claim.job_id)
        await self.sweep(claim.kind)
        lease = self._leases.get(claim.kind, claim.job_id)
        is_holder = lease is not None and lease.worker_id == claim.worker_id and self._is_worked_on(lease)
        if lease is None or not is_holder or not self._tokens.proves(claim, entry.epoch):
            raise LeaseLost(claim.job_id, claim.worker_id)
        return lease

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
            if self._is_worked_on(lease):
                await uninterrupted(self._failed(lease, reason, permanent=False, expired=True))
            else:
                self._leases.end(lease.kind, lease.job.id)

    def _is_worked_on(self, lease: Lease) -> bool:
        """Whether the job still is where the lease says; a person may have moved its file."""
        entry = self._ledger.indexes[lease.kind].get(lease.job.id)
        return entry is not None and entry.state is State.PROCESSING and entry.epoch == lease.job.epoch

    # --- taking in

    async def complete(self, claim: Claim, result: Result) -> None:
        """Raises: JobNotFound, LeaseLost; JobInvalid if the recording it names was never uploaded."""
        async with self._ledger.lock(claim.kind, claim.job_id):
            if await self._is_settled(claim, State.COMPLETED):
                return
            lease = await self._held_here(claim)
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
            job = await in_thread(partial(self._with_recording, job))
            if (
                "audio_path" in job.fields
                and self._ledger.indexes[Kind.VIDEO].get(video_job_id(job.id)) is None
            ):
                offspring = await self._admission.offspring(job)
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
        self.paces[job.kind].learn(job, taken_s, lease.worker_id)
        self._roster.finished(job.kind, lease.worker_id, taken_s=taken_s)
        if offspring is not None:
            self._waiters.wake(Kind.VIDEO)

    def _with_recording(self, job: Job) -> Job:
        """The audio job with the path of its recording, if that lies in the storage. Blocking."""
        named = job.text("audio_path")
        path = named or f"{job.organized_path}/audio.wav"
        with_path = {**job.fields, "audio_path": path}
        without = {name: value for name, value in job.fields.items() if name != "audio_path"}
        try:
            there = self._storage.locate(path).is_file()
        except PathRefused:
            raise JobInvalid({"audio_path": "must be a relative path below files/"}) from None
        if not there and named and not job.text("gofile_link"):
            raise JobInvalid({"audio_path": f"there is no file {named!r}: upload it with PUT /files/ first"})
        return replace(job, fields=with_path if there else without)

    async def fail(self, claim: Claim, reason: str, *, permanent: bool) -> Verdict:
        """Raises: JobNotFound, LeaseLost."""
        async with self._ledger.lock(claim.kind, claim.job_id):
            if await self._is_settled(claim, State.FAILED) or await self._is_handed_back(claim):
                job = await self._ledger.read(self._ledger.entry(claim.kind, claim.job_id))
                state = self._ledger.entry(claim.kind, claim.job_id).state
                return Verdict(state, job.retry_count, job.not_before)
            lease = await self._held_here(claim)
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
            lease = await self._held_here(claim)
            await uninterrupted(self._released(lease))

    async def _released(self, lease: Lease) -> None:
        state = next_state(lease.job.id, State.PROCESSING, Event.RELEASE)
        details: dict[str, Json] = {"worker_id": lease.worker_id}
        await self._ledger.move(_freed(lease.job), state, Event.RELEASE, details=details)
        self._leases.end(lease.kind, lease.job.id)
        self._waiters.wake(lease.kind)

    def forget(self, kind: Kind, job_id: str) -> None:
        """The job was taken from its worker by a person."""
        self._leases.end(kind, job_id)

    async def _held_here(self, claim: Claim) -> Lease:
        """As `_held`, for a caller that has the job's lock, which a sweep would wait for."""
        entry = self._ledger.entry(claim.kind, claim.job_id)
        lease = self._leases.get(claim.kind, claim.job_id)
        is_holder = lease is not None and lease.worker_id == claim.worker_id and self._is_worked_on(lease)
        if lease is None or not is_holder or not self._tokens.proves(claim, entry.epoch):
            raise LeaseLost(claim.job_id, claim.worker_id)
        if lease.ends_at <= self._clock.monotonic():
            await uninterrupted(
                self._failed(lease, f"worker {lease.worker_id} fell silent", permanent=False, expired=True)
            )
            raise LeaseLost(claim.job_id, claim.worker_id)
        return lease

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


def _since(text: str, now: float) -> float:
    """Seconds from a time on record until `now`; 0 if it is none, or so odd that a clock must have jumped."""
    try:
        seconds = now - moment(text)
    except ValueError:
        return 0.0
    return seconds if 0 < seconds < DAY_S else 0.0


def _freed(job: Job) -> Job:
    """The job as it goes back to pending: a new epoch, so that its old claim is stale from now on."""
    fields: Mapping[str, Json] = {
        name: value for name, value in job.fields.items() if name not in OF_THE_CLAIM
    }
    return replace(job, epoch=job.epoch + 1, fields={**fields, "last_worker_id": job.text("worker_id")})
