import pytest

from workers.audio.sentences import Pause, spans


def sentences(script: str) -> list[str]:
    """The script's sentences without the white space that follows each."""
    return [script[span.start : span.end].strip() for span in spans(script)]


@pytest.mark.parametrize(
    "expected",
    [
        ["He came.", "He saw!", "Did he win?", "Yes…", "Well."],
        ["राम आया।", "सीता भी आई॥", "कौन गया?", "कोई नहीं!"],
        ["यह देखिए|", "वह भी |", "अंत"],
        ["राम ने कहा, “मैं आता हूँ।”", "फिर वह गया।"],
        ["(He said so.)", "“Really?”", "[Yes!]", "**No.**", "Done."],
        ["What?!", "No way!!!", "OK."],
        ["Well...", "Then he left."],
        ["5 बज गए.", "चलो घर चलें."],
        ["Did he come?", "No.", "He left."],
    ],
)
def test_sentences_end_at_their_marks_and_keep_their_closing_quotes(expected: list[str]) -> None:
    assert sentences(" ".join(expected)) == expected


@pytest.mark.parametrize(
    "sentence",
    [
        "Dr. Rao met Mr. Singh and Mrs. Das vs. the town.",
        "It cost Rs. 500, i.e. more than No. 7 had, e.g. at 5 p.m. on Monday.",
        "डॉ. शर्मा और श्री. वर्मा ने रु. 500 दिए।",
        "A. P. J. Abdul Kalam and A.P.J. Kalam are one.",
        "ए.पी.जे. अब्दुल कलाम और आई.ए.एस. अफ़सर मिले।",
        "It is 3.5 per cent of 1,25,000.50 and ३.५ more.",
        "See example.com/a?b=c!d for more.",
        "He waited... and waited… and went.",
        "a | b | c",
        "1. The first point",
    ],
)
def test_a_dot_that_ends_no_sentence_is_passed_over(sentence: str) -> None:
    assert sentences(sentence) == [sentence]


def test_hindi_typed_without_spaces_is_divided_all_the_same() -> None:
    assert sentences("राम आया।सीता गई.मोहन रहा?हाँ") == ["राम आया।", "सीता गई.", "मोहन रहा?", "हाँ"]


def test_a_line_break_ends_a_paragraph_whatever_stands_before_it() -> None:
    script = "A heading\nOne. Two.\r\n\r\nThree, Dr.\nFour"
    assert [(script[s.start : s.end].strip(), s.pause) for s in spans(script)] == [
        ("A heading", Pause.PARAGRAPH),
        ("One.", Pause.SENTENCE),
        ("Two.", Pause.PARAGRAPH),
        ("Three, Dr.", Pause.PARAGRAPH),
        ("Four", Pause.PARAGRAPH),
    ]


def test_a_mark_that_carries_an_accent_is_not_parted_from_it() -> None:
    assert sentences("One. \u0301Two.") == ["One. \u0301Two."]
