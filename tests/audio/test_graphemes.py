import pytest

from workers.audio.graphemes import last_cut, may_cut

WHOLE_SIGNS = {
    "matra": "कि",
    "virama between consonants": "क्ष",
    "virama and joiner": "क्\u200dष",
    "nukta and matra": "ड़\u093c",
    "anusvara": "हिं",
    "accent": "e\u0301",
    "family": "👨\u200d👩\u200d👧",
    "skin tone": "👍🏽",
    "heart with its variation": "❤\ufe0f",
    "keycap": "1\ufe0f\u20e3",
    "flag": "🇮🇳",
    "flag of Scotland": "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "line end": "\r\n",
    "Hangul": "\u1112\u1161\u11ab",
}


@pytest.mark.parametrize("sign", WHOLE_SIGNS.values(), ids=WHOLE_SIGNS.keys())
def test_a_sign_is_never_torn_apart(sign: str) -> None:
    text = sign + sign
    assert [at for at in range(len(text) + 1) if may_cut(text, at)] == [0, len(sign), len(text)]


@pytest.mark.parametrize("text", ["ab", "कख", "आम", "a😀", "日本", ". "])
def test_neighbouring_signs_may_be_parted(text: str) -> None:
    assert may_cut(text, 1)


def test_flags_are_paired_from_the_last_cut_on() -> None:
    flags = "🇮🇳🇮🇳🇮🇳"
    assert [at for at in range(1, len(flags)) if may_cut(flags, at)] == [2, 4]
    assert not may_cut(flags, 2, 1)


def test_the_last_cut_lies_before_a_sign_that_crosses_the_limit() -> None:
    assert last_cut("राम कि", 0, 5) == 4


def test_a_sign_longer_than_the_limit_is_cut_at_the_limit_after_all() -> None:
    assert last_cut("e" + "\u0301" * 500, 0, 200) == 200
