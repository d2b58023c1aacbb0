"""Where sentences and paragraphs end in Hindi, English and mixed scripts."""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from workers.audio.graphemes import may_cut


class Pause(StrEnum):
    """How long the voice rests after a stretch of text."""

    SOFT = "soft"  # inside a sentence, as at a comma
    SENTENCE = "sentence"
    PARAGRAPH = "paragraph"


class Span(NamedTuple):
    """The stretch script[start:end], white space after it included, and the pause that follows."""

    start: int
    end: int
    pause: Pause


# Both alternatives match at every place where they begin to match (`++` and `*+` never give back),
# so that a search through 200,000 dots is one pass. What a match means is decided afterwards.
_CLOSERS = "\"'”’»›)\\]}*_"
_STOP = re.compile(rf"(?P<mark>[.!?…।॥|]++)[{_CLOSERS}]*+(?P<space>\s*+)|[\n\r\x0b\x0c\x85\u2028\u2029]\s*+")
_LINE_BREAK = re.compile(r"[\n\r\x0b\x0c\x85\u2028\u2029]")

_LOOK_BACK = 16
"""Longest abbreviation that is recognised, in characters before its dot."""
_ABBREVIATION = re.compile(
    r"(?:(?<!\w)(?:[Dd]r|[Mm]rs?|[Mm]s|[Pp]rof|[Ss]r|[Jj]r|[Ss]t|vs|Vs|[Rr]s|Re|[Ff]ig|[Ee]\.g|[Ii]\.e|"
    r"[AaPp]\.[Mm]|[Aa]pprox|[Gg]ovt|Lt|Col|Gen|Capt|Hon|[A-Z])"
    r"|(?<![\u0900-\u0963\u0971-\u097f])(?:डॉ|डा|श्री|श्रीमती|प्रो|रु|रू|नं|सं|स्व|कु|पं|मो|मि|ई\.पू|"
    r"ए|बी|सी|डी|एफ|एच|जे|एल|एम|एन|पी|आर|एस|यू|वी|डब्ल्यू|एक्स))\.\Z"
)
_NUMBERED = re.compile(r"(?<!\w)(?:No|no|Nos|Art|Sec|Ch|Vol)\.\Z")
"""Short for something only when a number follows: "No. He left." is two sentences."""
_LIST_NUMBER = re.compile(r"(?:^|[\n\r])[ \t]*\d{1,3}\.\Z")
_DEVANAGARI_LETTER = re.compile(r"[\u0904-\u0939\u0958-\u0961\u0972-\u097f]")
_SPELT_OUT = re.compile(r"[\u0900-\u0963\u0971-\u097f]{1,4}\.")
"""What follows the dot in आई.ए.एस. and the like."""
_AFTER_DEVANAGARI = re.compile(r"[\u0900-\u097f][\"'”’)\]]?\s{0,2}\Z")


def spans(script: str) -> Iterator[Span]:
    """The sentences of the script, in order and without gaps: together they are the script.

    Their length has no limit, and they may be blank or hold nothing but signs.
    """
    start = 0
    for stop in _STOP.finditer(script):
        pause = _pause_at(script, stop)
        if pause is not None and may_cut(script, stop.end(), start):
            yield Span(start, stop.end(), pause)
            start = stop.end()
    if start < len(script):
        yield Span(start, len(script), Pause.PARAGRAPH)


def _pause_at(script: str, stop: re.Match[str]) -> Pause | None:
    """The pause that a mark or a line break asks for; None if the sentence goes on."""
    if stop.end() == len(script) or _LINE_BREAK.search(stop.group()):
        return Pause.PARAGRAPH
    return Pause.SENTENCE if _ends_sentence(script, stop) else None


def _ends_sentence(script: str, stop: re.Match[str]) -> bool:
    mark, following = stop["mark"], script[stop.end()]
    if "।" in mark or "॥" in mark:
        return True
    if "|" in mark:
        # Many a keyboard has no danda: in Hindi text the bar stands for it.
        return bool(_AFTER_DEVANAGARI.search(_before(script, stop.start())))
    if not stop["space"]:
        # "3.5", "example.com", "?id=7" go on; Hindi is often typed without the space.
        return bool(_DEVANAGARI_LETTER.match(following)) and not (
            _SPELT_OUT.match(script, stop.end()) or _is_abbreviation(script, stop, following)
        )
    if mark in ("…", "...") or (mark.startswith("..") and not mark.strip(".")):
        return not following.islower()
    return not (mark == "." and _is_abbreviation(script, stop, following))


def _is_abbreviation(script: str, stop: re.Match[str], following: str) -> bool:
    tail = _before(script, stop.start() + 1)
    if _ABBREVIATION.search(tail) or _LIST_NUMBER.search(tail):
        return True
    return following.isdigit() and bool(_NUMBERED.search(tail))


def _before(script: str, end: int) -> str:
    return script[max(0, end - _LOOK_BACK) : end]
