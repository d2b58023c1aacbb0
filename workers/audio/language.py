"""Which language a script is narrated in."""

import re
from collections.abc import Mapping

from jobqueue.job import Json

HINDI = "hi"
ENGLISH = "en"

HINDI_SHARE = 0.2
"""A script is Hindi from this share of Devanagari letters on: the Hindi voice reads the English words of
mixed text, the English voice would spell out the Hindi ones."""

_DEVANAGARI = re.compile(r"[\u0904-\u0939\u0958-\u0961\u0972-\u097f]")
_LATIN = re.compile(r"[A-Za-z]")


def has_devanagari(text: str) -> bool:
    """Whether there is at least one Devanagari letter."""
    return _DEVANAGARI.search(text) is not None


def language_of(script: str, profile: Mapping[str, Json]) -> str:
    """`hi` or `en`: what the channel asks for, else what the letters of the script say."""
    wanted = profile.get("language")
    if isinstance(wanted, str) and (code := wanted.strip().lower()[:2]) in (HINDI, ENGLISH):
        return code
    devanagari = len(_DEVANAGARI.findall(script))
    latin = len(_LATIN.findall(script))
    return HINDI if devanagari and devanagari >= HINDI_SHARE * (devanagari + latin) else ENGLISH
