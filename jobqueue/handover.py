"""How jobs go out to workers and stay with them: claims, heartbeats, progress."""

import asyncio
import logging
from dataclasses import replace
from weakref import WeakValueDictionary

from jobqueue.clock import Clock
from jobqueue.errors import JobNotFound, JobUnreadable
from jobqueue.index import Entry
from jobqueue.job import (
    Claim,
    Delivery,
    Job,
    Json,
    Kind,
    Orders,
    Progress,
    WorkerReport,
)
from jobqueue.leases import ClaimTokens, Lease, Leases
from jobqueue.ledger import Ledger
from jobqueue.lifecycle import Event, State, next_state
from jobqueue.outcomes import Outcomes
from jobqueue.pauses import Pauses
from jobqueue.policy import QueuePolicy
from jobqueue.roster import Roster
from jobqueue.setbacks import Setbacks
from jobqueue.uninterrupted import uninterrupted
from jobqueue.waiters import Waiters
from jobqueue.wire import moment, timestamp

log = logging.getLogger(__name__)

DAY_S = 24 * 3600.0
UNREADABLE_S = 30.0
"""How long a job waits whose file could not be read, s."""
UNREADABLE_MAX = 3
"""As many in a row, and it is not a file that is odd but the disk."""


class Handover:
    """Hands jobs out, and keeps in touch with whoever has one."""

    def __init__(
        self,
        ledger: Ledger,
        outcomes: Outcomes,
        leases: Leases,
        tokens: ClaimTokens,
        roster: Roster,
        waiters: Waiters,
        pauses: Pauses,
        setbacks: Setbacks,
        clock: Clock,
        policy: QueuePolicy,
    ) -> None:
        self._ledger = ledger
        self._outcomes = outcomes
        self._leases = leases
        self._tokens = tokens
        self._roster = roster
        self._waiters = waiters
        self._pauses = pauses
        self._setbacks = setbacks
        self._clock = clock
        self._policy = policy
        self._claiming: WeakValueDictionary[tuple[Kind, str, str], asyncio.Lock] = WeakValueDictionary()

    # --- handing out

    async def claim(
        self, kind: Kind, worker: WorkerReport, claim_id: str | None, wait_s: float
    ) -> Delivery | None:
        self._roster.saw(kind, worker)
        deadline = self._clock.monotonic() + wait_s
        while True:
            self._setbacks.look()
            try:
                await self._outcomes.sweep(kind)
                delivery = await self._deliver_or_keep(kind, worker.worker_id, claim_id)
            except BaseException:
                self._waiters.wake(kind)  # the job that we were woken for must not wait for nobody
                raise
            left_s = deadline - self._clock.monotonic()
            if delivery is not None or left_s <= 0:
                return delivery
            held_back = self._pauses.holds_back(kind, worker.worker_id)
            due = None if held_back else self._ledger.indexes[kind].next_due(self._clock.now())
            soon_s = left_s if due is None else min(left_s, max(due - self._clock.now(), 0.01))
            if not await self._waiters.wait(kind, worker.worker_id, claim_id, soon_s, held_back=held_back):
                return None

    async def _deliver_or_keep(self, kind: Kind, worker_id: str, claim_id: str | None) -> Delivery | None:
        """As `_deliver`; for a caller that goes away meanwhile nothing is taken."""
        taken: list[Lease] = []
        try:
            return await uninterrupted(self._deliver_once(kind, worker_id, claim_id, taken))
        except asyncio.CancelledError:
            for lease in taken:
                await self._outcomes.hand_back(lease)
            raise

    async def _deliver_once(
        self, kind: Kind, worker_id: str, claim_id: str | None, taken: list[Lease]
    ) -> Delivery | None:
        """As `_deliver`; a claim repeated while it is still being served waits, and gets the same job."""
        if claim_id is None:
            return await self._deliver(kind, worker_id, None, taken)
        async with self._claiming.setdefault((kind, worker_id, claim_id), asyncio.Lock()):
            return await self._deliver(kind, worker_id, claim_id, taken)

    async def _deliver(
        self, kind: Kind, worker_id: str, claim_id: str | None, taken: list[Lease]
    ) -> Delivery | None:
        """The job this claim already has, else the next one that is ready, which is noted in `taken`."""
        if claim_id is not None:
            lease = self._leases.of_claim(kind, worker_id, claim_id)
            if lease is not None and self._outcomes.is_worked_on(lease):
                return self._delivery(lease)
        if self._pauses.holds_back(kind, worker_id):
            return None
        lease = await self._take_next(kind, worker_id, claim_id)
        if lease is None:
            return None
        taken.append(lease)
        return self._delivery(lease)

    async def _take_next(self, kind: Kind, worker_id: str, claim_id: str | None) -> Lease | None:
        """Take the next job; one whose own file cannot be read waits, and holds up nobody.

        Raises: QueueUnwritable.
        """
        index = self._ledger.indexes[kind]
        odd: list[tuple[Entry, Entry]] = []
        """Those that cannot be read: as they were in line, and as they wait now."""
        trouble: JobUnreadable | None = None
        while len(odd) < UNREADABLE_MAX and (entry := index.next_ready(self._clock.now())) is not None:
            async with self._ledger.lock(kind, entry.job_id):
                if index.get(entry.job_id) is not entry:
                    continue  # cancelled, or moved in another way, while we waited for the lock
                try:
                    lease = await self._take(entry, worker_id, claim_id)
                except JobUnreadable as error:
                    log.warning("%s; it is tried again later", error)
                    trouble = error
                    later = self._clock.now() + UNREADABLE_S
                    odd.append((entry, replace(entry, not_before=later, backs_off=True)))
                    index.put(odd[-1][1])
                else:
                    if lease is not None:
                        return lease
        if trouble is None or (len(odd) < UNREADABLE_MAX and trouble.is_of_the_file):
            return None
        if len(odd) < UNREADABLE_MAX:  # nothing else was there to tell whether it is the disk
            for before, waiting in odd:
                if index.get(before.job_id) is waiting:
                    index.put(before)
        raise trouble

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
        except JobUnreadable:
            raise
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
        # A person may have put it there, or the disk had no room for details when it was claimed.
        job = replace(job, fields={**job.fields, "worker_id": worker_id})
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
                await self._outcomes.hand_back(lease)
            return Orders()
        await self._outcomes.sweep(kind)
        held = [
            lease
            for lease in self._leases.of_worker(kind, worker.worker_id)
            if self._outcomes.is_worked_on(lease)
        ]
        for lease in held:
            if self._is_meant(lease, worker):
                self._renew(lease)
        thought = worker.current_job
        if thought is None or any(lease.job.id == thought for lease in held):
            return Orders()
        entry = self._ledger.indexes[kind].get(thought)
        if entry is not None and entry.state is State.CANCELLED:
            return Orders(cancel=frozenset({thought}))
        return Orders(lost=frozenset({thought}))

    def _is_meant(self, lease: Lease, worker: WorkerReport) -> bool:
        """Whether the heartbeat is about this lease.

        One that names a job is about no other: a worker may have died and come again under
        the same name, and what it had before must not live on.
        """
        if lease.claim_id is None or worker.current_job is None:
            return True  # a plain client tells nothing of its job
        return worker.current_job == lease.job.id

    async def progress(self, claim: Claim, progress: Progress) -> bool:
        """Whether a person has cancelled the job. Raises: JobNotFound, LeaseLost."""
        entry = self._ledger.entry(claim.kind, claim.job_id)
        if entry.state is State.CANCELLED and self._tokens.proves(claim, entry.epoch):
            return True
        await self._outcomes.sweep(claim.kind)
        async with self._ledger.lock(claim.kind, claim.job_id):
            lease = await self._outcomes.held(claim)
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


def _since(text: str, now: float) -> float:
    """Seconds from a time on record until `now`; 0 if it is none, or so odd that a clock must have jumped."""
    try:
        seconds = now - moment(text)
    except ValueError:
        return 0.0
    return seconds if 0 < seconds < DAY_S else 0.0
