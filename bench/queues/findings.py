"""All that one run of the bench found."""

from dataclasses import dataclass, field

from bench.queues.contestant import CROWD, Step
from bench.queues.pick_up import PickUp
from bench.queues.rates import Cell, Rates
from bench.queues.weight import Stall, Start

DISK, OURS, OVER_HTTP, NAIVE = "disk limit", "ours", "ours over HTTP", "naive directory"
HUEY, BULLMQ = "Huey, SQLite", "BullMQ, Redis"


@dataclass
class Findings:
    """What was not measured is None or empty."""

    depths: list[int]
    direct: Rates = field(default_factory=Rates)
    over_http: Rates = field(default_factory=Rates)
    pick_up: PickUp | None = None
    idle: Start | None = None
    full: Start | None = None
    stalls: list[Stall] = field(default_factory=list)

    @property
    def bytes_per_job(self) -> float | None:
        if self.idle is None or self.full is None:
            return None
        return (self.full.memory_kb - self.idle.memory_kb) * 1024 / self.depths[-1]


@dataclass(frozen=True, slots=True)
class Target:
    """A figure to reach, and whether it was; None: it was not measured."""

    wanted: str
    measured: str
    is_reached: bool | None


def targets(found: Findings) -> list[Target]:
    """The figures the queue promises, beside those of this run."""
    least, most = found.depths[0], found.depths[-1]
    rates = found.direct
    alone = Cell(OURS, most, 1, Step.ACCEPT)
    limit = Cell(DISK, most, 1, Step.ACCEPT)
    claim = Cell(OURS, most, 1, Step.CLAIM)
    lives = {name: Cell(name, least, CROWD, Step.LIFE) for name in (OURS, HUEY, BULLMQ)}
    return [
        _at_most(
            f"a claim at {most:,} pending costs at most 1.5 × one at {least:,}",
            rates.ratio(Cell(OURS, least, 1, Step.CLAIM), claim),
            1.5,
        ),
        _at_least(
            f"and at least 1,000 × less than the naive queue's at {most:,}",
            rates.ratio(claim, Cell(NAIVE, most, 1, Step.CLAIM)),
            1000,
        ),
        _at_least("accept, one client: at least 0.8 × the disk's rate", rates.ratio(alone, limit), 0.8),
        _at_least(
            f"accept, {CROWD} clients: at least 2 × that rate",
            rates.ratio(Cell(OURS, most, CROWD, Step.ACCEPT), limit),
            2,
        ),
        *(
            _at_least(
                f"a job's whole life, {CROWD} clients: ahead of {name}",
                rates.ratio(lives[OURS], lives[name]),
                1,
            )
            for name in (HUEY, BULLMQ)
        ),
        *_waits(found.pick_up),
        _seconds("no stall of the event loop over 50 ms", _longest(found.stalls), 0.05),
        _seconds(
            f"start with {most:,} jobs: first claim under 3 s",
            found.full.first_claim_s if found.full else None,
            3,
        ),
        _memory(found.bytes_per_job),
    ]


def _waits(pick_up: PickUp | None) -> list[Target]:
    return [
        _seconds(
            "pick-up over HTTP, 50 workers waiting: median under 20 ms",
            pick_up.median_s if pick_up else None,
            0.02,
        ),
        _seconds("the same: p99 under 100 ms", pick_up.p99_s if pick_up else None, 0.1),
    ]


def _longest(stalls: list[Stall]) -> float | None:
    return max((stall.seen.beyond_s for stall in stalls), default=None)


def _at_least(wanted: str, ratio: float | None, bound: float) -> Target:
    if ratio is None:
        return Target(wanted, "–", None)
    return Target(wanted, f"{ratio:,.2f} ×" if ratio < 100 else f"{ratio:,.0f} ×", ratio >= bound)


def _at_most(wanted: str, ratio: float | None, bound: float) -> Target:
    return Target(
        wanted, "–" if ratio is None else f"{ratio:.2f} ×", None if ratio is None else ratio <= bound
    )


def _seconds(wanted: str, seconds: float | None, bound: float) -> Target:
    if seconds is None:
        return Target(wanted, "–", None)
    measured = f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"
    return Target(wanted, measured, seconds < bound)


def _memory(size_bytes: float | None) -> Target:
    wanted = "memory above the idle bot: under 1 KB for each pending job"
    if size_bytes is None:
        return Target(wanted, "–", None)
    return Target(wanted, f"{size_bytes:.0f} bytes", size_bytes < 1024)
