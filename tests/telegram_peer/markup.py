"""Telegram's HTML: what it takes, what it refuses, and in which words."""

import html
import re
from typing import Any

from tests.telegram_peer.refusals import Refusal, bad

TAGS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "s": "strikethrough",
    "a": "text_link",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
}
ENTITY = re.compile(r"&(#\d+|#x[0-9a-fA-F]+|lt|gt|amp|quot);?")
TAG = re.compile(r"<(/?)([^\s>]*)((?:[^>\"']|\"[^\"]*\"|'[^']*')*)>")
HREF = re.compile(r"href\s*=\s*\"([^\"]*)\"")


def utf16(text: str) -> int:
    """Length in UTF-16 units, in which Telegram counts offsets."""
    return len(text.encode("utf-16-le")) // 2


def parse_html(source: str) -> tuple[str, list[dict[str, Any]]]:
    """The text and its entities. Raises: Refusal, as the server would."""
    text, at = "", 0
    entities: list[dict[str, Any]] = []
    open_tags: list[tuple[str, str, int]] = []
    while at < len(source):
        if source[at] == "&" and (entity := ENTITY.match(source, at)):
            text, at = text + html.unescape(f"&{entity[1]};"), entity.end()
            continue
        if source[at] != "<":
            text, at = text + source[at], at + 1
            continue
        tag = TAG.match(source, at)
        if tag is None:
            raise _unparsed(f"Unclosed start tag at byte offset {len(source[:at].encode())}")
        name, offset = tag[2].lower(), len(source[:at].encode())
        if not tag[1]:
            if name not in TAGS:
                raise _unparsed(f'Unsupported start tag "{name}" at byte offset {offset}')
            link = HREF.search(tag[3])
            open_tags.append((name, html.unescape(link[1]) if link else "", utf16(text)))
        else:
            entities += _closed(name, open_tags, text, offset)
        at = tag.end()
    if open_tags:
        raise _unparsed(f'Can\'t find end tag corresponding to start tag "{open_tags[-1][0]}"')
    return text, sorted(entities, key=lambda entity: (entity["offset"], -entity["length"]))


def _closed(name: str, open_tags: list[tuple[str, str, int]], text: str, offset: int) -> list[dict[str, Any]]:
    if not open_tags:
        raise _unparsed(f"Unexpected end tag at byte offset {offset}")
    opened, link, start = open_tags.pop()
    if name != opened:
        raise _unparsed(
            f'Unmatched end tag at byte offset {offset}, expected "</{opened}>", found "</{name}>"'
        )
    length = utf16(text) - start
    if not length or (opened == "a" and "." not in link):
        return []
    entity = {"type": TAGS[opened], "offset": start, "length": length}
    return [entity | ({"url": link} if opened == "a" else {})]


def _unparsed(why: str) -> Refusal:
    return bad(f"can't parse entities: {why}")


def typed_entities(text: str) -> list[dict[str, Any]]:
    """What Telegram marks in the plain text of a person."""
    return [
        {"type": "bot_command", "offset": utf16(text[: match.start()]), "length": utf16(match[0])}
        for match in re.finditer(r"(?<!\S)/[A-Za-z0-9_]{1,64}(?:@\w+)?(?![\w/])", text)
    ]
