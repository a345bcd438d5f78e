"""Images to bytes and back, with Pillow and nothing else: no pickles, no formats that can run code."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    import numpy.typing as npt


def encode(pixels: npt.NDArray[np.uint8], extension: str) -> bytes:
    """uint8 `[C, R, R]`, 1 or 3 channels, -> the bytes of a PNG or of a lossless WebP file; the same every time."""
    image = Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    stream = io.BytesIO()
    if extension == "png":
        image.save(stream, "PNG")
    elif extension == "webp":
        image.save(stream, "WEBP", lossless=True, quality=100, method=6)
    else:
        raise ValueError(f"cannot write {extension!r} losslessly")
    return stream.getvalue()


def decode(content: bytes, *, channels: int, resolution: int) -> npt.NDArray[np.uint8]:
    """The bytes of a PNG, WebP or JPEG file -> uint8 `[C, R, R]`; raises `ValueError` saying what is wrong."""
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "WEBP", "JPEG")) as image:
            if image.size != (resolution, resolution):
                raise ValueError(f"the image is {image.width}x{image.height}, not {resolution}x{resolution}")
            # A grey WebP is stored as RGB with three equal channels, and converting it back is exact.
            mode = "L" if channels == 1 else "RGB"
            pixels = np.asarray(image if image.mode == mode else image.convert(mode))
    except ValueError:
        raise
    except Exception as error:  # Pillow raises many kinds of exceptions for damaged files
        raise ValueError(f"the image cannot be decoded ({error})") from None
    return pixels[np.newaxis] if channels == 1 else pixels.transpose(2, 0, 1)
