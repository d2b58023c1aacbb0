"""What the embedded voice is given to read: the words of a segment without the signs it would stumble over.

Found by listening to its phonemes: it says "asterisk" for markdown's stars, "पूर्ण विराम" for a danda that
stands alone, "grinning face" for an emoji, and in Hindi leaves out the rupees of ₹500.
"""

import re
import unicodedata

from workers.audio.language import has_devanagari

_PICTURES = "\U0001f000-\U0001faff\U000e0020-\U000e007f\u2600-\u27bf\u2b00-\u2bff\u20e3\ufe00-\ufe0f"
_PICTURE = re.compile(f"[{_PICTURES}][{_PICTURES}\u200d]*")
_DECORATION = re.compile(r"(?<!\d)\*|\*(?!\d)|[_`~]+|(?<!\w)#+")
_DANDA = re.compile(r"\s*[।॥]+\s*")
_BAR = re.compile(r"\s*\|+\s*")
_SCALE = "ह(?:ज\u093c|\u095b|ज)ार|लाख|करो(?:ड\u093c|\u095c|ड)|अरब|thousand|lakhs?|crores?|million|billion"
_RUPEES = re.compile(rf"₹\s*(?P<sum>\d[\d,]*(?:\.\d+)?(?:\s*(?:{_SCALE})(?![\w\u0900-\u0963]))?)")
_JOINERS = "\u200c\u200d"
"""They shape Hindi conjuncts; every other invisible format sign goes."""


def readable(text: str) -> str:
    """One line that the embedded voice reads as the segment's words; empty if there is nothing to read.

    Whatever could end or alter its input early is gone: NUL and control signs, half emoji (lone surrogates),
    text direction marks. Markup is no markup to it: `<b>` stays what it is.
    """
    hindi = has_devanagari(text)
    plain = "".join(map(_plain, _PICTURE.sub(" ", text)))
    plain = _RUPEES.sub(rf"\g<sum> {'रुपये' if hindi else 'rupees'}", plain)
    plain = _DANDA.sub(". ", _DECORATION.sub(" ", plain))
    if hindi:
        plain = _BAR.sub(". ", plain)
    plain = " ".join(plain.split())
    return plain if any(map(str.isalnum, plain)) else ""


def _plain(sign: str) -> str:
    category = unicodedata.category(sign)
    if category == "Cf":
        return sign if sign in _JOINERS else ""
    return " " if category.startswith(("C", "Z")) else sign
