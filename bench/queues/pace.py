"""How often per second some clients can take a step."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bench.queues.contestant import Act, Step


@dataclass(frozen=True, slots=True)
class Pace:
    """What was done, and in what time."""

    done: int
    taken_s: float

    @property
    def per_second(self) -> float:
        return self.done / self.taken_s


async def pace(act: Act, *, clients: int, times: int, budget_s: float) -> Pace:
    """Let the clients take the step `times` times in all; no client begins one after `budget_s`."""
    turns = iter(range(times))
    begun = time.perf_counter()

    def goes_on() -> bool:
        return time.perf_counter() - begun < budget_s and next(turns, None) is not None

    if inspect.iscoroutinefunction(act):
        done = sum(await asyncio.gather(*(_take_turns(act, goes_on) for _ in range(clients))))
    elif clients == 1:
        done = _take_turns_blocking(act, goes_on)
    else:
        with ThreadPoolExecutor(clients) as threads:
            done = sum(threads.map(lambda _: _take_turns_blocking(act, goes_on), range(clients)))
    return Pace(done, time.perf_counter() - begun)


async def _take_turns(act: Callable[[], Awaitable[None]], goes_on: Callable[[], bool]) -> int:
    done = 0
    while goes_on():
        await act()
        done += 1
    return done


def _take_turns_blocking(act: Act, goes_on: Callable[[], bool]) -> int:
    done = 0
    while goes_on():
        act()
        done += 1
    return done


def life(acts: Mapping[Step, Act]) -> Act | None:
    """A job's whole life in this queue as one step; None for what is no queue."""
    steps = [acts[step] for step in (Step.ACCEPT, Step.CLAIM, Step.COMPLETE) if step in acts]
    if len(steps) < 2:
        return None
    if not inspect.iscoroutinefunction(steps[0]):

        def blocking() -> None:
            for step in steps:
                step()

        return blocking

    async def flowing() -> None:
        for step in steps:
            found = step()
            if found is not None:
                await found

    return flowing
