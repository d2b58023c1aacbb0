"""Files that users call pictures: which are shown, and what is said of the others."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.video import media
from tests.video.media import BLUE, GREEN, RED, colour_at, frame, near
from tests.video.studio import Studio, notes
from workers.video import pictures
from workers.video.errors import PictureUnusable
from workers.video.ffmpeg import FFmpeg
from workers.video.preparation import Prepared, prepare


def saved(place: Path, image: Image.Image, form: str, **options: object) -> None:
    image.save(place, form, **options)


def truncated_jpeg(place: Path) -> None:
    media.photo().save(place, "JPEG", quality=90)
    data = place.read_bytes()
    place.write_bytes(data[: len(data) // 2])


def flipped_jpeg(place: Path) -> None:
    media.photo().save(place, "JPEG", quality=90)
    data = bytearray(place.read_bytes())
    chance = random.Random(1)
    for _ in range(60):
        data[chance.randrange(700, len(data))] ^= 1 << chance.randrange(8)
    place.write_bytes(data)


def truncated_png(place: Path) -> None:
    media.photo((400, 300)).save(place, "PNG")
    data = place.read_bytes()
    place.write_bytes(data[: len(data) // 2])


def bomb(place: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(place, "PNG")


def heic(place: Path) -> None:
    place.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(2000))


def playlist(place: Path) -> None:
    place.write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda place: place.write_bytes(b""), "it is empty"),
    "text": (lambda place: place.write_text("<html>no picture</html>"), "it is not a picture"),
    "playlist": (playlist, "it is not a picture"),
    "truncated jpeg": (truncated_jpeg, "it is damaged or cut short"),
    "flipped jpeg": (flipped_jpeg, "it is damaged or cut short"),
    "truncated png": (truncated_png, "it is damaged or cut short"),
    "bomb": (bomb, "it has more than 80 million pixels"),
    "heic": (heic, "HEIC pictures cannot be read: save it as JPEG"),
    "tiny": (
        lambda place: saved(place, media.plain(RED, (100, 80)), "PNG"),
        "it is too small (100 × 80 pixels",
    ),
    "dot": (lambda place: saved(place, media.plain(RED, (1, 1)), "PNG"), "it is too small (1 × 1 pixels"),
    "eps": (lambda place: saved(place, media.plain(RED), "EPS"), "it is not a picture"),
}


async def prepared(studio: Studio, wanted: int = 10) -> Prepared:
    work = studio.root / "work"
    work.mkdir()
    files = sorted(studio.pictures.iterdir())
    return await prepare(FFmpeg(), files, wanted, work, lambda share: None)


@pytest.mark.parametrize(("make", "reason"), BROKEN.values(), ids=BROKEN)
async def test_a_picture_that_cannot_be_shown_is_named_with_its_reason(
    studio: Studio, make: Callable[[Path], object], reason: str
) -> None:
    make(studio.pictures / "holiday.jpg")
    found = await prepared(studio)
    assert found.pictures == ()
    assert len(found.notes) == 1
    assert found.notes[0].startswith(f"holiday.jpg was left out: {reason}")
    assert not (studio.root / "work" / "original.part").exists()


def half_clear() -> Image.Image:
    image = Image.new("RGBA", (640, 360), (*RED, 255))
    image.paste((0, 0, 0, 0), (0, 0, 640, 100))
    return image


def deep_grey() -> Image.Image:
    return Image.new("I;16", (640, 360), 32768)


def mpo(place: Path) -> None:
    """Two pictures in one JPEG file, as phones and 3D cameras write them."""
    saved(place, media.plain(RED), "MPO", save_all=True, append_images=[media.plain(BLUE)])


def moving(place: Path, form: str) -> None:
    saved(place, media.plain(RED), form, save_all=True, append_images=[media.plain(BLUE)], duration=100)


USABLE: dict[str, tuple[Callable[[Path], object], media.Colour, str]] = {
    "cmyk jpeg": (lambda place: saved(place, media.plain(RED).convert("CMYK"), "JPEG"), RED, ""),
    "progressive jpeg": (lambda place: saved(place, media.plain(RED), "JPEG", progressive=True), RED, ""),
    "grey jpeg": (lambda place: saved(place, Image.new("L", (640, 360), 90), "JPEG"), (90, 90, 90), ""),
    "mpo": (mpo, RED, ""),
    "16-bit grey": (lambda place: saved(place, deep_grey(), "PNG"), (127, 127, 127), ""),
    "rgba": (lambda place: saved(place, half_clear(), "PNG"), RED, ""),
    "palette": (lambda place: saved(place, media.plain(RED).quantize(16), "PNG"), RED, ""),
    "one bit": (lambda place: saved(place, Image.new("1", (640, 360), 1), "PNG"), (255, 255, 255), ""),
    "tiff": (lambda place: saved(place, media.plain(RED), "TIFF"), RED, ""),
    "bmp": (lambda place: saved(place, media.plain(RED), "BMP"), RED, ""),
    "avif": (lambda place: saved(place, media.plain(RED), "AVIF"), RED, ""),
    "webp": (lambda place: saved(place, media.plain(RED), "WEBP", quality=95), RED, ""),
    "moving gif": (lambda place: moving(place, "GIF"), RED, "its first frame"),
    "moving webp": (lambda place: moving(place, "WEBP"), RED, "its first frame"),
    "odd size": (lambda place: saved(place, media.plain(RED, (641, 363)), "PNG"), RED, ""),
}


@pytest.mark.parametrize(("make", "colour", "remark"), USABLE.values(), ids=USABLE)
async def test_every_common_kind_of_picture_is_shown_whatever_its_name(
    studio: Studio, make: Callable[[Path], object], colour: media.Colour, remark: str
) -> None:
    make(studio.pictures / "misnamed.dat")
    found = await prepared(studio)
    with Image.open(found.pictures[0].place) as image:
        assert (image.mode, image.size) == ("RGB", (1920, 1080))
        assert near(colour_at(image, 960, 700), colour, 8)
    assert (remark in found.notes[0]) if remark else found.notes == ()


async def test_what_is_clear_becomes_white_and_not_black(studio: Studio) -> None:
    saved(studio.pictures / "logo.png", half_clear(), "PNG")
    found = await prepared(studio)
    with Image.open(found.pictures[0].place) as image:
        assert near(colour_at(image, 960, 100), (255, 255, 255))


async def test_rubbish_behind_the_end_of_a_jpeg_does_no_harm(studio: Studio) -> None:
    place = studio.add("phone.jpg", media.photo())
    place.write_bytes(place.read_bytes() + b"SEFT" * 1000)
    found = await prepared(studio)
    assert (len(found.pictures), found.notes) == (1, ())


async def test_where_a_chosen_picture_is_broken_another_takes_its_place(studio: Studio) -> None:
    for number in range(6):
        studio.add(f"{number}.png", media.plain(RED))
    (studio.pictures / "0.png").write_text("broken")
    found = await prepared(studio, wanted=3)
    assert len(found.pictures) == 3


def test_no_bytes_make_a_picture_raise_anything_but_that_it_is_unusable(tmp_path: Path) -> None:
    place = tmp_path / "p"
    chance = random.Random(7)
    for form in ("PNG", "GIF", "WEBP", "TIFF", "BMP", "JPEG"):
        media.photo((400, 300)).save(place, form)
        for _ in range(25):
            data = bytearray(place.read_bytes())
            for _ in range(30):
                data[chance.randrange(len(data))] = chance.randrange(256)
            try:
                image, _ = pictures.decode(bytes(data))
            except PictureUnusable:
                continue
            assert image.mode == "RGB"


async def test_broken_pictures_are_told_and_the_others_fill_the_video(studio: Studio) -> None:
    studio.record(6)
    studio.add("1.png", media.plain(RED))
    truncated_jpeg(studio.pictures / "2.jpg")
    (studio.pictures / "3.jpg").write_text("text")
    studio.add("4.png", media.plain(BLUE))
    result = await studio.make()
    assert notes(result) == [
        "2.jpg was left out: it is damaged or cut short.",
        "3.jpg was left out: it is not a picture, or of a kind that cannot be read:"
        " JPEG, PNG, WebP, AVIF, GIF, BMP and TIFF can.",
    ]
    assert result["pictures"] == 2
    assert near(colour_at(frame(studio.video, 1), 960, 540), RED)
    assert near(colour_at(frame(studio.video, 5), 960, 540), BLUE)


async def test_of_many_broken_pictures_the_first_ten_are_named(studio: Studio) -> None:
    studio.record(0.5)
    studio.add("good.png", media.plain(GREEN))
    for number in range(13):
        (studio.pictures / f"{number:02}.jpg").write_text("text")
    said = notes(await studio.make())
    assert len(said) == 11
    assert said[-1] == "… and 3 more."
