"""The sentences people read, in their language; everything from outside is escaped here and only here."""

import html
import math
from pathlib import Path
from typing import Protocol

from fluent.runtime import FluentBundle, FluentResource

LANGUAGES = ("en", "hi")
LOCALES = Path(__file__).parent / "locales"
ALERT_LIMIT = 200
"""Characters Telegram takes in the answer to a button."""


class Html(str):
    """Text that is HTML already and may stand in a message as it is."""

    __slots__ = ()


class Speaker(Protocol):
    """Anyone who may have told Telegram their language."""

    @property
    def language_code(self) -> str | None: ...


class Words:
    """All sentences in one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        # Isolation marks are invisible characters that break searching and copying of ids.
        self._bundle = FluentBundle([language], use_isolating=False)
        self._bundle.add_resource(FluentResource((LOCALES / f"{language}.ftl").read_text(encoding="utf-8")))

    def __call__(self, key: str, **arguments: str | int | float) -> Html:
        """The sentence as HTML; whatever is not Html among the arguments is escaped."""
        return Html(self._format(key, {name: _escape(value) for name, value in arguments.items()}))

    def plain(self, key: str, **arguments: str | int | float) -> str:
        """The sentence for places that take no formatting: buttons and their answers."""
        return self._format(key, arguments)[:ALERT_LIMIT]

    def lines(self, *lines: Html | None) -> Html:
        """The lines that are there, one below the other."""
        return Html("\n".join(line for line in lines if line))

    def duration(self, seconds: float) -> Html:
        """Roughly how long: people plan in minutes."""
        minutes = math.ceil(seconds / 60)
        if minutes < 60:
            return self("minutes", n=max(minutes, 1))
        hours, rest = divmod(minutes, 60)
        if hours < 48:
            return self("hours", hours=hours, minutes=rest)
        return self("days", n=hours // 24)

    def _format(self, key: str, arguments: dict[str, str | int | float]) -> str:
        pattern = self._bundle.get_message(key).value
        if pattern is None:
            raise KeyError(key)
        text, errors = self._bundle.format_pattern(pattern, arguments)
        if errors:
            raise errors[0]
        return str(text)


class Texts:
    """The sentences in each language."""

    def __init__(self) -> None:
        self._words = {language: Words(language) for language in LANGUAGES}

    def of(self, speaker: Speaker | None) -> Words:
        """Those in the language of a Telegram user; English if we do not speak it."""
        return self.in_language((speaker.language_code if speaker else None) or "")

    def in_language(self, code: str) -> Words:
        return self._words.get(code.lower().partition("-")[0], self._words["en"])


def cut(text: str, limit: int) -> str:
    """At most `limit` characters of the text; cut before formatting, so that no tag is torn."""
    text = text.strip()
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _escape(value: str | int | float) -> str | int | float:
    if isinstance(value, Html):
        return str(value)
    return html.escape(value) if isinstance(value, str) else value
