"""Which message in which chat is the status card of a production, kept through restarts."""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path

from jobqueue import durable

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Card:
    """The one progress message of a production."""

    production_id: str
    chat_id: int
    language: str
    message_id: int | None = None
    """None: it could not be posted yet."""


class CardFiles:
    """The folder `cards/`: `{production_id}.json`. Blocking; call from a thread."""

    def __init__(self, folder: Path, tmp: Path) -> None:
        """`tmp` must lie on the same file system as `folder`; both are made at the first use."""
        self._folder = folder
        self._tmp = tmp

    def load(self) -> list[Card]:
        """All cards; what cannot be read is left out."""
        for folder in (self._folder, self._tmp):
            durable.make_folder(folder)
        found = []
        for path in self._folder.glob("*.json"):
            try:
                record = durable.read_record(path)
                chat_id, message_id = record["chat_id"], record["message_id"]
                if not isinstance(chat_id, int) or not isinstance(message_id, int | None):
                    raise TypeError("chat_id and message_id must be whole numbers")
                found.append(Card(path.stem, chat_id, str(record["language"]), message_id))
            except (OSError, ValueError, KeyError, TypeError) as error:
                log.warning("card file %s is left out: %s", path.name, error)
        return found

    def save(self, card: Card) -> None:
        """Keep the card. One that is lost is posted anew: no reason to stop."""
        try:
            durable.replace(self._tmp, self._place(card.production_id), durable.to_bytes(asdict(card)))
        except OSError as error:
            log.error("job %s: its card cannot be saved: %s", card.production_id, error)

    def remove(self, production_id: str) -> None:
        try:
            self._place(production_id).unlink(missing_ok=True)
        except OSError as error:
            log.error("job %s: its card file cannot be removed: %s", production_id, error)

    def _place(self, production_id: str) -> Path:
        return self._folder / f"{production_id}.json"
