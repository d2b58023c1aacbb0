"""A process that stood still, with its machine or by a signal, lets nobody pay for it."""

import pytest

from jobqueue.job import Job, Kind
from jobqueue.leases import Lease, Leases
from jobqueue.stalls import SLACK_S, TICK_S, Stalls
from tests.clock import FakeClock

LEASE_S = 90.0
STUCK_S = 30 * 60.0


@pytest.fixture
def stalls(clock: FakeClock) -> Stalls:
    return Stalls(clock.monotonic)


def held(leases: Leases, clock: FakeClock) -> Lease:
    now = clock.monotonic()
    job = Job("j1", Kind.AUDIO, created_at=clock.now(), fields={})
    lease = Lease(Kind.AUDIO, job, "gpu-1", "c1", now, now + LEASE_S, now)
    leases.grant(lease)
    return lease


def test_a_process_that_ticks_has_lost_nothing(stalls: Stalls, clock: FakeClock) -> None:
    for _ in range(10):
        stalls.tick()
        clock.advance(TICK_S + SLACK_S)
        assert stalls.lost_s() == 0


def test_time_lost_is_told_once(stalls: Stalls, clock: FakeClock) -> None:
    stalls.tick()
    clock.advance(25)
    assert (stalls.lost_s(), stalls.lost_s()) == (25, 0)


def test_who_does_not_tick_has_not_stalled(stalls: Stalls, clock: FakeClock) -> None:
    clock.advance(25)
    assert stalls.lost_s() == 0


@pytest.mark.parametrize("lost_s", [LEASE_S + 1, 2 * STUCK_S])
def test_no_lease_ends_by_a_stall_and_each_ends_after_it(
    stalls: Stalls, clock: FakeClock, lost_s: float
) -> None:
    """Neither as silent nor as stuck; whoever looks first, before the next tick."""
    leases = Leases(STUCK_S, stalls)
    lease = held(leases, clock)
    stalls.tick()
    clock.advance(lost_s)
    assert leases.why_over(lease, clock.monotonic()) is None
    assert leases.expired(clock.monotonic()) == []
    stalls.tick()
    for _ in range(int(LEASE_S)):
        assert leases.expired(clock.monotonic()) == []
        clock.advance(1)
        stalls.tick()
    assert [each for each, _ in leases.expired(clock.monotonic())] == [lease]
