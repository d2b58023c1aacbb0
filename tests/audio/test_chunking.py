import time
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from workers.audio.chunking import SEGMENT_CHARS, Chunk, split
from workers.audio.graphemes import may_cut
from workers.audio.sentences import Pause

PIECES = st.sampled_from(
    [
        *"aZ1 .,!?…।॥|\n\t\"'”)]*-—:;😀क",
        *("कि", "क्ष", "ड़", "\u200d", "\u0301", "🇮🇳", "👨\u200d👩", "❤\ufe0f", "\r\n", "\ud83d", "\x00"),
        *("राम ", "word ", ". ", "। ", "Dr. ", "3.5", "डॉ. ", "   ", "x" * 90),
    ]
)
SCRIPTS = st.one_of(st.lists(PIECES, max_size=400).map("".join), st.text(max_size=600))
SIZES = st.integers(min_value=1, max_value=700)
LONGEST_SIGN = 20


def bare(text: str) -> str:
    return "".join(text.split())


def texts(chunks: list[Chunk]) -> list[str]:
    return [segment.text for chunk in chunks for segment in chunk.segments]


@given(SCRIPTS, SIZES)
@example(" " * 1200 + "a" + "\n" * 700, 500)
@example("क्" * 600, 7)
def test_nothing_is_dropped_and_nothing_added(script: str, chunk_size: int) -> None:
    chunks = split(script, chunk_size)
    assert "".join(chunk.text for chunk in chunks) == script
    for chunk in chunks:
        assert "".join(bare(segment.text) for segment in chunk.segments) == bare(chunk.text)


@given(SCRIPTS, SIZES)
def test_no_chunk_and_no_segment_is_too_long_or_empty(script: str, chunk_size: int) -> None:
    chunks = split(script, chunk_size)
    assert all(1 <= len(chunk.text) <= chunk_size for chunk in chunks)
    assert all(1 <= len(text) <= SEGMENT_CHARS and text == text.strip() for text in texts(chunks))


@given(st.lists(PIECES.filter(lambda piece: piece not in ("\u0301", "\u200d")), max_size=300).map("".join))
def test_no_sign_is_torn_apart_between_chunks(script: str) -> None:
    at = 0
    for chunk, _ in pairwise(split(script, LONGEST_SIGN * 2)):
        at += len(chunk.text)
        assert may_cut(script, at)


def test_chunks_end_at_sentence_ends() -> None:
    script = "One two three four. " * 30 + "यह एक वाक्य है। " * 30
    assert all(chunk.text.rstrip()[-1] in ".।" for chunk in split(script, 100))


def test_a_sentence_that_fits_into_a_chunk_is_not_spread_over_two() -> None:
    long = "word " * 70 + "end. "
    assert [chunk.text for chunk in split("Short one here. " * 20 + long, 400)][-1] == long


def test_short_sentences_share_a_segment_and_long_ones_have_their_own() -> None:
    long = "This sentence is long enough to be spoken alone, as you can hear."
    (chunk,) = split(f"Yes. No. {long} {long} Ok.", 500)
    assert [segment.text for segment in chunk.segments] == [f"Yes. No. {long}", f"{long} Ok."]


def test_a_heading_keeps_its_paragraph_pause_however_short() -> None:
    (chunk,) = split("Part one\nHe came. He saw.\nThe end", 500)
    assert [(segment.text, segment.pause) for segment in chunk.segments] == [
        ("Part one", Pause.PARAGRAPH),
        ("He came. He saw.", Pause.PARAGRAPH),
        ("The end", Pause.PARAGRAPH),
    ]


def test_an_over_long_sentence_is_cut_at_commas_in_balanced_parts() -> None:
    clause = "और फिर वे सब लोग एक साथ नदी के किनारे गए"
    (chunk,) = split(", ".join([clause] * 6) + "।", 500)
    assert [segment.text[-1] for segment in chunk.segments] == [",", "।"]
    assert [segment.pause for segment in chunk.segments] == [Pause.SOFT, Pause.PARAGRAPH]
    first, second = (len(segment.text) for segment in chunk.segments)
    assert abs(first - second) < 10


def test_without_commas_it_is_cut_at_spaces() -> None:
    words = "शब्द " * 100
    (chunk,) = split(words.strip(), 500)
    assert set(" ".join(segment.text for segment in chunk.segments).split()) == {"शब्द"}
    assert max(len(segment.text) for segment in chunk.segments) < 180


def test_a_comma_within_a_number_is_no_place_to_cut() -> None:
    script = "1,25,000 " * 60
    assert {word for text in texts(split(script, 500)) for word in text.split()} == {"1,25,000"}


def test_a_chunk_size_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="chunk_size"):
        split("text", 0)


HOSTILE = {
    "dots": ".",
    "line breaks": "\n",
    "no spaces": "क",
    "flags": "🇮🇳",
    "accents": "\u0301",
    "joined": "क्",
    "initials": "A. ",
    "quotes": '."',
    "dashes": " - ",
    "sentences": "?क",
}


@pytest.mark.parametrize("unit", HOSTILE.values(), ids=HOSTILE.keys())
def test_the_work_grows_in_step_with_the_script(unit: str) -> None:
    # A quadratic search takes minutes here; the bound leaves a slow machine room.
    started = time.process_time()
    split(unit * (200_000 // len(unit)), 500)
    assert time.process_time() - started < 3
