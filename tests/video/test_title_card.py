"""The card that is shown when there is no picture: Hindi and English, whatever the title holds."""

import logging
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from tests.video import media
from tests.video.studio import Studio, notes
from workers.video import title_card
from workers.video.ffmpeg import FFmpeg

GROUND = (0x10, 0x20, 0x2C)
HINDI = "नमस्ते दुनिया: विज्ञान और प्रौद्योगिकी"


async def card(tmp_path: Path, title: str, channel: str = "") -> Image.Image:
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    picture = await title_card.draw(FFmpeg(), channel, title, work)
    with Image.open(picture.place) as image:
        card: Image.Image = image.convert("RGB")
    return card


def text_box(image: Image.Image) -> tuple[int, int, int, int]:
    """Where there is anything but ground below the rule: left, top, right, bottom, px."""
    area = image.crop((0, 300, 1920, 1080))
    box = (
        ImageChops.difference(area, Image.new("RGB", area.size, GROUND))
        .convert("L")
        .point(lambda value: 255 * (value > 20))
        .getbbox()
    )
    assert box is not None, "the card is blank"
    return box


@pytest.mark.parametrize("title", [HINDI, "The deep sea", f"{HINDI} and English, 1/2 “both” – ₹500"])
async def test_the_title_is_drawn_with_no_empty_boxes(
    tmp_path: Path, title: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        left, _, right, _ = text_box(await card(tmp_path, title))
    assert right - left > 300
    assert 150 < left < right < 1770  # in the middle, inside the margins
    assert caplog.records == []


async def test_a_letter_without_a_shape_would_be_noticed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await card(tmp_path, "日本")
    assert "empty boxes" in caplog.text


async def test_hindi_syllables_are_joined(tmp_path: Path) -> None:
    # क + virama + ष is one letter when it is shaped, and wider in pieces (held apart by a non-joiner).
    joined, apart = [text_box(await card(tmp_path, text)) for text in ("क्ष" * 8, "क्\u200cष" * 8)]
    assert joined[2] - joined[0] < 0.8 * (apart[2] - apart[0])


@pytest.mark.parametrize(
    "title", [r"{\an1}up {\p1}m 0 0{\p0}", r"C:\new\host", "a{b", "x" * 500, "word " * 200, "क" * 300]
)
async def test_no_title_escapes_its_place(studio: Studio, tmp_path: Path, title: str) -> None:
    channel, words = title_card.wording(studio.job(title=title))
    left, top, right, bottom = text_box(await card(tmp_path, words, channel))
    assert 100 < left < right < 1820
    assert 20 < top < bottom < 760  # below the rule, above the lower edge
    assert abs((left + right) / 2 - 960) < 60


async def test_braces_are_shown_and_not_obeyed(tmp_path: Path) -> None:
    plain, braced = [text_box(await card(tmp_path, text)) for text in ("a b", "a {quite long} b")]
    assert braced[2] - braced[0] > 2 * (plain[2] - plain[0])


def test_a_title_loses_what_the_font_cannot_draw_and_its_line_breaks(studio: Studio) -> None:
    assert title_card.wording(studio.job(title=f"😀 {HINDI}\n日本 ok\x00"))[1] == f"{HINDI} ok"


def test_without_a_title_date_and_number_stand_in(studio: Studio) -> None:
    for title in ("", "日本", 7, None):
        assert title_card.wording(studio.job(title=title)) == ("BI", "2025-01-27 · Video 1")


def test_the_card_names_the_channel_as_its_people_do(studio: Studio) -> None:
    assert title_card.wording(studio.job(profile={"name": "भारत"}))[0] == "भारत"


@pytest.mark.parametrize("folder", ["nature", "missing", ""])
async def test_without_any_picture_the_video_shows_the_card_and_says_so(studio: Studio, folder: str) -> None:
    studio.record(0.3)
    result = await studio.make(image_folder=folder, title=HINDI)
    said = notes(result)
    assert result["pictures"] == 0
    assert said[0] == "The video shows a title card, as there was no picture to show."
    assert said[1] in {
        "The picture folder nature holds no pictures.",
        "There is no picture folder missing.",
        "No picture folder is set for this channel.",
    }
    seen = media.frame(studio.video, 0.1)
    assert media.near(media.colour_at(seen, 20, 20), GROUND)
    assert text_box(seen)


async def test_when_all_pictures_are_broken_the_card_is_shown_too(studio: Studio) -> None:
    studio.record(0.5)
    (studio.pictures / "a.jpg").write_text("text")
    said = notes(await studio.make())
    assert "title card" in said[0]
    assert said[1].startswith("a.jpg was left out")
