"""Updates on disk: what came in and is not handled yet, and which ones were handled."""

import logging
import os
from pathlib import Path

from jobqueue import durable
from jobqueue.job import Json

log = logging.getLogger(__name__)

REMEMBERED = 4000
"""Handled updates whose ids are kept. No high-water mark: after a quiet week new ids start anywhere."""
PRUNE_EVERY = 500


class Journal:
    """The folder `inbox/`: `{update_id}.json`, once handled an empty `handled/{update_id}`. Blocking."""

    def __init__(self, folder: Path, tmp: Path) -> None:
        """`tmp` must lie on the same file system as `folder`; folders are made at the first use."""
        self._folder = folder
        self._handled = folder / "handled"
        self._tmp = tmp
        self._since_prune = 0

    def open(self) -> list[dict[str, Json]]:
        """Make the folders; the updates not handled yet, oldest first."""
        for folder in (self._handled, self._tmp):
            durable.make_folder(folder)
        self._prune()
        found = []
        for path in sorted(self._folder.glob("*.json"), key=_number):
            try:
                found.append(durable.read_record(path))
            except (OSError, ValueError) as error:
                log.error("update file %s is set aside: %s", path.name, error)
                path.rename(path.with_suffix(".unreadable"))
        return found

    def save(self, update_id: int, body: str) -> bool:
        """Keep an update; False if it is here already or was handled before. Raises: OSError."""
        place = self._place(update_id)
        if place.exists() or (self._handled / str(update_id)).exists():
            return False
        durable.replace(self._tmp, place, body.encode(errors="replace"))
        return True

    def done(self, update_id: int) -> None:
        """The update is handled, and stays so through a crash."""
        place, marker = self._place(update_id), self._handled / str(update_id)
        try:
            place.rename(marker)
        except FileNotFoundError:
            return
        # Only the id is needed any more, not what the person wrote.
        os.truncate(marker, 0)
        durable.sync_folder(self._handled)
        durable.sync_folder(self._folder)
        self._since_prune += 1
        if self._since_prune >= PRUNE_EVERY:
            self._prune()

    def _prune(self) -> None:
        self._since_prune = 0
        markers = sorted(self._handled.iterdir(), key=lambda path: path.stat().st_mtime)
        for marker in markers[:-REMEMBERED]:
            marker.unlink(missing_ok=True)

    def _place(self, update_id: int) -> Path:
        return self._folder / f"{update_id}.json"


def _number(path: Path) -> int:
    return int(path.stem) if path.stem.isdigit() else 0
