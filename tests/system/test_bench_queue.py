"""The queue's bench measures, and keeps what others wrote in its document."""

import asyncio
import sys
from pathlib import Path

from bench.queues.contestant import CROWD, Step
from bench.queues.findings import DISK, OURS, Findings, targets
from bench.queues.rates import Cell, Rates
from bench.queues.report import TITLE, write_section
from tests.system.machine import ROOT


async def test_a_short_run_tells_our_rates_beside_the_disks() -> None:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.queues", "--only", "disk,ours", "--pending", "20", "--rounds", "1"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await child.communicate()
    assert child.returncode == 0
    assert "| disk limit | " in said.decode() and "| ours | " in said.decode()
    assert "written into" not in said.decode()  # a partial run leaves the document alone


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    alone, disk = (Cell(name, 1000, 1, Step.ACCEPT) for name in (OURS, DISK))
    rates = Rates({alone: [90.0, 10.0, 500.0], disk: [100.0, 10.0, 1000.0]})  # a machine that stutters
    assert rates.ratio(alone, disk) == 0.9
    reached = {target.wanted: target.is_reached for target in targets(Findings([1000], rates))}
    assert reached["accept, one client: at least 0.8 × the disk's rate"]
    assert reached[f"accept, {CROWD} clients: at least 2 × that rate"] is None


def test_a_new_section_takes_the_place_of_the_old_one_alone(tmp_path: Path) -> None:
    document = tmp_path / "benchmarks.md"
    document.write_text("# Benchmarks\n\nThe first.\n")
    write_section(document, f"{TITLE}\n\nold\n")
    document.write_text(document.read_text() + "\n## Another\n\nkept\n")
    write_section(document, f"{TITLE}\n\nnew\n")
    assert document.read_text() == f"# Benchmarks\n\nThe first.\n\n{TITLE}\n\nnew\n\n## Another\n\nkept\n"
