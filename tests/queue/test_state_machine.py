"""Whatever is asked of a queue, in whatever order: it does what its model does, and its folders agree."""

import asyncio
import json
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from jobqueue.backend import Filter
from jobqueue.errors import InvalidTransition, JobExists, JobNotFound, LeaseLost
from jobqueue.job import Claim, Json, Kind, Progress, WorkerReport
from jobqueue.lifecycle import FINAL, State
from jobqueue.wire import timestamp
from tests.clock import FakeClock
from tests.queue.disk.room import room_in_memory
from tests.queue.engines import DirectoryEngine
from tests.queue.model import MAX_FAILURES, Key, Model, ModelJob, Token

T = TypeVar("T")
LINK: dict[str, Json] = {"gofile_link": "https://example.org/recording"}
AGE_S = 60.0
"""Old enough that a file dropped by hand is whole."""

indexes = st.integers(0, 10_000)
workers = st.sampled_from(["gpu-1", "gpu-2", "gpu_2"])
claim_ids = st.sampled_from([None, "c1", "c2", "c3"])
priorities = st.sampled_from([-1, 0, 0, 0, 1, 3])
names = st.sampled_from([f"j{number}" for number in range(6)])
kinds = st.sampled_from([Kind.AUDIO, Kind.AUDIO, Kind.AUDIO, Kind.VIDEO])
seconds = st.sampled_from([0.5, 1.0, 10.0, 14.0, 16.0, 89.0, 91.0, 400.0, 1801.0, 4000.0])
reports = st.sampled_from(["complete", "fail", "give up", "release", "progress"])


class QueueMachine(RuleBasedStateMachine):
    """The real queue on a real folder, and the model beside it."""

    def __init__(self) -> None:
        super().__init__()
        self._room = room_in_memory()
        self.room = self._room.__enter__()
        self.clock = FakeClock()
        self.runner = asyncio.Runner()
        self.engine = DirectoryEngine(self.room, self.clock)
        self.run(self.engine.open())
        self.model = Model(self.clock)
        self.tokens: list[Token] = []
        self.epochs: dict[Key, int] = {}
        self.claims = 0
        self.damaged = 0
        self.dropped = 0

    def teardown(self) -> None:
        self.run(self.engine.close())
        self.runner.close()
        self._room.__exit__(None, None, None)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    # --- jobs in

    @rule(name=names, priority=priorities, delay=st.sampled_from([None, None, None, 5.0, 50.0]))
    def add(self, name: str, priority: int, delay: float | None) -> None:
        self.clock.advance(0.25)
        record: dict[str, Json] = {"job_id": name, "script_text": f"script of {name}", "priority": priority}
        if delay is not None:
            record["not_before"] = timestamp(self.clock.now() + delay)
        key = Kind.AUDIO, name
        self.model.look_at_clock()
        view = self.run(self.engine.queue.enqueue(Kind.AUDIO, record))
        if key not in self.model.jobs:
            self.enter(key, view.job.created_at, priority, view.job.not_before)
        assert view.job.id == name

    @rule(name=names)
    def add_another_of_the_same_name(self, name: str) -> None:
        if (Kind.AUDIO, name) in self.model.jobs:
            self.model.look_at_clock()
            with pytest.raises(JobExists):
                self.run(self.engine.queue.enqueue(Kind.AUDIO, {"job_id": name, "script_text": "another"}))

    @rule(key=st.sampled_from(["k1", "k2"]))
    def add_with_an_idempotency_key(self, key: str) -> None:
        offer: dict[str, Json] = {"script_text": "by key"}
        self.model.look_at_clock()
        job = self.run(self.engine.queue.enqueue(Kind.AUDIO, offer, idempotency_key=key)).job
        if (Kind.AUDIO, job.id) not in self.model.jobs:
            self.enter((Kind.AUDIO, job.id), job.created_at, 0, None)
        assert self.run(self.engine.queue.enqueue(Kind.AUDIO, offer, idempotency_key=key)).job.id == job.id

    def enter(self, key: Key, created_at: float, priority: int, not_before: float | None) -> None:
        self.model.enter(ModelJob(key, created_at, priority, not_before or 0.0))

    @initialize(priority=priorities)
    def some_jobs_are_there(self, priority: int) -> None:
        for number in range(3):
            self.add(f"j{number}", priority if number == 1 else 0, None)

    # --- workers

    @rule(worker=workers, data=st.data())
    def a_worker_takes_a_job_and(self, worker: str, data: st.DataObject) -> None:
        """What happens most often, in one rule, so that most lives have much of it."""
        self.claims += 1
        self.claim(Kind.AUDIO, worker, f"fresh-{self.claims}")
        what = data.draw(
            st.sampled_from(["reports", "reports", "falls silent", "beats", "stands still", "works"])
        )
        if what == "reports":
            self.report(0, data.draw(reports), None)
        elif what == "falls silent":
            self.time_passes(91.0)
            self.tend()
        elif what == "stands still":
            self.heartbeat(Kind.AUDIO, worker, None)
            self.time_passes(1801.0)
        elif what == "beats":
            self.heartbeat(Kind.AUDIO, worker, None)

    @rule(kind=kinds, worker=workers, claim_id=claim_ids)
    def claim(self, kind: Kind, worker: str, claim_id: str | None) -> None:
        self.model.look_at_clock()
        delivery = self.run(self.engine.queue.claim(kind, WorkerReport(worker), claim_id=claim_id))
        self.model.look()
        self.model.sweep(kind)
        repeated = self.model.repeated(kind, worker, claim_id)
        ready = self.model.ready(kind)
        if delivery is None:
            assert repeated is None and ready == []
            return
        job = self.model.jobs[kind, delivery.job.id]
        if repeated is not None:
            assert job is repeated
        else:
            assert job in self.model.may_come(kind)
            in_turn = all(job.turn <= other.turn for other in ready)
            assert in_turn or self.model.was_set_back, "out of turn"
            self.model.claimed(job, worker, claim_id)
        assert (delivery.job.epoch, delivery.job.retry_count) == (job.epoch, job.retry_count)
        assert delivery.job.attempt <= MAX_FAILURES
        self.tokens.append(Token(job.key, worker, job.epoch, delivery.claim.token))

    @rule(kind=kinds, worker=workers, thought=st.none() | names)
    def heartbeat(self, kind: Kind, worker: str, thought: str | None) -> None:
        orders = self.run(self.engine.queue.heartbeat(kind, WorkerReport(worker, "busy", thought)))
        self.model.sweep(kind)
        for job in self.model.jobs.values():
            if job.key[0] is not kind or job.held is None or job.held.worker != worker:
                continue
            if thought is None or job.held.claim_id is None or job.key[1] == thought:
                self.model.renewed(job)
        about = self.model.jobs.get((kind, thought)) if thought else None
        is_held = about is not None and about.held is not None and about.held.worker == worker
        is_cancelled = about is not None and about.state is State.CANCELLED
        assert orders.cancel == ({thought} if is_cancelled else set())
        assert orders.lost == ({thought} if thought and not is_held and not is_cancelled else set())

    @rule(worker=workers)
    def farewell(self, worker: str) -> None:
        self.run(self.engine.queue.heartbeat(Kind.AUDIO, WorkerReport(worker, "offline")))
        for job in self.model.jobs.values():
            if job.key[0] is Kind.AUDIO and job.held is not None and job.held.worker == worker:
                self.model.handed_back(job)

    @precondition(lambda self: self.tokens)
    @rule(
        index=indexes,
        report=reports,
        forged=st.sampled_from([None, None, None, "none", "0", "1.beef", "name"]),
    )
    def report(self, index: int, report: str, forged: str | None) -> None:
        if not self.tokens:
            return
        token = self.chosen(index, forged)
        job = self.model.jobs.get(token.key)
        if report == "progress":
            if job is not None and not (job.state is State.CANCELLED and self.proves(token, job.epoch)):
                self.model.sweep(token.key[0])
        elif job is not None and self.model.holds(token) and self.model.is_over(job):
            self.model.expire(job)
            self.refused(token, report)
            return
        if job is None or not self.model.holds(token):
            self.stale(job, token, report)
        else:
            self.good(job, token, report)

    def chosen(self, index: int, forged: str | None) -> Token:
        # The latest claims are the interesting ones.
        given = self.tokens[-1 - index % min(len(self.tokens), 6)]
        if forged is None:
            return given
        if forged == "name":
            return Token(given.key, "gpu-9", given.epoch, given.token)
        return Token(given.key, given.worker, -1, None if forged == "none" else forged)

    @staticmethod
    def proves(token: Token, epoch: int) -> bool:
        return token.token is None or token.epoch == epoch

    def is_told_already(self, job: ModelJob, token: Token, report: str) -> bool:
        """Whether this is the repetition of a report that was taken: it gets its answer again."""
        if job.last_worker != token.worker:
            return False
        if report in ("fail", "give up", "release") and job.state is State.PENDING:
            return self.proves(token, job.epoch - 1)
        ended = {"complete": State.COMPLETED, "fail": State.FAILED, "give up": State.FAILED}.get(report)
        return job.state is ended and self.proves(token, job.epoch)

    def stale(self, job: ModelJob | None, token: Token, report: str) -> None:
        if job is None:
            with pytest.raises(JobNotFound):
                self.tell(token, report)
        elif report == "progress" and job.state is State.CANCELLED and self.proves(token, job.epoch):
            assert self.tell(token, report) is True
        elif self.is_told_already(job, token, report):
            self.tell(token, report)
        else:
            self.refused(token, report)

    def refused(self, token: Token, report: str) -> None:
        with pytest.raises(LeaseLost):
            self.tell(token, report)

    def good(self, job: ModelJob, token: Token, report: str) -> None:
        answer = self.tell(token, report)
        if report == "progress":
            assert answer is False
            self.model.renewed(job)
            assert job.held is not None
            job.held.moved_at = self.clock.monotonic()
        elif report == "complete":
            self.model.completed(job)
        elif report == "release":
            self.model.handed_back(job)
        else:
            self.model.failed(job, not_before=answer.not_before or 0.0, permanent=report == "give up")
            assert (answer.state, answer.retry_count) == (job.state, job.retry_count)

    def tell(self, token: Token, report: str) -> Any:
        claim = Claim(*token.key, token.worker, token.token)
        queue = self.engine.queue
        match report:
            case "complete":
                return self.run(queue.complete(claim, LINK))
            case "progress":
                return self.run(queue.progress(claim, Progress(50, f"at {self.clock.monotonic()}")))
            case "release":
                return self.run(queue.release(claim))
            case _:
                return self.run(queue.fail(claim, "no luck", permanent=report == "give up"))

    @precondition(lambda self: self.tokens)
    @rule(index=indexes)
    def complete_with_a_recording(self, index: int) -> None:
        token = self.tokens[-1 - index % min(len(self.tokens), 6)]
        job = self.model.jobs.get(token.key)
        if (
            job is None
            or token.key[0] is not Kind.AUDIO
            or not self.model.holds(token)
            or self.model.is_over(job)
        ):
            return
        path = self.run(self.engine.queue.get(*token.key)).job.organized_path
        self.run(self.engine.store(f"{path}/audio.wav", b"RIFF"))
        self.tell(token, "complete")
        self.model.completed(job)
        film = Kind.VIDEO, f"{job.key[1]}-video"
        if film not in self.model.jobs:
            born = self.run(self.engine.queue.get(*film)).job
            self.enter(film, born.created_at, job.priority, None)

    # --- people

    @precondition(lambda self: self.model.jobs)
    @rule(index=indexes, decision=st.sampled_from(["cancel", "retry", "reprioritize"]), priority=priorities)
    def decide(self, index: int, decision: str, priority: int) -> None:
        job = list(self.model.jobs.values())[index % len(self.model.jobs)]
        queue, key = self.engine.queue, job.key
        work: Callable[[], Coroutine[Any, Any, object]] = {
            "cancel": lambda: queue.cancel(*key, by="ann"),
            "retry": lambda: queue.retry(*key, by="ann"),
            "reprioritize": lambda: queue.reprioritize(*key, priority),
        }[decision]
        allowed = {
            "cancel": {State.PENDING, State.PROCESSING},
            "retry": {State.FAILED, State.CANCELLED},
            "reprioritize": {State.PENDING},
        }[decision]
        if job.state not in allowed:
            with pytest.raises(InvalidTransition):
                self.run(work())
            return
        self.run(work())
        if decision == "cancel":
            self.model.cancelled(job)
        elif decision == "retry":
            self.model.revived(job)
        else:
            job.priority = priority
            self.model.enter(job)

    # --- time, and the end of the process

    @rule(by_s=seconds)
    def time_passes(self, by_s: float) -> None:
        self.clock.advance(by_s)

    @rule(jump_s=st.sampled_from([-86_400.0, -3600.0, -10.0, 10.0, 3600.0]))
    def the_wall_clock_is_set(self, jump_s: float) -> None:
        self.clock.set_wall_clock(self.clock.now() + jump_s)

    @rule()
    def tend(self) -> None:
        self.model.look_at_clock()
        self.run(self.engine.tend())
        for kind in Kind:
            self.model.sweep(kind)

    @rule(killed=st.booleans())
    def restart(self, killed: bool) -> None:
        self.run(self.engine.restart(killed=killed))
        self.model.restarted()

    # --- hands in the folders

    def place(self, job: ModelJob) -> Path:
        name = f"{job.key[1]}.json"
        if job.held is not None:
            name = f"{job.held.worker}_{name}"
        return self.folder(job.key[0], job.state) / name

    def folder(self, kind: Kind, state: State) -> Path:
        return self.engine.data_dir / f"{kind}-queue" / state

    @precondition(lambda self: any(job.state is State.PENDING for job in self.model.jobs.values()))
    @rule(
        index=indexes,
        data=st.sampled_from([b"", b"{", b"\0" * 50, b"[]", b'{"epoch": "x"}']),
        how=st.booleans(),
    )
    def a_file_is_damaged(self, index: int, data: bytes, how: bool) -> None:
        """It is set aside when somebody comes by it, or at the next start; nothing else is touched."""
        waiting = [job for job in self.model.jobs.values() if job.state is State.PENDING]
        job = waiting[index % len(waiting)]
        self.place(job).write_bytes(data)
        del self.model.jobs[job.key]
        self.epochs.pop(job.key, None)
        self.damaged += 1
        if how:
            with pytest.raises(JobNotFound):
                self.run(self.engine.queue.get(*job.key))
        else:
            self.restart(killed=True)

    @rule(restarted=st.booleans())
    def a_job_is_dropped_by_hand(self, restarted: bool) -> None:
        self.dropped += 1
        name = f"dropped-{self.dropped}"
        aside = self.engine.data_dir / "tmp" / name
        aside.write_text(json.dumps({"script_text": name}))
        os.utime(aside, (aside.stat().st_mtime - AGE_S,) * 2)
        aside.rename(self.folder(Kind.AUDIO, State.PENDING) / f"{name}.json")
        if restarted:
            self.restart(killed=False)
        else:
            self.run(self.engine.queue.rescan())
        job = self.run(self.engine.queue.get(Kind.AUDIO, name)).job
        self.enter((Kind.AUDIO, name), job.created_at, 0, None)

    @precondition(lambda self: any(job.state in FINAL for job in self.model.jobs.values()))
    @rule(index=indexes)
    def an_ended_job_is_put_back_by_hand(self, index: int) -> None:
        ended = [job for job in self.model.jobs.values() if job.state in FINAL and job.key[0] is Kind.AUDIO]
        if not ended:
            return
        job = ended[index % len(ended)]
        self.place(job).rename(self.folder(Kind.AUDIO, State.PENDING) / f"{job.key[1]}.json")
        self.run(self.engine.queue.rescan())
        job.last_worker = None
        self.model.revived(job)
        job.created_at = self.run(self.engine.queue.get(*job.key)).job.created_at
        self.model.enter(job)

    # --- what holds, always

    @invariant()
    def the_queue_says_what_the_model_says(self) -> None:
        for kind in Kind:
            listed = self.run(self.engine.queue.jobs(Filter(kind), limit=500)).jobs
            told = {
                view.job.id: (view.state, view.job.epoch, view.job.retry_count, view.job.priority)
                for view in listed
            }
            mine = [job for job in self.model.jobs.values() if job.key[0] is kind]
            assert told == {job.key[1]: (job.state, job.epoch, job.retry_count, job.priority) for job in mine}
            counts = self.engine.queue.stats(kind)
            for state in State:
                assert counts[state] == sum(job.state is state for job in mine)
        self.model.look()

    @invariant()
    def each_job_is_one_whole_file_in_the_folder_of_its_state(self) -> None:
        found = []
        for kind in Kind:
            for state in State:
                for path in self.folder(kind, state).iterdir():
                    assert json.loads(path.read_bytes())["job_id"] == path.stem.rpartition("_")[2]
                    found.append(path)
        assert sorted(found) == sorted(self.place(job) for job in self.model.jobs.values())
        assert len(list((self.engine.data_dir / "corrupt").iterdir())) == self.damaged

    @invariant()
    def epochs_only_grow_and_deliveries_are_few(self) -> None:
        for key, job in self.model.jobs.items():
            assert job.epoch >= self.epochs.get(key, 0)
            assert job.retry_count <= MAX_FAILURES
            self.epochs[key] = job.epoch


BOUNDED = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # shrinking takes minutes; the long test does it
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


def test_the_queue_does_what_its_model_does() -> None:
    run_state_machine_as_test(QueueMachine, settings=BOUNDED)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_the_queue_does_what_its_model_does_in_thousands_of_other_lives() -> None:
    run_state_machine_as_test(
        QueueMachine,
        settings=settings(
            BOUNDED,
            max_examples=3000,
            stateful_step_count=80,
            derandomize=False,
            phases=[Phase.generate, Phase.shrink],
        ),
    )
