"""Splits a script into chunks, and those into segments the engine can speak.

A chunk is the unit of progress and resume; a segment is what one call of the engine speaks. Nothing is
dropped and nothing added: joined again, the chunks are the script, white space and all. The work grows
in step with the length of the script, whatever it is made of.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from workers.audio.graphemes import last_cut, may_cut
from workers.audio.sentences import Pause, Span, spans

SEGMENT_CHARS = 200
"""Longest segment, some 15 s: F5-TTS was trained on 30 s of reference and speech together."""
SHORT_SEGMENT_CHARS = 40
"""Shorter ones join a neighbour where they may: F5-TTS swallows the words of very short texts."""

_SOFT = re.compile(r"[,;:،、][\"'”’)\]]*\s+|\s[-–—]+\s+|—\s*|(?<!\d)–(?!\d)\s*")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Segment:
    """What one call of the engine speaks."""

    text: str
    """1 to 200 characters, no white space at its ends."""
    pause: Pause
    """What follows it."""

    @property
    def speakable(self) -> bool:
        """Whether there is a letter or a digit in it, of any alphabet."""
        return any(map(str.isalnum, self.text))


@dataclass(frozen=True, slots=True)
class Chunk:
    """A unit of progress and resume."""

    text: str
    """Exactly as it stands in the script."""
    segments: tuple[Segment, ...]
    """Every character of `text` that is not white space, in order; empty for a blank chunk."""

    @property
    def speakable(self) -> bool:
        """Whether any of its segments can be spoken."""
        return any(segment.speakable for segment in self.segments)


def split(script: str, chunk_size: int) -> list[Chunk]:
    """Split the script at sentence ends into chunks of at most `chunk_size` characters.

    A sentence that is longer is cut at commas, then at spaces, then between two signs.
    Raises: ValueError if `chunk_size` is not positive.
    """
    if chunk_size < 1:
        raise ValueError(f"chunk_size must be positive, not {chunk_size}")
    return [_chunk(script, group) for group in _groups(script, chunk_size)]


def _groups(script: str, chunk_size: int) -> Iterator[list[Span]]:
    """Spans short enough for a segment, grouped so that each group is a chunk."""
    group: list[Span] = []
    for sentence in spans(script):
        parts = _parts(script, sentence, min(SEGMENT_CHARS, chunk_size))
        whole = sentence.end - sentence.start <= chunk_size
        for unit in [parts] if whole else [[part] for part in parts]:
            if group and unit[-1].end - group[0].start > chunk_size:
                yield group
                group = []
            group.extend(unit)
    if group:
        yield group


def _chunk(script: str, group: list[Span]) -> Chunk:
    segments = []
    for span in _joined(script, group):
        if text := script[span.start : span.end].strip():
            segments.append(Segment(text, span.pause))
    return Chunk(script[group[0].start : group[-1].end], tuple(segments))


def _joined(script: str, group: list[Span]) -> Iterator[Span]:
    """The same text in fewer spans: short ones join a neighbour of their paragraph."""
    held = group[0]
    for span in group[1:]:
        short = min(held.end - held.start, span.end - span.start) < SHORT_SEGMENT_CHARS
        if short and held.pause is not Pause.PARAGRAPH and span.end - held.start <= SEGMENT_CHARS:
            held = Span(held.start, span.end, span.pause)
        else:
            yield held
            held = span
    yield held


def _parts(script: str, sentence: Span, limit: int) -> list[Span]:
    """The sentence in balanced parts of at most `limit` characters, blanks counted."""
    if sentence.end - sentence.start <= limit:
        return [sentence]
    cuts = [sentence.start]
    while (rest := sentence.end - cuts[-1]) > limit:
        # Balanced: 210 characters become twice 105, not 200 and a gasp of 10.
        wanted = -(-rest // -(-rest // limit))
        cuts.append(_cut(script, cuts[-1], wanted, limit))
    cuts.append(sentence.end)
    parts = [Span(start, end, Pause.SOFT) for start, end in pairwise(cuts)]
    return [*parts[:-1], Span(parts[-1].start, parts[-1].end, sentence.pause)]


def _cut(script: str, start: int, wanted: int, limit: int) -> int:
    """The best place to cut, near start + wanted and no later than start + limit."""
    for mark in (_SOFT, _SPACE):
        ends = (found.end() for found in mark.finditer(script, start, start + limit))
        places = [end for end in ends if end - start >= wanted // 2 and may_cut(script, end, start)]
        if places:
            return min(places, key=lambda place: abs(place - start - wanted))
    return last_cut(script, start, start + wanted)
