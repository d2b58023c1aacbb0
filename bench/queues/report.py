"""The findings as Markdown, for the terminal and for docs/benchmarks.md."""

import os
import platform
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from bench.queues.contestant import Step
from bench.queues.findings import Findings, targets
from bench.queues.rates import Cell, Rates

TITLE = "## The queue: `make bench-queue`"
REACHED = {True: "yes", False: "**no**", None: "not measured"}


def report(found: Findings, *, rounds: int, folder: Path) -> str:
    """The whole section, title and all."""
    parts = [
        TITLE,
        f"{_machine(folder)}\nMedians of {rounds} rounds in which all take turns; ratios are medians of the "
        "rounds' ratios. The machine is shared: trust the ratios\nmore than the rates.",
        _table(
            ["Figure to reach", "Measured", "Reached"],
            [[target.wanted, target.measured, REACHED[target.is_reached]] for target in targets(found)],
        ),
        _rates(found),
        _weights(found),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def write_section(document: Path, section: str) -> None:
    """Put the section into the document in place of the last run's; the rest of it stays."""
    text = document.read_text(encoding="utf-8") if document.exists() else "# Benchmarks\n"
    before, found, rest = text.partition(TITLE)
    after = rest.partition("\n## ")
    kept = f"\n{after[1].lstrip()}{after[2]}" if found and after[1] else ""
    document.write_text(f"{before.rstrip()}\n\n{section}{kept}", encoding="utf-8")


def _rates(found: Findings) -> str:
    depths = " / ".join(_short(depth) for depth in found.depths)
    clients = sorted({cell.clients for rates in (found.direct, found.over_http) for cell in rates.rounds})
    tables = [
        _table(
            [f"{crowd} client{'s' * (crowd > 1)}, per second", "accept", "claim", "complete", "whole life"],
            [
                [name, *(_figures(rates, name, crowd, step, found.depths) for step in Step)]
                for rates in (found.direct, found.over_http)
                for name in dict.fromkeys(cell.name for cell in rates.rounds)
            ],
        )
        for crowd in clients
    ]
    if not tables:
        return ""
    return f"With {depths} jobs pending:\n\n" + "\n\n".join(tables)


def _figures(rates: Rates, name: str, clients: int, step: Step, depths: Sequence[int]) -> str:
    found = [rates.median(Cell(name, depth, clients, step)) for depth in depths]
    if not any(found):
        return ""
    return " / ".join(
        "–" if rate is None else f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}" for rate in found
    )


def _weights(found: Findings) -> str:
    rows = []
    if found.idle is not None and found.full is not None:
        rows += [
            ["bot started, no job: first answer", f"{found.idle.first_claim_s:.2f} s"],
            [f"bot started, {found.depths[-1]:,} jobs: first claim", f"{found.full.first_claim_s:.2f} s"],
            ["memory, no job", f"{found.idle.memory_kb / 1024:.0f} MiB"],
            [f"memory, {found.depths[-1]:,} jobs", f"{found.full.memory_kb / 1024:.0f} MiB"],
        ]
    for stall in found.stalls:
        late, beyond, busy = (
            f"{seconds * 1000:.0f} ms"
            for seconds in (stall.seen.late_s, stall.seen.beyond_s, stall.seen.busy_s)
        )
        figures = f"{late}; {beyond} beyond an idle loop's beside it; its own work at most {busy}"
        rows.append([f"longest stall of the loop, {stall.doing}", figures])
    return _table(["The whole bot", ""], rows) if rows else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _short(number: int) -> str:
    return f"{number // 1000}k" if number >= 1000 and number % 1000 == 0 else str(number)


def _machine(folder: Path) -> str:
    names = ("huey", "persist-queue", "bullmq", "aiohttp")
    versions = [f"{name} {metadata.version(name)}" for name in names if _is_installed(name)]
    redis = _redis_version()
    versions += [f"SQLite {sqlite3.sqlite_version}", *([f"Redis {redis}"] if redis else [])]
    return (
        f"{time.strftime('%d %b %Y', time.gmtime())}: {os.cpu_count()} cores of a {platform.machine()} "
        f"machine, {platform.system()} {platform.release().split('-')[0]}, {_disk(folder)};\n"
        f"Python {platform.python_version()}, {', '.join(versions)}."
    )


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _redis_version() -> str:
    if shutil.which("redis-server") is None:
        return ""
    said = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=False).stdout
    return said.partition("v=")[2].split(" ")[0]


def _disk(folder: Path) -> str:
    """The file system below the bench, such as `ext4 on vda`."""
    here = folder.stat().st_dev
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[2] == f"{os.major(here)}:{os.minor(here)}":
            kind, source = line.split(" - ")[1].split()[:2]
            return f"{kind} on {Path(source).name}"
    return "an unknown disk"
