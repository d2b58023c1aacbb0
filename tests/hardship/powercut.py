"""Cuts the power of a disk under a busy queue and counts what was acknowledged and is gone.

    python -m tests.hardship.powercut      (or `make powercut`; needs root and a loop device; CUTS=8)

Beside the queue, as the control, a program that syncs nothing: if it loses nothing, the rig is no rig.
Exit status: 0 if the queue lost nothing and the control did.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from jobqueue.clock import SystemClock
from jobqueue.directory import DirectoryQueue
from tests.hardship.busy_queue import READY
from tests.hardship.claims import Claims, look
from tests.hardship.mortal_disk import MortalDisk, NoSuchPower
from tests.profiles import PlainProfiles
from tests.system.machine import ROOT

MODES = ("accept", "complete", "fail", "all")
EARLIEST_S, LATEST_S = 0.5, 3.5
"""Before the kernel would have written everything back by itself."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one cut left."""

    accepted: int
    ended: int
    broken: list[str]


def one_cut(program: str, *arguments: str) -> Outcome:
    """Run the program on a fresh disk, cut, reboot, look."""
    with MortalDisk() as disk:
        data_dir = disk.root / "data"
        claims = Claims()
        command = [sys.executable, "-m", f"tests.hardship.{program}", str(data_dir), *arguments]
        child = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        cut_after_s = random.uniform(EARLIEST_S, LATEST_S)
        try:
            said = _listen(child, disk, cut_after_s)
        finally:
            child.kill()
            child.wait()
        claims.read(said)
        disk.power_off()
        disk.power_on()
        if program != "naive_queue":
            asyncio.run(_start(data_dir))
        return Outcome(len(claims.accepted), len(claims.final), claims.broken(look(data_dir)))


def _listen(child: "subprocess.Popen[str]", disk: MortalDisk, cut_after_s: float) -> list[str]:
    """What the program said until the cut, and whatever it dared to say after it."""
    assert child.stdout is not None
    while not (line := child.stdout.readline()).startswith(READY):
        if not line:
            raise RuntimeError("the program ended before it began")
    # A pipe holds too little for all it says: it is emptied while we wait.
    return asyncio.run(_cut_while_reading(child, disk, cut_after_s))


async def _cut_while_reading(
    child: "subprocess.Popen[str]", disk: MortalDisk, cut_after_s: float
) -> list[str]:
    assert child.stdout is not None
    reading = asyncio.ensure_future(asyncio.to_thread(child.stdout.readlines))
    await asyncio.sleep(cut_after_s)
    disk.cut()
    await asyncio.sleep(0.2)
    child.kill()
    return await reading


async def _start(data_dir: Path) -> None:
    queue = DirectoryQueue(data_dir, PlainProfiles(), SystemClock())
    await queue.open()
    await queue.close()


def main(cuts: int) -> int:
    lost = 0
    for number in range(cuts):
        mode = MODES[number % len(MODES)]
        outcome = one_cut("busy_queue", mode)
        lost += _tell(f"queue, {mode}", outcome)
    control = sum(_tell("control, no sync", one_cut("naive_queue")) for _ in range(2))
    if control == 0:
        print("the control lost nothing: this rig cannot tell a careful queue from a careless one")
    print(f"acknowledged and lost, damaged or undone: {lost} of the queue's, {control} of the control's")
    return int(lost > 0 or control == 0)


def _tell(who: str, outcome: Outcome) -> int:
    print(
        f"{who:18} {outcome.accepted:6} accepted {outcome.ended:6} ended {len(outcome.broken):6} broken",
        *outcome.broken[:5] if who.startswith("queue") else (),
        sep="\n    " if outcome.broken and who.startswith("queue") else "",
        flush=True,
    )
    return len(outcome.broken)


if __name__ == "__main__":
    os.umask(0o077)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # an exit that unmounts what is mounted
    try:
        sys.exit(main(int(os.environ.get("CUTS") or 8)))
    except NoSuchPower as error:
        sys.exit(f"this machine has no disk to cut the power of: {error}")
