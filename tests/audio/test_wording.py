import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.audio.wording import readable


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Plain words, as they stand: 3.5% of 1,25,000!", "Plain words, as they stand: 3.5% of 1,25,000!"),
        ("राम आया।सीता गई॥", "राम आया. सीता गई."),
        ("यह देखिए | वह भी", "यह देखिए. वह भी"),
        ("**bold** and `code` and _this_", "bold and code and this"),
        ("# Heading with C# and 5*3", "Heading with C# and 5*3"),
        ("Hello 😀 you 👨\u200d👩\u200d👧 there ❤\ufe0f", "Hello you there"),
        ("यह ₹500 का है, वह ₹2.5 लाख का", "यह 500 रुपये का है, वह 2.5 लाख रुपये का"),
        ("₹5 करोड\u093c। ₹3 लाखों", "5 करोड\u093c रुपये. 3 रुपये लाखों"),
        ("It costs ₹1,500.", "It costs 1,500 rupees."),
        ("a\x00b\x07c\ud83dd\u202ee", "a b c de"),
        ("क्\u200dष", "क्\u200dष"),
        ("<speak>a &amp; b</speak>", "<speak>a &amp; b</speak>"),
    ],
)
def test_what_is_read_are_the_words(text: str, words: str) -> None:
    assert readable(text) == words


@pytest.mark.parametrize("text", ["", "😀🎉", "***", "।", "॥ ... !", "—", "\ud83d", "\u200d\ufe0f"])
def test_where_there_are_no_words_nothing_is_read(text: str) -> None:
    assert readable(text) == ""


@given(st.text(st.characters(exclude_categories=("So", "Sk"))))
def test_no_letter_is_lost_from_any_text(text: str) -> None:
    letters = [sign for sign in text if sign.isalpha()]
    kept = iter(readable(text).replace("rupees", "").replace("रुपये", ""))
    assert all(letter in kept for letter in letters)


@given(st.text(max_size=50))
def test_whatever_is_sent_can_be_handed_to_the_voice(text: str) -> None:
    line = readable(text).encode()
    assert not set(line) & set(range(32))
