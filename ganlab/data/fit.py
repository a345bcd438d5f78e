"""Turns any picture a person may have into a square one of the set's size and colour mode, or says why it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from PIL import Image, ImageColor, ImageOps

if TYPE_CHECKING:
    import numpy.typing as npt

Fit = Literal["crop", "pad", "stretch", "exact"]
FITS: tuple[str, ...] = get_args(Fit)
FILTER = "lanczos, antialiased (Pillow)"
GREY_MODES = frozenset({"1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N", "I"})


class UnusableError(Exception):
    """Why one image of a source is left out; it becomes a line of the report."""


def plain_colours(image: Image.Image, *, channels: int, background: str) -> Image.Image:
    """The image upright (EXIF) and opaque, as `L` or `RGB`; raises `UnusableError` for pixels without a known range.

    Transparent parts show `background`. Grey from colour is the luminance of ITU-R 601.
    """
    sixteen_bits = image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))
    image = ImageOps.exif_transpose(image)
    if sixteen_bits:
        samples = np.asarray(image).astype(np.float64) / 257.0  # 65535 / 255
        image = Image.fromarray(np.rint(samples.clip(0, 255)).astype(np.uint8))
    elif image.mode in ("I", "F"):
        raise UnusableError(f"its pixels (mode {image.mode}) have no known range; convert it to 8 or 16 bits")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        opaque = image.convert("RGBA")
        canvas = Image.new("RGBA", opaque.size, ImageColor.getcolor(background, "RGBA"))
        image = Image.alpha_composite(canvas, opaque)
    # An opaque grey with alpha comes back to the same grey: the three channels are equal.
    return image.convert("L" if channels == 1 else "RGB")


def square(image: Image.Image, resolution: int, fit: Fit, *, padding: str, upscale: bool) -> Image.Image:
    """An `L` or `RGB` image -> `resolution` x `resolution`; raises `UnusableError` where it is too small.

    `crop` takes the centred square and resizes it; `stretch` resizes regardless of the aspect; `pad` shrinks what is
    larger to fit in, and centres it on `padding`; `exact` takes only images of the right size.
    """
    size = (resolution, resolution)
    if image.size == size:
        return image
    width, height = image.size
    if fit == "exact":
        raise UnusableError(f"is {width}x{height}, not {resolution}x{resolution}")
    if fit == "pad":
        scale = min(1.0, resolution / max(width, height))
        inner = (max(1, round(width * scale)), max(1, round(height * scale)))
        if inner != image.size:
            image = image.resize(inner, Image.Resampling.LANCZOS)
        canvas = Image.new(image.mode, size, ImageColor.getcolor(padding, image.mode))
        canvas.paste(image, ((resolution - inner[0]) // 2, (resolution - inner[1]) // 2))
        return canvas
    if min(width, height) < resolution and not upscale:
        raise UnusableError(
            f"too small: {width}x{height}, needs {resolution}x{resolution} (upscaling was not asked for)"
        )
    if fit == "crop":
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        image = image.crop((left, top, left + side, top + side))
        if image.size == size:
            return image
    return image.resize(size, Image.Resampling.LANCZOS)


def to_pixels(image: Image.Image) -> npt.NDArray[np.uint8]:
    """An `L` or `RGB` image -> uint8 `[C, H, W]`."""
    pixels = np.asarray(image)
    return pixels[np.newaxis] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def check_colour(text: str) -> None:
    """Raise `ValueError` unless Pillow knows this colour (`white`, `#ff8800`, ...)."""
    ImageColor.getrgb(text)
