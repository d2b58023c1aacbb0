"""Ten minutes in which everything breaks that can, and then the accounts: nothing lost, nothing twice.

    python -m tests.hardship.soak      (or `make soak`; SOAK_MINUTES=10)

The real bot with fake workers, customers and a stand-in for Telegram. Exit status: 0 if the books balance.
"""

import asyncio
import os
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from jobqueue.client import Connection
from jobqueue.errors import QueueUnreachable
from jobqueue.job import Kind
from jobqueue.lifecycle import State
from tests.hardship.books import balance, late, news
from tests.hardship.claims import look
from tests.hardship.customers import FIRST_CHAT, Customers
from tests.hardship.cutting_proxy import CuttingProxy
from tests.hardship.mischief import LEASE_S, STOP, Mischief
from tests.system.machine import KEY, Machine
from tests.telegram_peer import Peer

WORKERS, CUSTOMERS, CHATS = 6, 2, 4000
DRAIN_S = 300.0


async def main(minutes: float, folder: Path) -> int:
    machine, notes, customers = Machine(folder / "data"), folder / "notes", Customers()
    (folder / "tests/hardship").mkdir(parents=True)  # where the logs of the fake workers go
    async with Peer() as peer, CuttingProxy(machine.port) as proxy:
        for number in range(CHATS):
            peer.person(FIRST_CHAT + number)
        machine.settings = settings(peer)
        mischief = Mischief(machine, proxy, notes, WORKERS)
        try:
            await mischief.begin()
            await trouble(customers, mischief, machine, proxy, minutes)
            faults = await drained(machine)
            status = await mischief.end()
            faults += mischief.faults + [f"the bot ended with status {status}"] * (status != 0)
        finally:
            await machine.end()
        faults += balance(machine.data_dir, customers, notes) + news(peer, customers, machine.data_dir)
    faults += late(notes, mischief.done[STOP])
    tell(mischief, proxy, customers, machine.data_dir, notes)
    print(*(faults or ["the books balance"]), sep="\n")
    return int(bool(faults))


def settings(peer: Peer) -> dict[str, str]:
    return {
        "BOT_TOKEN": peer.token,
        "TELEGRAM_API_URL": peer.url,
        "LEASE_SECONDS": str(LEASE_S),
        "MAX_RETRIES": "6",
        "RETRY_BASE_SECONDS": "0.2",
        "RETRY_CAP_SECONDS": "1",
        "LOG_LEVEL": "warning",
    }


async def trouble(
    customers: Customers, mischief: Mischief, machine: Machine, proxy: CuttingProxy, minutes: float
) -> None:
    """Customers come and things break for as long as was asked."""
    parts, stop, url = max(1, round(minutes)), asyncio.Event(), f"http://127.0.0.1:{proxy.port}"
    async with Connection(url, KEY) as connection, asyncio.TaskGroup() as group:
        for _ in range(CUSTOMERS):
            group.create_task(customers.come(connection, stop))
        group.create_task(mischief.run(stop))
        for minute in range(1, parts + 1):
            await asyncio.sleep(60 * minutes / parts)
            print(
                f"minute {minute}: {len(customers.claims.accepted)} accepted, {mischief.done.total()} deeds",
                flush=True,
            )
        stop.set()


async def drained(machine: Machine) -> list[str]:
    """Wait until nothing waits, nothing runs and nothing is owed; the workers go on meanwhile."""
    left: dict[str, int] = {}
    async with Connection(machine.url, KEY) as connection:
        for _ in range(round(DRAIN_S)):
            await asyncio.sleep(1)
            try:
                stats = [(await connection.call("GET", f"/queue/{kind}/stats"))[1] for kind in Kind]
            except QueueUnreachable:
                continue
            left = {
                state: sum(int(str(each[state])) for each in stats) for state in ("pending", "processing")
            }
            left["owed"] = len(list((machine.data_dir / "outbox").glob("*.json")))
            if not any(left.values()):
                return []
    return [f"not drained within {DRAIN_S:.0f} s: {left}"]


def tell(mischief: Mischief, proxy: CuttingProxy, customers: Customers, data_dir: Path, notes: Path) -> None:
    for deed, times in sorted(mischief.done.items()):
        print(f"{times:5} × {deed}")
    print(f"{proxy.cuts:5} connections cut")
    words = Counter(line.split()[0] for line in notes.read_text().splitlines())
    print(f"completions: {words['completed']} taken, {words['refused']} refused as another's")
    print(f"{len(customers.claims.accepted)} acknowledged of {len(customers.attempted)} that were sent")
    for kind in Kind:
        found = look(data_dir, kind)
        print(f"{kind}:", ", ".join(f"{found.count(state)} {state}" for state in State))


if __name__ == "__main__":
    work_dir = Path(tempfile.mkdtemp(prefix="scriptreel-soak-"))
    status = asyncio.run(main(float(os.environ.get("SOAK_MINUTES") or 10), work_dir))
    if status == 0:
        shutil.rmtree(work_dir)
    else:
        print(f"all is left as it was in {work_dir}")
    sys.exit(status)
