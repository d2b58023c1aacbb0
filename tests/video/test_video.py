"""The finished video, measured: what it shows, how long, in which coding."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from tests.video import media
from tests.video.media import BLUE, GREEN, RED, colour_at, frame, near
from tests.video.studio import PLACE, Studio
from workers.video.sound import LOUDNESS_LUFS


async def test_a_video_has_the_length_of_its_recording_and_plays_everywhere(studio: Studio) -> None:
    studio.record(3.33)
    studio.add("a.jpg", media.photo())
    studio.add("b.png", media.plain(GREEN))
    result = await studio.make()

    video, sound = media.streams(studio.video)
    assert re.search(r"h264 \(High\).*yuv420p\(tv, bt709, progressive\), 1920x1080 \[SAR 1:1.* 25 fps", video)
    assert re.search(r"aac \(LC\).*48000 Hz, stereo", sound)
    assert media.boxes(studio.video)[:2] == ["ftyp", "moov"]
    assert media.decoded(studio.video, "v") == (84, 3.36)
    assert media.decoded(studio.video, "a")[1] == pytest.approx(3.33, abs=0.1)
    assert result == {
        "video_path": f"{PLACE}/video.mp4",
        "thumbnail_path": f"{PLACE}/thumbnail.jpg",
        "duration_s": 3.36,
        "size_bytes": studio.video.stat().st_size,
        "pictures": 2,
        "notes": [],
    }


async def test_nothing_but_video_and_thumbnail_is_left_and_only_we_may_read_them(studio: Studio) -> None:
    studio.record(1)
    studio.add("a.jpg", media.photo())
    await studio.make()
    assert studio.left_over() == []
    assert not studio.render.exists()
    assert [oct(each.stat().st_mode & 0o777) for each in (studio.video, studio.folder / "thumbnail.jpg")] == [
        "0o600",
        "0o600",
    ]


async def test_the_thumbnail_is_the_first_picture_and_small(studio: Studio) -> None:
    studio.record(1)
    noise = Image.merge("RGB", [Image.effect_noise((1280, 720), 120) for _ in range(3)])
    studio.add("1.png", noise)
    await studio.make()
    place = studio.folder / "thumbnail.jpg"
    assert place.stat().st_size < 200_000
    with Image.open(place) as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("JPEG", (1280, 720))


async def test_each_picture_is_seen_equally_long_in_the_order_people_count(studio: Studio) -> None:
    studio.record(6)
    for name, colour in (("img10.png", BLUE), ("img2.png", GREEN), ("IMG1.png", RED)):
        studio.add(name, media.plain(colour))
    await studio.make()
    for first_s, colour in ((0, RED), (2, GREEN), (4, BLUE)):
        for at_s in (first_s, first_s + 1.96):
            assert near(colour_at(frame(studio.video, at_s), 960, 540), colour), (at_s, colour)


async def test_of_too_many_pictures_an_even_choice_is_shown(studio: Studio) -> None:
    studio.record(4.6)
    for number in range(9):
        studio.add(f"{number}.png", media.plain((25 * number + 20, 128, 128)))
    result = await studio.make()
    shown = [colour_at(frame(studio.video, at_s), 960, 540)[0] for at_s in (0.7, 2.3, 3.9)]
    assert result["pictures"] == 3
    assert shown == [pytest.approx(25 * number + 20, abs=6) for number in (0, 4, 8)]
    assert result["notes"] == ["There are too many pictures for this length: 3 are shown, 6 are not."]


async def test_colours_arrive_as_they_were(studio: Studio) -> None:
    studio.record(2)
    bars = media.plain((128, 128, 128), (1920, 1080))
    for place, colour in enumerate((RED, GREEN, BLUE, (255, 255, 255))):
        bars.paste(colour, (place * 480, 0, place * 480 + 480, 1080))
    studio.add("bars.jpg", bars)
    await studio.make()
    seen = frame(studio.video, 1)
    for place, colour in enumerate((RED, GREEN, BLUE, (255, 255, 255))):
        assert near(colour_at(seen, place * 480 + 240, 540), colour)


def marked(size: tuple[int, int]) -> Image.Image:
    """A green picture with a blue square of 100 px in its middle."""
    image = media.plain(GREEN, size)
    x, y = size[0] // 2, size[1] // 2
    image.paste(BLUE, (x - 50, y - 50, x + 50, y + 50))
    return image


def extent(image: Image.Image, colour: media.Colour) -> tuple[int, int]:
    """Width and height of what has this colour along the middle row and column, px."""
    across = sum(near(colour_at(image, x, 540), colour, 25) for x in range(1920))
    down = sum(near(colour_at(image, 960, y), colour, 25) for y in range(1080))
    return across, down


@pytest.mark.parametrize("size", [(800, 600), (1000, 300), (1280, 720)])
async def test_a_landscape_picture_fills_the_frame_unstretched(studio: Studio, size: tuple[int, int]) -> None:
    studio.record(0.5)
    studio.add("wide.png", marked(size))
    await studio.make()
    seen = frame(studio.video, 0.2)
    for x, y in ((2, 2), (1917, 2), (2, 1077), (1917, 1077)):
        assert near(colour_at(seen, x, y), GREEN)
    enlarged = 100 * max(1920 / size[0], 1080 / size[1])
    assert extent(seen, BLUE) == pytest.approx((enlarged, enlarged), abs=4)


async def test_a_portrait_picture_stands_whole_before_a_blurred_copy(studio: Studio) -> None:
    studio.record(0.5)
    image = marked((600, 900))
    image.paste(BLUE, (0, 0, 75, 900))
    studio.add("tall.png", image)
    await studio.make()
    seen = frame(studio.video, 0.2)
    enlarged = 100 * 1080 / 900
    assert extent(seen.crop((700, 0, 2620, 1080)), BLUE)[0] == pytest.approx(enlarged, abs=4)
    assert extent(seen, BLUE)[1] == pytest.approx(enlarged, abs=4)
    # 600 x 900 becomes 720 x 1080, in the middle: it begins at x = 600.
    assert near(colour_at(seen, 630, 1075), BLUE)
    assert near(colour_at(seen, 1315, 5), GREEN)
    red, green, _ = colour_at(seen, 500, 1000)
    assert green > 2 * red
    assert green < GREEN[1] * 0.7  # darker, so that it stays behind
    assert green > 40  # and yet no black bar
    # Blurred: the edge of the blue bar, at x = 240 in the enlarged copy, is a slope.
    row = [colour_at(seen, x, 540)[2] for x in range(0, 596, 4)]
    assert row[0] - row[-1] > 50
    assert max(abs(a - b) for a, b in pairwise(row)) < 12


@pytest.mark.parametrize(("orientation", "corner"), [(1, (100, 100)), (3, (1820, 980)), (6, (1820, 100))])
async def test_the_way_the_camera_was_held_is_honoured(
    studio: Studio, orientation: int, corner: tuple[int, int]
) -> None:
    studio.record(0.5)
    turned = orientation == 6
    image = media.plain(GREEN, (900, 1600) if turned else (1600, 900))
    image.paste(RED, (0, 0, 450, 450))  # the top left corner as stored
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(studio.pictures / "held.jpg", quality=92, exif=exif)
    await studio.make()
    seen = frame(studio.video, 0.2)
    corners = [(100, 100), (1820, 100), (100, 980), (1820, 980)]
    assert [each for each in corners if near(colour_at(seen, *each), RED, 12)] == [corner]


async def test_the_sound_is_as_loud_as_youtube_plays_it(studio: Studio) -> None:
    studio.record(6)
    await studio.make()
    before, after = (media.loudness_lufs(each) for each in (studio.folder / "audio.wav", studio.video))
    assert abs(before - LOUDNESS_LUFS) > 2
    assert after == pytest.approx(LOUDNESS_LUFS, abs=0.5)


async def test_a_video_made_again_replaces_the_one_before(studio: Studio) -> None:
    studio.record(1)
    studio.add("a.png", media.plain(RED))
    await studio.make()
    studio.record(2)
    (studio.pictures / "a.png").unlink()
    studio.add("b.png", media.plain(BLUE))
    await studio.make()
    assert media.decoded(studio.video, "v")[0] == 50
    assert near(colour_at(frame(studio.video, 1), 960, 540), BLUE)


async def test_progress_rises_in_plain_words_and_leaves_the_last_percent_to_the_queue(studio: Studio) -> None:
    studio.record(5)
    for number in range(2):
        studio.add(f"{number}.jpg", media.photo())
    await studio.make()
    percents = [each.percent for each in studio.reports]
    assert percents == sorted(percents)
    assert percents[-1] < 100
    assert len([each for each in percents if 10 < each < 88]) >= 3  # while frames are rendered
    steps = list(dict.fromkeys(each.message for each in studio.reports))
    assert steps == ["preparing pictures", "rendering", "joining", "checking"]


async def test_stretches_that_are_equal_are_rendered_once(studio: Studio, logging_ffmpeg: Path) -> None:
    studio.record(10)
    studio.add("a.png", media.plain(RED))
    await studio.make(program=logging_ffmpeg)
    commands = (logging_ffmpeg.parent / "commands.txt").read_text().splitlines()
    assert len([each for each in commands if "libx264" in each]) == 1
    assert media.decoded(studio.video, "v")[0] == 250
