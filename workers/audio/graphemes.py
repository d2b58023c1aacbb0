"""Where a text may be cut without tearing a sign apart, such as a matra from its consonant.

Source: Unicode Standard Annex 29, rules GB3 and GB9 to GB13, for the scripts we narrate. (The third-party
`regex` module knows all of them, but a 30-line table is easier to carry to a rented machine.)
"""

import unicodedata

JOINER = "\u200d"
VIRAMA_CLASS = 9
"""Canonical combining class of the signs that fuse two consonants, such as the Hindi halant."""
EXTENDING_CATEGORIES = frozenset({"Mn", "Mc", "Me"})


def may_cut(text: str, at: int, since: int = 0) -> bool:
    """Whether text[:at] and text[at:] both consist of whole signs.

    Args:
        since: an earlier place where the text may be cut; nothing before it is looked at.
    """
    if at <= since or at >= len(text):
        return True
    left, right = text[at - 1], text[at]
    if left < "\u0300" and right < "\u0300":
        return (left, right) != ("\r", "\n")
    if left == JOINER or _extends(right):
        return False
    if unicodedata.combining(left) == VIRAMA_CLASS and unicodedata.category(right) == "Lo":
        return False
    if _is_flag_letter(right):
        return _flag_letters_before(text, at, since) % 2 == 0
    return True


def last_cut(text: str, start: int, limit: int) -> int:
    """The last place in (start, limit] where the text may be cut; `limit` itself if one sign fills it all."""
    for at in range(limit, start, -1):
        if may_cut(text, at, start):
            return at
    return limit


def _extends(sign: str) -> bool:
    """Whether the sign only changes the one before it: accents, matras, joiners, skin tones, tags, jamo."""
    return (
        unicodedata.category(sign) in EXTENDING_CATEGORIES
        or sign in "\u200c\u200d"
        or "\U0001f3fb" <= sign <= "\U0001f3ff"
        or "\U000e0020" <= sign <= "\U000e007f"
        or "\u1160" <= sign <= "\u11ff"
    )


def _is_flag_letter(sign: str) -> bool:
    return "\U0001f1e6" <= sign <= "\U0001f1ff"


def _flag_letters_before(text: str, at: int, since: int) -> int:
    first = at
    while first > since and _is_flag_letter(text[first - 1]):
        first -= 1
    return at - first
