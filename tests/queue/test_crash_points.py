"""Whatever instant the process or the machine dies at: what was answered holds, and the queue goes on.

One life of the queue is recorded, call by call. Then its disk is laid out as a crash after the
first, the second, the third change would have left it, and a new queue is opened on that.
Two ways to die: the process is killed (all it did is there), or the power is cut (what was not
forced to the disk is there or not, see `disk.image`).
"""

import asyncio
import json
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pytest

from jobqueue.directory import DirectoryQueue
from jobqueue.job import Json, Kind, WorkerReport
from jobqueue.lifecycle import State
from tests.clock import FakeClock
from tests.profiles import PlainProfiles
from tests.queue.disk.image import (
    Chance,
    Change,
    Fate,
    Files,
    Image,
    NamesOnly,
    NothingElse,
    Written,
    lay_out,
)
from tests.queue.disk.life import LINK, RECORDING, Key, Life, Seen, Told, everything, seen
from tests.queue.disk.recording import Recording
from tests.queue.disk.room import room_in_memory

A_WEEK_S = 7 * 24 * 3600.0
EVERY = 97
"""Of so many power cuts, the start after one is cut short in turn."""
FATES: tuple[Callable[[int], Fate], ...] = (
    lambda position: NothingElse(),
    lambda position: NamesOnly(),
    lambda position: Chance(f"{position}"),
)


@dataclass(frozen=True)
class Recorded:
    """A life that has been lived."""

    life: Life
    changes: Sequence[Change]


@dataclass(frozen=True)
class Crash:
    """What a crash left, and when it was."""

    position: int
    """How many changes of the recorded life it comes after."""
    files: Files
    is_power_cut: bool


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    with room_in_memory() as room:
        disk = Recording(room)
        life = Life(disk, room / "data", FakeClock())
        with disk.watching():
            asyncio.run(everything(life))
        assert files_below(room) == disk.seen(), "the recording has missed a call that changes files"
        return Recorded(life, disk.changes)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One loop for all the lives: what a crash leaves in memory is nothing."""
    with asyncio.Runner() as runner:
        yield runner


def files_below(folder: Path) -> Files:
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


def deaths(changes: Sequence[Change]) -> Iterator[Crash]:
    """Before the first change, after each, and in the middle of each write."""
    image = Image()
    yield Crash(0, image.after_death(), is_power_cut=False)
    for position, change in enumerate(changes, start=1):
        if isinstance(change, Written):
            half = change.data[: len(change.data) // 2]
            image.apply(Written(change.node, change.offset, half))
            yield Crash(position - 1, image.after_death(), is_power_cut=False)
        image.apply(change)
        yield Crash(position, image.after_death(), is_power_cut=False)


def power_cuts(changes: Sequence[Change]) -> Iterator[Crash]:
    """After each change but plain writes, in all FATES; of equal disks after the same change only one."""
    image = Image()
    for position, change in enumerate(changes, start=1):
        image.apply(change)
        if isinstance(change, Written):
            continue  # the next change shows what can become of it
        known: set[int] = set()
        for fate in FATES:
            files = image.after_power_cut(fate(position))
            mark = hash(frozenset(files.items()))
            if mark not in known:
                known.add(mark)
                yield Crash(position, files, is_power_cut=True)


async def opened_and_closed(data_dir: Path, clock: FakeClock) -> None:
    queue = DirectoryQueue(data_dir, PlainProfiles(), clock)
    await queue.open()
    await queue.close()


def cut_short(crash: Crash, recorded: Recorded, runner: asyncio.Runner) -> Iterator[Crash]:
    """The start after this crash dies in turn, after each change that it makes."""
    with room_in_memory() as folder:
        room = folder / "room"
        lay_out(crash.files, room)
        disk = Recording(room)
        with disk.watching():
            runner.run(opened_and_closed(room / "data", FakeClock(recorded.life.clock.now())))
        image = disk.before()
        for number, change in enumerate(disk.changes, start=1):
            image.apply(change)
            yield Crash(crash.position, image.after_death(), is_power_cut=True)
            yield Crash(crash.position, image.after_power_cut(Chance(f"{number}")), is_power_cut=True)


# --- what must hold


def allowed(told: Sequence[Told], crash: Crash) -> set[Seen | None]:
    """What a job may be found as: as it was last answered, or as a call under way was making it."""
    ended = [each for each in told if each.ended <= crash.position]
    under_way = [each for each in told if each.began <= crash.position < each.ended]
    found: set[Seen | None] = {each.seen for each in under_way}
    while ended:
        last = ended.pop()
        found.add(last.seen)
        if last.is_firm or not crash.is_power_cut:
            return found
    return found | {None}


def on_disk(data_dir: Path) -> dict[Key, list[tuple[State, dict[str, Json]]]]:
    """Where each job's files lie, and what they hold; a damaged one fails the test."""
    found: dict[Key, list[tuple[State, dict[str, Json]]]] = {}
    for kind in Kind:
        for state in State:
            for path in (data_dir / f"{kind}-queue" / state).iterdir():
                job_id = path.stem.rpartition("_")[2]
                record = json.loads(path.read_text())
                assert record["job_id"] == job_id, path
                found.setdefault((kind, job_id), []).append((state, record))
    return found


async def check(crash: Crash, recorded: Recorded, room: Path) -> None:
    lay_out(crash.files, room)
    data_dir, life = room / "data", recorded.life
    clock = FakeClock(life.clock.now())
    queue = DirectoryQueue(data_dir, PlainProfiles(), clock)
    await queue.open()
    try:
        there = on_disk(data_dir)
        for key, told in life.told.items():
            view = seen(await queue.get(*key)) if key in there else None
            assert view in allowed(told, crash), (key, view)
        assert set(there) <= set(life.told)
        assert all(len(places) == 1 for places in there.values()), there
        assert list((data_dir / "corrupt").iterdir()) == []
        for kind in Kind:
            states = [places[0][0] for key, places in there.items() if key[0] is kind]
            counts = queue.stats(kind)
            assert {state: counts[state] for state in State} == {
                state: states.count(state) for state in State
            }
        check_kept(crash, recorded, queue, data_dir)
        await check_it_goes_on(crash, recorded, queue, clock, data_dir)
    finally:
        await queue.close()


def check_kept(crash: Crash, recorded: Recorded, queue: DirectoryQueue, data_dir: Path) -> None:
    owed = {news.id for news in queue.outbox.owed()}
    for kept in recorded.life.kept:
        if kept.ended <= crash.position:
            if kept.what == "news":
                assert kept.value in owed
            elif kept.what == "file":
                assert (data_dir / "files" / kept.value).read_bytes() == RECORDING


async def check_it_goes_on(
    crash: Crash, recorded: Recorded, queue: DirectoryQueue, clock: FakeClock, data_dir: Path
) -> None:
    """A new job gets a number and a folder of its own, and all that is open can be finished, once."""
    there = on_disk(data_dir)
    new = (await queue.enqueue(Kind.AUDIO, {"job_id": "after", "script_text": "x"})).job
    given = (
        int(kept.value)
        for kept in recorded.life.kept
        if kept.what == "number" and crash.position >= kept.ended
    )
    number = new.number("audio_counter")
    assert number is not None and number > max(given, default=0)
    assert new.organized_path not in {record["organized_path"] for [(_, record)] in there.values()}
    clock.advance(A_WEEK_S)
    for kind in Kind:
        while (
            delivery := await queue.claim(kind, WorkerReport("gpu-9"), claim_id=secrets.token_hex(4))
        ) is not None:
            await queue.complete(delivery.claim, LINK)
        counts = queue.stats(kind)
        assert (counts["pending"], counts["processing"]) == (0, 0)
    there = on_disk(data_dir)
    assert all(len(places) == 1 for places in there.values())
    films = {job_id for kind, job_id in there if kind is Kind.VIDEO}
    assert films == {
        f"{job_id}-video" for (_, job_id), [(_, record)] in there.items() if "audio_path" in record
    }


def check_all(crashes: Iterable[Crash], recorded: Recorded, runner: asyncio.Runner) -> None:
    with room_in_memory() as room:
        for number, crash in enumerate(crashes):
            place = room / str(number)
            try:
                runner.run(check(crash, recorded, place))
            except BaseException as error:
                what = "power cut" if crash.is_power_cut else "death"
                last = recorded.changes[max(crash.position - 3, 0) : crash.position]
                error.add_note(
                    f"{what} after change {crash.position} of {len(recorded.changes)}; the last: {last}"
                )
                raise
            shutil.rmtree(place)


def test_nothing_answered_is_undone_by_the_death_of_the_process_at_any_change(
    recorded: Recorded, runner: asyncio.Runner
) -> None:
    check_all(deaths(recorded.changes), recorded, runner)


def test_nothing_answered_is_undone_by_a_power_cut_after_any_change(
    recorded: Recorded, runner: asyncio.Runner
) -> None:
    check_all(power_cuts(recorded.changes), recorded, runner)


def test_a_start_that_dies_in_turn_at_any_change_is_made_good_by_the_next(
    recorded: Recorded, runner: asyncio.Runner
) -> None:
    for crash in islice(power_cuts(recorded.changes), 0, None, EVERY):
        check_all(cut_short(crash, recorded, runner), recorded, runner)
