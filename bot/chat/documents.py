"""A text file someone sends, as text."""

import codecs
import re
from pathlib import PurePosixPath

import charset_normalizer

MAX_BYTES = 2_000_000
SUFFIXES = frozenset({".txt", ".md"})
NOT_TEXT = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f�]")
"""Control characters no script has, and the mark of bytes that could not be read."""
SAMPLE_BYTES = 100_000
ANSI = "cp1252"
NAME_CHARS = 100


class DocumentUnusable(Exception):
    """The file holds no text we can read; `reason` is the key of the sentence that says so."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def safe_name(name: str | None) -> str:
    """The file's name without folders or control characters."""
    last = PurePosixPath((name or "").replace("\\", "/")).name
    return "".join(character for character in last if character.isprintable())[:NAME_CHARS]


def is_text_file(name: str | None) -> bool:
    return PurePosixPath(safe_name(name)).suffix.lower() in SUFFIXES


def decode(data: bytes) -> str:
    """The text in a file, whatever editor wrote it; blocking. Raises: DocumentUnusable."""
    if not data.strip(b"\0\r\n\t \xef\xbb\xbf\xff\xfe"):
        raise DocumentUnusable("file-empty")
    text = _unicode(data)
    if text is None:
        text = _guessed(data)
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if NOT_TEXT.search(text):
        raise DocumentUnusable("file-not-text")
    return text


def _unicode(data: bytes) -> str | None:
    has_mark = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if has_mark else "utf-8-sig")
    except UnicodeDecodeError:
        return None


def _guessed(data: bytes) -> str:
    if b"\0" in data[:SAMPLE_BYTES]:
        raise DocumentUnusable("file-not-text")
    matches = charset_normalizer.from_bytes(data[:SAMPLE_BYTES])
    match = matches.best()
    if match is None:
        raise DocumentUnusable("file-not-text")
    # Among equals, what Windows' Notepad calls ANSI.
    match = next((each for each in matches if each.encoding == ANSI and each.chaos <= match.chaos), match)
    try:
        return data.decode(match.encoding)
    except (UnicodeDecodeError, LookupError):
        raise DocumentUnusable("file-not-text") from None
