"""Person: somebody with the Telegram app in their hand."""

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.telegram_peer.markup import typed_entities
from tests.telegram_peer.world import Fields, World, public

LONGEST = 4096
MEDIA = ("photo", "video", "document", "audio", "voice", "sticker")


@dataclass(frozen=True, slots=True)
class Message:
    """A message as a person sees it."""

    raw: Fields

    @property
    def id(self) -> int:
        return int(self.raw["message_id"])

    @property
    def text(self) -> str:
        return str(self.raw.get("text") or self.raw.get("caption") or "")

    @property
    def kind(self) -> str:
        return next((kind for kind in MEDIA if kind in self.raw), "text")

    @property
    def buttons(self) -> list[str]:
        return [button["text"] for button in self._buttons()]

    @property
    def callbacks(self) -> list[str]:
        return [button["callback_data"] for button in self._buttons()]

    @property
    def reply_to(self) -> int | None:
        original = self.raw.get("reply_to_message")
        return int(original["message_id"]) if original else None

    @property
    def links(self) -> list[str]:
        entities = (self.raw.get("entities") or []) + (self.raw.get("caption_entities") or [])
        return [entity["url"] for entity in entities if "url" in entity]

    @property
    def edits(self) -> list[str]:
        """Its earlier texts."""
        return list(self.raw["_edits"])

    @property
    def is_silent(self) -> bool:
        return bool(self.raw.get("_silent"))

    @property
    def sequence(self) -> int:
        return int(self.raw["_sequence"])

    def _buttons(self) -> list[Fields]:
        rows = (self.raw.get("reply_markup") or {}).get("inline_keyboard", [])
        return [button for row in rows for button in row]


class Person:
    """Sends, presses, and sees what the bot writes in one chat."""

    def __init__(self, world: World, user_id: int, language: str, chat_id: int | None) -> None:
        self._world = world
        self.id = user_id
        self.chat_id = chat_id or user_id
        self._language = language
        self._user = world.person(user_id, language)
        if self.chat_id < 0:
            world.chats.setdefault(self.chat_id, {"id": self.chat_id, "type": "supergroup", "title": "Group"})
        self._mark = 0

    async def send(self, text: str, **fields: Any) -> list[int]:
        """Send a text; a long one goes as several messages, as the apps split it. Returns their ids."""
        self._mark = self._world.sequence
        sent = []
        for start in range(0, len(text), LONGEST):
            piece = text[start : start + LONGEST]
            message = self._world.store(
                self._new() | {"text": piece, "entities": typed_entities(piece)} | fields
            )
            sent.append(message)
        for message in sent:
            await self._world.push("message", public(message))
        return [message["message_id"] for message in sent]

    async def send_file(self, data: bytes, name: str, *, claimed_bytes: int | None = None) -> int:
        """Send a document; `claimed_bytes` is what Telegram says of its size."""
        path = self._world.folder / secrets.token_hex(8)
        path.write_bytes(data)
        stored = self._world.keep_file(path, name, "document", "application/octet-stream")
        document = {"file_id": stored.file_id, "file_unique_id": stored.file_id[:8], "file_name": name}
        document["file_size"] = str(claimed_bytes or len(data))
        return await self.send_media("document", {**document, "file_size": int(document["file_size"])})

    async def send_media(self, kind: str, media: Any, **fields: Any) -> int:
        self._mark = self._world.sequence
        message = self._world.store(self._new() | {kind: media} | fields)
        await self._world.push("message", public(message))
        return int(message["message_id"])

    async def edit(self, message_id: int, text: str) -> None:
        self._mark = self._world.sequence
        message = self._world.messages[self.chat_id, message_id]
        message |= {"text": text, "entities": typed_entities(text), "edit_date": int(time.time())}
        await self._world.push("edited_message", public(message))

    async def press(self, button: str, *, message: Message | None = None) -> Fields:
        """Press a button by its label; returns the bot's answer: text, show_alert."""
        shown = message or next(seen for seen in reversed(self.messages()) if button in seen.buttons)
        callback = shown.callbacks[shown.buttons.index(button)]
        return await self.press_data(callback, shown)

    async def press_data(self, callback: str, message: Message) -> Fields:
        """Press a button that may not even be there."""
        self._mark = self._world.sequence
        query_id = secrets.token_hex(8)
        press: Fields = {"answer": None}
        self._world.presses[query_id] = press
        current = self._world.messages[self.chat_id, message.id]
        query = {"id": query_id, "from": self._user, "message": public(current), "chat_instance": "1"}
        await self._world.push("callback_query", {**query, "data": callback})
        answer: Fields = await self._world.until(lambda: press["answer"], f"an answer to {callback}")
        return answer

    def messages(self, *, since: int = 0) -> list[Message]:
        """What the bot has written here and not deleted."""
        return [
            Message({**raw, "_edits": list(raw["_edits"])})
            for (chat_id, _), raw in self._world.messages.items()
            if chat_id == self.chat_id
            and raw["from"]["is_bot"]
            and not raw["_deleted"]
            and raw["_sequence"] > since
        ]

    async def sees(
        self, want: str | Callable[[Message], bool], *, timeout_s: float = 10, since: int | None = None
    ) -> Message:
        """The first message written or edited since the last action that matches the pattern or function."""
        mark = self._mark if since is None else since

        def found() -> Message | None:
            for message in self.messages(since=mark):
                if want(message) if callable(want) else re.search(want, message.text, re.I | re.S):
                    return message
            return None

        try:
            return await self._world.until(found, f"a message like {want!r}", timeout_s)
        except AssertionError as error:
            seen = "\n".join(repr(message.text) for message in self.messages())
            raise AssertionError(f"{error}; there are:\n{seen}") from None

    def now(self, message: Message) -> Message:
        """The same message as it is by now."""
        return Message(dict(self._world.messages[self.chat_id, message.id]))

    def delete(self, message: Message) -> None:
        self._world.messages[self.chat_id, message.id]["_deleted"] = True

    def _new(self) -> Fields:
        chat = self._world.chats[self.chat_id]
        return {"from": self._user, "chat": chat, "date": int(time.time())}
