"""Fits a picture into the frame of the video without stretching it."""

from PIL import Image, ImageFilter, ImageOps

from workers.video.standard import HEIGHT, WIDTH

SHRINK = 8
"""The blurred copy is made at an eighth of the size: 64 times less work, and nobody sees it."""
BLUR_PX = 5
BRIGHTNESS = 0.55
"""Of the blurred copy, so that it stays behind the picture."""


def fill_frame(image: Image.Image) -> Image.Image:
    """Fill the frame with an RGB picture of any size.

    A picture wider than tall covers the frame and is cropped evenly; any other stands whole
    before a blurred, darker copy of itself.
    Returns: RGB image of WIDTH x HEIGHT px.
    """
    if image.width > image.height:
        return _cover(image, (WIDTH, HEIGHT))
    behind = _cover(image, (WIDTH // SHRINK, HEIGHT // SHRINK)).filter(ImageFilter.GaussianBlur(BLUR_PX))
    frame = behind.point(lambda value: int(value * BRIGHTNESS)).resize(
        (WIDTH, HEIGHT), Image.Resampling.BICUBIC
    )
    whole = ImageOps.contain(image, (WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    frame.paste(whole, ((WIDTH - whole.width) // 2, (HEIGHT - whole.height) // 2))
    return frame


def _cover(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return ImageOps.fit(image, size, Image.Resampling.LANCZOS)
