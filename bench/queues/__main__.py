"""The queue's bench: ours, the disk, and others, side by side in one run.

    python -m bench.queues [--quick] [--only disk,ours] [--pending 1000,10000,100000]

A whole run writes its table into docs/benchmarks.md; a partial one prints it.
"""

import argparse
import asyncio
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.queues.contestant import CROWD, Contestant
from bench.queues.disk import Disk
from bench.queues.findings import Findings
from bench.queues.naive import Naive
from bench.queues.ours import Ours
from bench.queues.ours_http import OursOverHttp
from bench.queues.pick_up import pick_up
from bench.queues.rates import Entrant, Rates, race
from bench.queues.report import report, write_section
from bench.queues.weight import stalls, start

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENT = ROOT / "docs/benchmarks.md"
DIRECT: dict[str, Callable[[], Contestant]] = {"disk": Disk, "ours": Ours, "naive": Naive}
OF_THE_BOT = ("http", "pick-up", "weight", "stalls")


@dataclass(frozen=True)
class Extent:
    """How much is measured."""

    parts: frozenset[str]
    depths: list[int]
    rounds: int
    clients: list[int]
    pick_ups: int
    stall_s: float


def peers() -> dict[str, Callable[[], Contestant]]:
    """The other queues, as far as they are installed."""
    found: dict[str, Callable[[], Contestant]] = {}
    try:
        from bench.queues.bullmq_redis import BullMq  # noqa: PLC0415  bench-only libraries
        from bench.queues.huey_sqlite import Huey  # noqa: PLC0415
        from bench.queues.persist import PersistFiles, PersistSqlite  # noqa: PLC0415
    except ImportError as error:
        print(f"without the other queues: {error}; `make bench-queue` installs them")
        return found
    found |= {"huey": Huey, "persist-sqlite": PersistSqlite, "persist-files": PersistFiles}
    if BullMq.is_there():
        found["bullmq"] = BullMq
    else:
        print("without BullMQ: there is no redis-server")
    return found


async def main(extent: Extent, folder: Path) -> Findings:
    found = Findings(extent.depths)
    direct = {name: each for name, each in {**DIRECT, **peers()}.items() if name in extent.parts}
    if direct:
        found.direct = await _race(list(direct.values()), extent, folder / "direct")
    if "http" in extent.parts:
        found.over_http = await _race([OursOverHttp], extent, folder / "http")
    if "pick-up" in extent.parts:
        with _new(folder / "pick-up") as place:
            found.pick_up = await pick_up(place, extent.pick_ups)
    if "weight" in extent.parts:
        with _new(folder / "idle") as idle, _new(folder / "full") as full:
            found.idle, found.full = await start(idle, 0), await start(full, extent.depths[-1])
    if "stalls" in extent.parts:
        with _new(folder / "stalls") as place:
            found.stalls = await stalls(place, extent.depths[-1], extent.stall_s)
    return found


async def _race(makers: Sequence[Callable[[], Contestant]], extent: Extent, folder: Path) -> Rates:
    entrants: list[Entrant] = []
    with _new(folder):
        for pending in extent.depths:
            for make in makers:
                contestant = make()
                print(f"fills {contestant.name} with {pending:,} jobs", flush=True)
                place = folder / f"{len(entrants)}"
                place.mkdir()
                await contestant.open(place, pending)
                entrants.append(Entrant(contestant, pending))
        try:
            await asyncio.to_thread(os.sync)  # what filling left unwritten must not slow the first round
            print("measures", flush=True)
            return await race(entrants, rounds=extent.rounds, clients=extent.clients)
        finally:
            for entrant in entrants:
                await entrant.contestant.close()


@contextmanager
def _new(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    yield folder


def extent_of(arguments: Sequence[str] | None = None) -> tuple[Extent, bool]:
    """What the command line asks for, and whether it is the whole."""
    names = [*DIRECT, "huey", "persist-sqlite", "persist-files", "bullmq", *OF_THE_BOT]
    parser = argparse.ArgumentParser(prog="python -m bench.queues", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two short rounds, at most 10,000 pending")
    parser.add_argument("--only", default=",".join(names), help=f"some of {', '.join(names)}")
    parser.add_argument("--pending", default="", help="depths, such as 1000,100000")
    parser.add_argument("--clients", default=f"1,{CROWD}", help=f"1, {CROWD}, or both")
    parser.add_argument("--rounds", type=int, default=0)
    said = parser.parse_args(arguments)
    parts = frozenset(said.only.split(","))
    if unknown := parts - set(names):
        parser.error(f"--only knows no {', '.join(sorted(unknown))}")
    pending = said.pending or ("1000,10000" if said.quick else "1000,10000,100000")
    extent = Extent(
        parts,
        sorted(int(depth) for depth in pending.split(",")),
        said.rounds or (2 if said.quick else 7),
        sorted(int(number) for number in said.clients.split(",")),
        pick_ups=100 if said.quick else 300,
        stall_s=4 if said.quick else 15,
    )
    is_whole = parts == set(names) and not (said.quick or said.pending or said.rounds)
    return extent, is_whole and extent.clients == [1, CROWD]


if __name__ == "__main__":
    os.umask(0o077)
    extent, is_whole = extent_of()
    with tempfile.TemporaryDirectory(prefix="scriptreel-bench-", dir=ROOT) as work_dir:
        section = report(
            asyncio.run(main(extent, Path(work_dir))), rounds=extent.rounds, folder=Path(work_dir)
        )
    print(f"\n{section}")
    if is_whole:
        write_section(DOCUMENT, section)
        print(f"written into {DOCUMENT.relative_to(ROOT)}")
