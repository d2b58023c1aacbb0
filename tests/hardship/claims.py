"""What a queue has acknowledged, and whether its folders still say so.

An acknowledgement is a line `{word} {job id}`: `accepted`, or the name of the final state it reported.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from jobqueue.job import Kind
from jobqueue.lifecycle import State

ACCEPTED = "accepted"


@dataclass
class Claims:
    """The acknowledgements read so far."""

    accepted: set[str] = field(default_factory=set)
    final: dict[str, State] = field(default_factory=dict)
    """Jobs whose end was acknowledged, and which end."""

    def read(self, lines: Iterable[str]) -> None:
        """Take note of whole lines; others, such as the one that was cut by a kill, are left out."""
        for line in lines:
            if line.endswith("\n") and line.count(" ") == 1:
                word, job_id = line.split()
                if word == ACCEPTED:
                    self.accepted.add(job_id)
                else:
                    self.final[job_id] = State(word)

    def broken(self, found: "Folders") -> list[str]:
        """One sentence for each promise that the folders do not keep."""
        faults = [f"lost: {job_id}" for job_id in self.accepted - found.states.keys()]
        faults += [
            f"undone: {job_id} was {state}, lies in {', '.join(found.states.get(job_id, ['no folder']))}"
            for job_id, state in self.final.items()
            if found.states.get(job_id) != [state]
        ]
        return faults + found.faults


@dataclass
class Folders:
    """What lies in the queue's folders."""

    states: dict[str, list[State]]
    """Of each job the folders it lies in; there must be one."""
    faults: list[str]

    def count(self, state: State) -> int:
        return sum(states == [state] for states in self.states.values())


def look(data_dir: Path, kind: Kind = Kind.AUDIO) -> Folders:
    """Read every file, as `cat` would. A damaged one, or a job in two folders, is a fault."""
    states: dict[str, list[State]] = defaultdict(list)
    faults = [f"in corrupt/: {path.name}" for path in (data_dir / "corrupt").glob("*")]
    for state in State:
        for path in (data_dir / f"{kind}-queue" / state).glob("*.json"):
            job_id = path.stem.rpartition("_")[2]
            states[job_id].append(state)
            faults += _damage(path, job_id)
    faults += [f"in {' and '.join(places)}: {job_id}" for job_id, places in states.items() if len(places) > 1]
    return Folders(dict(states), faults)


def _damage(path: Path, job_id: str) -> list[str]:
    try:
        record = json.loads(path.read_bytes())
    except ValueError:
        return [f"damaged: {path.parent.name}/{path.name}, {path.stat().st_size} bytes"]
    is_whole = isinstance(record, dict) and record.get("job_id") == job_id and "epoch" in record
    return [] if is_whole else [f"damaged: {path.parent.name}/{path.name} is another job's or not whole"]
