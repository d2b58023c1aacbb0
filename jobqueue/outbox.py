"""What the bot still owes to chats: one file per piece of news, kept until it is delivered.

A piece of news is written before the record that makes it true, so a crash between the
two leaves news of a job that is not final yet; whoever delivers checks the job first.
"""

from dataclasses import dataclass
from pathlib import Path

from jobqueue import durable
from jobqueue.commits import Put
from jobqueue.job import Json, Kind
from jobqueue.lifecycle import State


@dataclass(frozen=True, slots=True)
class News:
    """That a job reached a state its chat should hear of."""

    kind: Kind
    job_id: str
    epoch: int
    """The job's epoch when it happened: after a /retry there is other news."""
    state: State
    attempted_at: float | None = None
    """Unix seconds of a delivery that began; if it is set after a crash, nobody knows whether it arrived."""

    @property
    def id(self) -> str:
        return f"{self.kind}_{self.job_id}_{self.epoch}"


class Outbox:
    """The folder `outbox/`. Blocking; call from a thread."""

    def __init__(self, folder: Path, tmp: Path) -> None:
        """`tmp` must lie on the same file system as `folder`; both exist."""
        self._folder = folder
        self._tmp = tmp

    def put(self, news: News) -> Put:
        """The file that keeps the news until it is settled."""
        record: dict[str, Json] = {
            "kind": news.kind,
            "job_id": news.job_id,
            "epoch": news.epoch,
            "state": news.state,
            "attempted_at": news.attempted_at,
        }
        return Put(self._place(news), durable.to_bytes(record))

    def owe(self, news: News) -> None:
        """Keep the news until it is settled, also through a power cut."""
        put = self.put(news)
        durable.replace(self._tmp, put.place, put.data)

    def settle(self, news: News) -> None:
        """The news has arrived, or never will: forget it."""
        self._place(news).unlink(missing_ok=True)
        durable.sync_folder(self._folder)

    def owes(self, kind: Kind, job_id: str, epoch: int) -> bool:
        """Whether the news of the job's end in that epoch is not settled yet."""
        return self._place(News(kind, job_id, epoch, State.COMPLETED)).exists()

    def owed(self) -> list[News]:
        """Everything not settled yet. Files that make no sense are left alone and out."""
        found = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                record = durable.read_record(path)
                epoch, attempted_at = record["epoch"], record.get("attempted_at")
                found.append(
                    News(
                        Kind(str(record["kind"])),
                        str(record["job_id"]),
                        epoch if isinstance(epoch, int) else 0,
                        State(str(record["state"])),
                        attempted_at if isinstance(attempted_at, int | float) else None,
                    )
                )
            except (OSError, ValueError, KeyError):
                continue
        return found

    def _place(self, news: News) -> Path:
        return self._folder / f"{news.id}.json"
