"""Accept, claim, complete and the whole life per second: all queues at all depths, in turns.

Each round asks every one of them, so a machine that is slow for a minute is slow for all;
the figures are medians of the rounds, the ratios medians of the rounds' ratios.
"""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.queues.contestant import CROWD, Act, Contestant, Step
from bench.queues.pace import life, pace

ALONE_TIMES, CROWD_TIMES = 60, 320
BUDGET_S = 1.0
TOO_SLOW = 20.0
"""Claims per second by one client, below which a crowd is not tried: each would wait for seconds."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure of the table."""

    name: str
    pending: int
    clients: int
    step: Step


@dataclass
class Rates:
    """Per second, one figure for each round."""

    rounds: dict[Cell, list[float]] = field(default_factory=lambda: defaultdict(list))

    def median(self, cell: Cell) -> float | None:
        found = self.rounds.get(cell)
        return statistics.median(found) if found else None

    def ratio(self, cell: Cell, other: Cell) -> float | None:
        """How many times `other` the first is; compared round by round."""
        pairs = list(zip(self.rounds.get(cell, []), self.rounds.get(other, []), strict=False))
        return statistics.median(mine / theirs for mine, theirs in pairs) if pairs else None


@dataclass(frozen=True, slots=True)
class Entrant:
    """A contestant at one depth."""

    contestant: Contestant
    pending: int


async def race(entrants: Sequence[Entrant], *, rounds: int, clients: Sequence[int]) -> Rates:
    rates = Rates()
    for number in range(rounds):
        shift = number % len(entrants)
        for entrant in [*entrants[shift:], *entrants[:shift]]:
            for crowd in clients:
                await _turn(entrant, crowd, rates)
    return rates


async def _turn(entrant: Entrant, clients: int, rates: Rates) -> None:
    contestant, acts = entrant.contestant, entrant.contestant.acts()
    if clients > 1 and (rates.median(_cell(entrant, 1, Step.CLAIM)) or TOO_SLOW) < TOO_SLOW:
        return
    times = CROWD_TIMES if clients == CROWD else ALONE_TIMES * clients
    plan: list[tuple[Step, Act | None]] = [(step, acts.get(step)) for step in (Step.ACCEPT, Step.CLAIM)]
    for step, act in plan:
        if act is not None:
            taken = await pace(act, clients=clients, times=times, budget_s=BUDGET_S)
            rates.rounds[_cell(entrant, clients, step)].append(taken.per_second)
            times = taken.done if step is Step.CLAIM else times
    if Step.COMPLETE in acts:  # as many as were claimed, however long it takes
        taken = await pace(acts[Step.COMPLETE], clients=clients, times=times, budget_s=float("inf"))
        rates.rounds[_cell(entrant, clients, Step.COMPLETE)].append(taken.per_second)
    whole = life(acts)
    if whole is not None:
        taken = await pace(whole, clients=clients, times=CROWD_TIMES // 2, budget_s=BUDGET_S)
        rates.rounds[Cell(contestant.name, entrant.pending, clients, Step.LIFE)].append(taken.per_second)


def _cell(entrant: Entrant, clients: int, step: Step) -> Cell:
    return Cell(entrant.contestant.name, entrant.pending, clients, step)
