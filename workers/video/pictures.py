"""Turns any file a user calls a picture into a clean RGB image, or says in plain words why not.

Blocking, and heavy for large pictures: call it from a thread, one picture at a time.
"""

import contextlib
import io
import logging
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from workers.video.errors import PictureUnusable
from workers.video.standard import HEIGHT, WIDTH

log = logging.getLogger(__name__)

MAX_BYTES = 100_000_000
MAX_PIXELS = 80_000_000
"""8 bytes a pixel at worst while decoding: well below what a 2 GB machine has."""
MIN_LONG, MIN_SHORT = 320, 180
"""px; smaller ones would be enlarged more than six times and show nothing but blur."""
LARGEST = (2 * WIDTH, 2 * HEIGHT)
"""px; more than this is of no use."""
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
"""No format that runs another program (EPS) or that nobody sends."""
MOVING = ("GIF", "WEBP", "PNG", "AVIF")
BACKDROP = (255, 255, 255)
"""Behind transparent pictures: most of them are dark drawings."""


def read(path: Path) -> bytes:
    """The bytes of a user's file. Raises: PictureUnusable."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PictureUnusable(f"it cannot be read ({error.strerror})") from error
    if not data:
        raise PictureUnusable("it is empty")
    if len(data) > MAX_BYTES:
        raise PictureUnusable(f"it is larger than {MAX_BYTES // 1_000_000} MB")
    return data


def is_jpeg(data: bytes) -> bool:
    """Whether the file calls itself a JPEG, whatever its name."""
    return data.startswith(b"\xff\xd8")


def decode(data: bytes) -> tuple[Image.Image, str]:
    """The picture upright, opaque and in RGB, at most about as large as is useful; and a remark or "".

    Raises: PictureUnusable.
    """
    try:
        with _open(data) as image:
            remark = _remark(image)
            # A large JPEG is decoded at a half, quarter or eighth, but never below the frame's size.
            image.draft("RGB", (WIDTH, HEIGHT))
            image.load()
            return _opaque(_upright(image)), remark
    except PictureUnusable:
        raise
    except Exception as error:
        # Pillow's readers meet hostile bytes with a dozen kinds of errors, and
        # none of them may stop the bot: whatever it is, this picture is unusable.
        log.info("a picture cannot be decoded: %r", error)
        raise PictureUnusable("it is damaged or cut short") from error


def _open(data: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureUnusable(_too_large()) from error
    except UnidentifiedImageError as error:
        raise PictureUnusable(_foreign(data)) from error
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise PictureUnusable(_too_large())
    if max(width, height) < MIN_LONG or min(width, height) < MIN_SHORT:
        raise PictureUnusable(
            f"it is too small ({width} × {height} pixels; {MIN_LONG} × {MIN_SHORT} are needed)"
        )
    return image


def _remark(image: Image.Image) -> str:
    if image.format in MOVING and getattr(image, "is_animated", False):
        return "is animated: only its first frame is shown"
    return ""


def _upright(image: Image.Image) -> Image.Image:
    # A picture is not lost because a camera wrote nonsense into its EXIF block.
    with contextlib.suppress(Exception):
        return ImageOps.exif_transpose(image)
    return image


def _opaque(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return _eight_bit(image).convert("RGB")
    if image.mode == "RGB" and "transparency" not in image.info:
        return image.copy()
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image.thumbnail(LARGEST)  # first, since blending doubles the memory
        return Image.alpha_composite(Image.new("RGBA", image.size, (*BACKDROP, 255)), image).convert("RGB")
    return image.convert("RGB")


def _eight_bit(image: Image.Image) -> Image.Image:
    """Deep grey to 8 bits; Pillow's own conversion would clip nearly all of it to white."""
    if image.mode.startswith("I;16"):
        darkest, brightest = 0.0, 65535.0
    else:
        darkest, brightest = (float(each) for each in image.convert("F").getextrema())  # type: ignore[arg-type]
    scale = 255.0 / max(brightest - darkest, 1e-9)
    return image.convert("F").point(lambda value: value * scale - darkest * scale).convert("L")


def _too_large() -> str:
    return f"it has more than {MAX_PIXELS // 1_000_000} million pixels"


def _foreign(data: bytes) -> str:
    if data[4:8] == b"ftyp" and data[8:12] in {b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"}:
        return "HEIC pictures cannot be read: save it as JPEG and send it again"
    return (
        "it is not a picture, or of a kind that cannot be read: JPEG, PNG, WebP, AVIF, GIF, BMP and TIFF can"
    )
