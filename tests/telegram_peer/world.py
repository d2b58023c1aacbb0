"""What Telegram knows: people, chats, messages, files, and the updates the bot has not confirmed."""

import asyncio
import secrets
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.telegram_peer.faults import Fault
from tests.telegram_peer.refusals import Refusal, bad

T = TypeVar("T")
Fields = dict[str, Any]
MIB = 1 << 20
CONFLICT = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
DEFAULT_OFF = frozenset({"chat_member", "message_reaction"})


@dataclass(slots=True)
class Call:
    """One call of the bot, as the server saw it."""

    method: str
    params: Fields
    files: dict[str, int]
    """Name to size in bytes of what was uploaded."""
    at: float
    """Monotonic, s."""
    status: int = 0
    message_id: int | None = None


@dataclass(slots=True)
class StoredFile:
    path: Path
    name: str
    size_bytes: int
    kind: str
    mime: str = "application/octet-stream"
    file_id: str = field(default_factory=lambda: secrets.token_hex(12))


class World:
    """All state of the server."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="telegram_peer_"))
        self.me: Fields = {"id": 7000000001, "is_bot": True, "first_name": "Peer", "username": "peer_bot"}
        self.people: dict[int, Fields] = {}
        self.chats: dict[int, Fields] = {}
        self.messages: dict[tuple[int, int], Fields] = {}
        self.files: dict[str, StoredFile] = {}
        self.presses: dict[str, Fields] = {}
        """Callback queries by id; `answer` is None until the bot has answered."""
        self.updates: list[Fields] = []
        self.allowed: list[str] | None = None
        self.calls: list[Call] = []
        self.faults: list[Fault] = []
        self.commands: dict[str, list[Fields]] = {}
        """The menu by language; English under the empty one."""
        self.blocked: set[int] = set()
        self.upload_limit_bytes = 50 * MIB
        self.poll: asyncio.Future[str] | None = None
        self.conflict_pause_s = 0.3
        self._watchers: set[asyncio.Future[None]] = set()
        self.sequence = 0
        self._next_update = 1
        self.next_message = 1

    # --- time

    def bump(self) -> None:
        """Something has happened."""
        self.sequence += 1
        for watcher in list(self._watchers):
            if not watcher.done():
                watcher.set_result(None)

    def next_event(self) -> "asyncio.Future[None]":
        """Done as soon as anything happens from now on."""
        watcher: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)
        return watcher

    async def until(self, want: Callable[[], T | None], what: str, timeout_s: float = 10) -> T:
        """What `want` gives once it gives something true; asked again after each event."""
        try:
            async with asyncio.timeout(timeout_s):
                while not (got := want()):
                    await self.next_event()
                return got
        except TimeoutError:
            raise AssertionError(f"not seen within {timeout_s} s: {what}") from None

    # --- people and chats

    def person(self, user_id: int, language: str = "en") -> Fields:
        person = self.people.setdefault(
            user_id, {"id": user_id, "is_bot": False, "first_name": f"User{user_id}"}
        )
        person["language_code"] = language
        self.chats.setdefault(user_id, {"id": user_id, "type": "private", "first_name": person["first_name"]})
        return person

    def chat(self, params: Fields) -> Fields:
        """The chat a call names. Raises: Refusal."""
        chat_id = int(params.get("chat_id") or 0)
        chat = self.chats.get(chat_id)
        if chat is None:
            raise bad("chat not found")
        if chat_id in self.blocked:
            raise Refusal(403, "Forbidden: bot was blocked by the user")
        return chat

    # --- messages

    def store(self, message: Fields) -> Fields:
        message["message_id"] = self.next_message
        self.next_message += 1
        self.messages[message["chat"]["id"], message["message_id"]] = message
        message["_sequence"], message["_deleted"], message["_edits"] = self.sequence + 1, False, []
        return message

    def message(self, params: Fields, verb: str) -> Fields:
        """The message a call names. Raises: Refusal."""
        chat = self.chat(params)
        message = self.messages.get((chat["id"], int(params.get("message_id") or 0)))
        if message is None or message["_deleted"]:
            raise bad(f"message to {verb} not found")
        if message["from"]["id"] != self.me["id"]:
            raise bad("message can't be edited")
        return message

    def keep_file(self, path: Path, name: str, kind: str, mime: str) -> StoredFile:
        stored = StoredFile(path, name, path.stat().st_size, kind, mime)
        self.files[stored.file_id] = stored
        return stored

    # --- updates

    async def push(self, kind: str, content: Fields) -> int:
        """Something for the bot to fetch; returns its update id."""
        update_id = self._next_update
        self._next_update += 1
        if (kind in self.allowed) if self.allowed else (kind not in DEFAULT_OFF):
            self.updates.append({"update_id": update_id, kind: content})
        self.bump()
        return update_id

    async def fetch(self, params: Fields) -> list[Fields]:
        """getUpdates: unconfirmed updates come again; a second poller throws the first one out."""
        offset, limit = int(params.get("offset") or 0), int(params.get("limit") or 100)
        until = time.monotonic() + float(params.get("timeout") or 0)
        if offset > 0:
            self.updates = [update for update in self.updates if update["update_id"] >= offset]
        if self.poll is not None and not self.poll.done():
            self.poll.set_result("other")
        self.poll = mine = asyncio.get_running_loop().create_future()
        self.bump()
        while not self.updates and (left_s := until - time.monotonic()) > 0:
            event = self.next_event()
            try:
                await asyncio.wait({event, mine}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            finally:
                event.cancel()
            if mine.done():
                await asyncio.sleep(self.conflict_pause_s)
                raise Refusal(409, CONFLICT)
        mine.cancel()
        return self.updates[:limit]


def public(message: Fields) -> Fields:
    """A message as it goes over the wire."""
    return {name: value for name, value in message.items() if not name.startswith("_")}
