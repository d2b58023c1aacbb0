"""The Bot API's methods, as far as our bot calls them."""

import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.telegram_peer.markup import parse_html
from tests.telegram_peer.refusals import Refusal, bad
from tests.telegram_peer.world import MIB, Fields, StoredFile, World, public

TEXT_LIMIT = 4096
CAPTION_LIMIT = 1024
ALERT_LIMIT = 200
DOWNLOAD_LIMIT_BYTES = 20 * MIB
PHOTO_LIMIT_BYTES = 10 * MIB


@dataclass(slots=True)
class Upload:
    path: Path
    name: str
    size_bytes: int
    mime: str


@dataclass(slots=True)
class Request:
    """A call with its parameters and files."""

    world: World
    params: Fields
    files: dict[str, Upload] = field(default_factory=dict)

    def flag(self, name: str) -> bool:
        return str(self.params.get(name)).lower() in ("true", "1")

    def json(self, name: str) -> Any:
        value = self.params.get(name)
        return json.loads(value) if isinstance(value, str) and value else value


Method = Callable[[Request], Awaitable[Any]]


async def get_me(request: Request) -> Any:
    return request.world.me


async def get_updates(request: Request) -> Any:
    if "allowed_updates" in request.params:
        request.world.allowed = request.json("allowed_updates") or None
    return await request.world.fetch(request.params)


async def send_message(request: Request) -> Any:
    message = _composed(request)
    message["text"], message["entities"] = _text(request, "text")
    return await _posted(request.world, message)


async def send_photo(request: Request) -> Any:
    return await _send_media(request, "photo")


async def send_video(request: Request) -> Any:
    return await _send_media(request, "video")


async def edit_message_text(request: Request) -> Any:
    message = request.world.message(request.params, "edit")
    text, entities = _text(request, "text")
    if "text" not in message:
        raise bad("there is no text in the message to edit")
    return await _edited(request.world, message, {"text": text, "entities": entities, **_keyboard(request)})


async def edit_message_reply_markup(request: Request) -> Any:
    message = request.world.message(request.params, "edit")
    kept = {name: message.get(name) for name in ("text", "entities")}
    return await _edited(request.world, message, {**kept, **_keyboard(request)})


async def answer_callback_query(request: Request) -> Any:
    press = request.world.presses.get(str(request.params.get("callback_query_id")))
    if press is None or press["answer"] is not None:
        raise bad("query is too old and response timeout expired or query ID is invalid")
    text = request.params.get("text") or ""
    if len(text) > ALERT_LIMIT:
        raise bad("MESSAGE_TOO_LONG")
    press["answer"] = {"text": text, "show_alert": request.flag("show_alert")}
    request.world.bump()
    return True


async def get_file(request: Request) -> Any:
    stored = request.world.files.get(str(request.params.get("file_id")))
    if stored is None:
        raise bad("wrong file_id or the file is temporarily unavailable")
    if stored.size_bytes > DOWNLOAD_LIMIT_BYTES:
        raise bad("file is too big")
    return {**_file_facts(stored), "file_path": f"{stored.kind}s/{stored.file_id}"}


async def set_my_commands(request: Request) -> Any:
    request.world.commands[request.params.get("language_code") or ""] = request.json("commands")
    return True


async def send_chat_action(request: Request) -> Any:
    return request.world.chat(request.params) is not None


METHODS: dict[str, Method] = {
    "getme": get_me,
    "getupdates": get_updates,
    "sendmessage": send_message,
    "sendphoto": send_photo,
    "sendvideo": send_video,
    "sendchataction": send_chat_action,
    "editmessagetext": edit_message_text,
    "editmessagereplymarkup": edit_message_reply_markup,
    "answercallbackquery": answer_callback_query,
    "getfile": get_file,
    "setmycommands": set_my_commands,
}


async def _send_media(request: Request, kind: str) -> Any:
    message = _composed(request)
    caption, entities = _text(request, "caption", required=False)
    if caption:
        message["caption"], message["caption_entities"] = caption, entities
    stored = _uploaded(request, kind)
    facts: Fields = _file_facts(stored) | {"width": 640, "height": 360}
    if kind == "video":
        facts |= {"duration": int(float(request.params.get("duration") or 0)), "file_name": stored.name}
        facts |= {name: int(request.params[name]) for name in ("width", "height") if request.params.get(name)}
    message[kind] = [facts] if kind == "photo" else facts
    return await _posted(request.world, message)


def _composed(request: Request) -> Fields:
    world = request.world
    message: Fields = {"from": world.me, "chat": world.chat(request.params), "date": int(time.time())}
    reply = request.json("reply_parameters") or {}
    if reply:
        original = world.messages.get((message["chat"]["id"], int(reply["message_id"])))
        if original and not original["_deleted"]:
            message["reply_to_message"] = {
                name: value for name, value in public(original).items() if name != "reply_to_message"
            }
        elif not reply.get("allow_sending_without_reply"):
            raise bad("message to be replied not found")
    message["_silent"] = request.flag("disable_notification")
    return message | {name: value for name, value in _keyboard(request).items() if value}


def _text(request: Request, name: str, *, required: bool = True) -> tuple[str, list[Fields]]:
    source = str(request.params.get(name) or "")
    mode = str(request.params.get("parse_mode") or "").lower()
    text, entities = parse_html(source) if mode == "html" else (source, [])
    text = text.strip()
    if required and not text:
        raise bad("message text is empty")
    if len(text) > (TEXT_LIMIT if name == "text" else CAPTION_LIMIT):
        raise bad("message is too long" if name == "text" else "message caption is too long")
    return text, entities


def _keyboard(request: Request) -> Fields:
    markup = request.json("reply_markup") or {}
    rows = [row for row in markup.get("inline_keyboard", []) if row]
    for button in (button for row in rows for button in row):
        if not button.get("text"):
            raise bad("inline keyboard button text must be non-empty")
        if not 1 <= len(str(button.get("callback_data", "x")).encode()) <= 64:
            raise bad("BUTTON_DATA_INVALID")
    return {"reply_markup": {"inline_keyboard": rows} if rows else None}


def _uploaded(request: Request, kind: str) -> StoredFile:
    source = str(request.params.get(kind) or "")
    upload = request.files.get(source.removeprefix("attach://") if source else kind)
    if upload is None:
        raise bad(f"there is no {kind} in the request")
    if not upload.size_bytes:
        raise bad("file must be non-empty")
    if upload.size_bytes > (PHOTO_LIMIT_BYTES if kind == "photo" else request.world.upload_limit_bytes):
        raise Refusal(413, "Request Entity Too Large")
    return request.world.keep_file(upload.path, upload.name, kind, upload.mime)


def _file_facts(stored: StoredFile) -> Fields:
    return {"file_id": stored.file_id, "file_unique_id": stored.file_id[:8], "file_size": stored.size_bytes}


async def _posted(world: World, message: Fields) -> Fields:
    world.store(message)
    world.bump()
    return public(message)


async def _edited(world: World, message: Fields, new: Fields) -> Fields:
    if all((message.get(name) or None) == (value or None) for name, value in new.items()):
        raise bad(
            "message is not modified: specified new message content and reply markup are exactly "
            "the same as a current content and reply markup of the message"
        )
    message["_edits"].append(message.get("text") or message.get("caption"))
    for name, value in new.items():
        message.pop(name, None)
        if value:
            message[name] = value
    message["edit_date"], message["_sequence"] = int(time.time()), world.sequence + 1
    world.bump()
    return public(message)
