"""The small picture that stands for a video until it plays."""

import io
from pathlib import Path

from PIL import Image

SIZE = (1280, 720)
MAX_BYTES = 200_000
"""Telegram takes no thumbnail above 200 kB."""


def thumbnail(picture: Path) -> bytes:
    """A prepared picture as a small JPEG. Blocking."""
    with Image.open(picture) as image:
        small = image.convert("RGB").resize(SIZE, Image.Resampling.LANCZOS)
    data = b""
    for quality in (88, 80, 70, 55, 40, 20):
        file = io.BytesIO()
        small.save(file, "JPEG", quality=quality, optimize=True)
        data = file.getvalue()
        if len(data) < MAX_BYTES:
            break
    return data
