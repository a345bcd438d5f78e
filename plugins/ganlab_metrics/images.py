"""Reading the images of a metric: at the size asked for, in batches that fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ganlab.errors import GanlabError

Images: TypeAlias = npt.NDArray[np.uint8]
ImageSource: TypeAlias = Callable[[int, int], Images]
"""`(start, stop)` -> uint8 `[stop - start, C, H, W]`."""

RGB = 3
VALUES_PER_BATCH = 2**23
IMAGES_PER_BATCH = 256


def as_rgb(images: Images) -> Images:
    """`[N, 1 or 3, H, W]` -> `[N, 3, H, W]`: grey images become RGB with equal channels.

    Raises `GanlabError` for other numbers of channels.
    """
    if images.shape[1] not in (1, RGB):
        raise GanlabError(f"this metric compares grey or RGB images, not images of {images.shape[1]} channels")
    return images.repeat(RGB, axis=1) if images.shape[1] == 1 else images


def box_downscaled(images: Images, halvings: int) -> Images:
    """Average blocks of `2^halvings` pixels squared, and round half to even: uint8 `[N, C, H, W]` -> uint8."""
    block = 2**halvings
    n, channels, height, width = images.shape
    blocks = images.reshape(n, channels, height // block, block, width // block, block)
    # Sums of bytes are exact, and so is their division by a power of four.
    averaged: Images = np.rint(blocks.mean(axis=(3, 5), dtype=np.float64)).astype(np.uint8)
    return averaged


def at_resolution(source: ImageSource, resolution: int | None, smallest: int) -> tuple[ImageSource, int]:
    """A source of images of at most `resolution` pixels (None: as they are) and their resolution.

    Raises `GanlabError` unless the images are square, a power of two in size, and `smallest` or larger.
    """
    _, _, height, width = source(0, 1).shape
    if height != width or height & (height - 1):
        raise GanlabError(f"this metric needs square images of a power of two, not {width}x{height} pixels")
    target = height if resolution is None else resolution
    if target > height:
        raise GanlabError(f"images of {height} pixels cannot be compared at resolution {target}; use {height} or less")
    if target < smallest:
        raise GanlabError(f"this metric needs images of at least {smallest} pixels, not {target}")
    if target == height:
        return source, target
    halvings = (height // target).bit_length() - 1
    return lambda start, stop: box_downscaled(source(start, stop), halvings), target


def batches(count: int, resolution: int, multiple_of: int = 1) -> Iterator[tuple[int, int]]:
    """Ranges `(start, stop)` that cover `count` images, each small enough to work on."""
    size = min(IMAGES_PER_BATCH, max(1, VALUES_PER_BATCH // (RGB * resolution * resolution)))
    size = max(1, size // multiple_of) * multiple_of
    for start in range(0, count, size):
        yield start, min(start + size, count)
