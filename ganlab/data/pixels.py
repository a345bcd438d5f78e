"""Arithmetic on uint8 images that packing and reading share, so that a derived resolution equals a packed one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


def box_average(images: npt.NDArray[np.uint8], factor: int) -> npt.NDArray[np.uint8]:
    """uint8 `[..., H, W]` -> `[..., H / factor, W / factor]`: the mean of each block, rounded half to even.

    The mean is exact before its only rounding, as when a program halves repeatedly in floating point and rounds each
    level when it is stored. `factor` is a power of two that divides both sides.
    """
    if factor == 1:
        return images
    *front, height, width = images.shape
    blocks = images.reshape(*front, height // factor, factor, width // factor, factor)
    totals = blocks.sum(axis=(-3, -1), dtype=np.uint32)
    averaged: npt.NDArray[np.uint8] = np.rint(totals / (factor * factor)).astype(np.uint8)
    return averaged


class ContentDigest:
    """The sha256 of a set's decoded pixels and labels: the same for PNG, WebP, any sharding and any worker count."""

    def __init__(self, channels: int, resolution: int, label_size: int) -> None:
        self._hash = hashlib.sha256(f"ganlab images 1: {channels} {resolution} {label_size}\n".encode())
        self._labels: list[int] = []

    def add(self, image: npt.NDArray[np.uint8], label: int | None) -> None:
        """The next image, uint8 `[C, R, R]`, and its class."""
        self._hash.update(np.ascontiguousarray(image).tobytes())
        if label is not None:
            self._labels.append(label)

    def hexdigest(self) -> str:
        """64 hexadecimal digits."""
        final = self._hash.copy()
        final.update(np.asarray(self._labels, "<i8").tobytes())
        return final.hexdigest()


def one_hot(labels: npt.NDArray[Any], label_size: int) -> npt.NDArray[np.float32]:
    """Class numbers `[N]` -> float32 `[N, label_size]`."""
    rows: npt.NDArray[np.float32] = np.eye(label_size, dtype=np.float32)[labels]
    return rows


def powers_of_two(resolution: int) -> tuple[int, ...]:
    """4, 8, ... `resolution`."""
    return tuple(1 << k for k in range(2, resolution.bit_length()))
