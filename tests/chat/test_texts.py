"""Every sentence exists in both languages, with the same arguments, and is used."""

import re
from pathlib import Path

import pytest
from fluent.syntax import FluentParser, ast
from fluent.syntax.visitor import Visitor

from bot.chat.texts import LANGUAGES, LOCALES, Html, Texts, cut

CODE = Path("bot/chat")


class _Arguments(Visitor):
    def __init__(self) -> None:
        self.names: set[str] = set()

    def visit_VariableReference(self, node: ast.VariableReference) -> None:
        self.names.add(node.id.name)


def sentences(language: str) -> dict[str, set[str]]:
    """Each sentence's arguments."""
    resource = FluentParser().parse((LOCALES / f"{language}.ftl").read_text(encoding="utf-8"))
    found: dict[str, set[str]] = {}
    for entry in resource.body:
        assert not isinstance(entry, ast.Junk), entry.content
        if isinstance(entry, ast.Message):
            assert entry.id.name not in found, f"{entry.id.name} is there twice"
            arguments = _Arguments()
            arguments.visit(entry)
            found[entry.id.name] = arguments.names
    return found


def test_both_languages_say_the_same_with_the_same_arguments() -> None:
    assert sentences("en") == sentences("hi")


def test_every_sentence_the_code_asks_for_exists_and_none_is_left_over() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in CODE.glob("*.py"))
    known = set(sentences("en"))
    asked = set(re.findall(r"words(?:\.plain)?\(\s*\"([a-z-]+)\"", code))
    assert asked <= known, asked - known
    quoted = set(re.findall(r"\"([a-z][a-z-]+)\"", code))
    computed = re.findall(r"words(?:\.plain)?\(\s*f\"([a-z-]+)\{", code)
    left_over = {
        name for name in known - quoted if not any(name.startswith(beginning) for beginning in computed)
    }
    assert not left_over


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_can_be_said(language: str) -> None:
    words = Texts().in_language(language)
    for key, names in sentences(language).items():
        for number in (0, 1, 2, 1234567):
            said = words(key, **dict.fromkeys(names, number))
            assert "{" not in said, key


def test_what_comes_from_outside_is_escaped_once() -> None:
    words = Texts().in_language("en")
    inner = words("card-title", title="<b>&\"'")
    assert inner == "📝 <b>&lt;b&gt;&amp;&quot;&#x27;</b>"
    assert words("line-place", line=inner, place=1).startswith(inner)
    assert words.plain("button-cancel") == "Cancel"
    assert isinstance(inner, Html)


@pytest.mark.parametrize(
    ("code", "language"), [("hi", "hi"), ("hi-IN", "hi"), ("en", "en"), ("de", "en"), ("", "en")]
)
def test_the_language_follows_the_users(code: str, language: str) -> None:
    assert Texts().in_language(code).language == language


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "1 min"),
        (30, "1 min"),
        (61, "2 min"),
        (3600, "1 h 0 min"),
        (5000, "1 h 24 min"),
        (300000, "3 days"),
    ],
)
def test_durations_are_rough(seconds: float, said: str) -> None:
    assert Texts().in_language("en").duration(seconds) == said


def test_long_text_is_cut_before_it_is_formatted() -> None:
    assert cut("a" * 10, 5) == "aaaa…"
