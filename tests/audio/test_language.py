import pytest

from workers.audio.language import language_of


@pytest.mark.parametrize(
    ("script", "language"),
    [
        ("The river flows to the sea.", "en"),
        ("नदी समुद्र तक जाती है।", "hi"),
        ("आज हम machine learning और AI के बारे में बात करेंगे।", "hi"),
        ("The word नमस्ते is a greeting that is used all over the north of India.", "en"),
        ("1947 !!!", "en"),
    ],
)
def test_the_letters_tell_the_language(script: str, language: str) -> None:
    assert language_of(script, {}) == language
    assert language_of(script, {"language": "auto"}) == language


@pytest.mark.parametrize(
    ("wanted", "language"), [("hi", "hi"), ("EN", "en"), ("hi-IN", "hi"), ("Hindi", "hi")]
)
def test_the_channel_decides_if_it_has_a_language(wanted: str, language: str) -> None:
    other = {"hi": "only English words", "en": "केवल हिंदी"}[language]
    assert language_of(other, {"language": wanted}) == language


def test_a_language_that_is_not_ours_counts_as_none() -> None:
    assert language_of("नमस्ते", {"language": "fr"}) == language_of("नमस्ते", {"language": 7}) == "hi"
