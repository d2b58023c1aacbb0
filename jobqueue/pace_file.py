"""`paces.json`: what was learned of the workers' speed, kept through restarts."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict  # pydantic cannot read typing's before Python 3.12

from jobqueue import durable
from jobqueue.job import Json, Kind
from jobqueue.pace import Pace

log = logging.getLogger(__name__)

Figure = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class KeptPace(TypedDict):
    """A Pace as it lies on disk."""

    per_unit_s: Figure | None
    units: Figure | None
    average_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None
    workers: dict[str, Figure]


KEPT = TypeAdapter(dict[Kind, KeptPace])


class PaceFile:
    """Written with the queue's next flush after something was learned, and only then."""

    def __init__(self, path: Path, tmp: Path) -> None:
        """`tmp` must lie on the same file system."""
        self._path = path
        self._tmp = tmp
        self._known = 0
        """Changes that are on disk, or have been handed out to be written."""

    def load(self, paces: Mapping[Kind, Pace]) -> None:
        """Fill the paces with what was kept. Blocking. If it is nonsense, they are learned anew."""
        try:
            record = KEPT.validate_python(durable.read_record(self._path))
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            log.warning("paces.json is left out, times are learned anew: %s", error)
            return
        for kind, kept in record.items():
            pace = paces[kind]
            pace.per_unit_s, pace.units = kept["per_unit_s"], kept["units"]
            pace.average_s, pace.workers = kept["average_s"], kept["workers"]

    def changed(self, paces: Mapping[Kind, Pace]) -> bytes | None:
        """What is to be written; None if it is there already."""
        changes = sum(pace.changes for pace in paces.values())
        if changes == self._known:
            return None
        self._known = changes
        return durable.to_bytes({kind.value: _kept(pace) for kind, pace in paces.items()})

    def flush(self, data: bytes) -> None:
        """Write what `changed` gave. Blocking."""
        try:
            # Not synced: after a power cut the next jobs teach it again.
            durable.replace(self._tmp, self._path, data, sync_bytes=False, sync_name=False)
        except OSError as error:
            log.warning("paces.json cannot be written: %s", error)


def _kept(pace: Pace) -> Json:
    return {
        "per_unit_s": pace.per_unit_s,
        "units": pace.units,
        "average_s": pace.average_s,
        "workers": dict(pace.workers),
    }
