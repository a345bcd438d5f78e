"""The Laplacian pyramid (Burt & Adelson 1983): an image as bands of detail, one a resolution.

All in float32 over `[..., H, W]`, with the kernel (1 4 6 4 1) / 16 along both axes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float32]


def halved(images: Floats) -> Floats:
    """Smooth and keep every second pixel, from the first: `[..., H, W]` -> `[..., H/2, W/2]`.

    Borders are mirrored about the edge pixel, which is not repeated.
    """
    return _halved_last_axis(_halved_last_axis(images.swapaxes(-1, -2)).swapaxes(-1, -2))


def doubled(images: Floats) -> Floats:
    """Put zeros between the pixels and smooth with four times the kernel: `[..., H, W]` -> `[..., 2H, 2W]`."""
    return _doubled_last_axis(_doubled_last_axis(images.swapaxes(-1, -2)).swapaxes(-1, -2))


def laplacian_levels(images: npt.NDArray[np.generic], count: int) -> Iterator[Floats]:
    """The `count` levels of the pyramid from fine to coarse; the last one is the low-pass image that remains."""
    present = images.astype(np.float32)
    for _ in range(count - 1):
        coarser = halved(present)
        yield present - doubled(coarser)
        present = coarser
    yield present


def _halved_last_axis(x: Floats) -> Floats:
    pad = [(0, 0)] * (x.ndim - 1) + [(2, 2)]
    padded = np.pad(x, pad, mode="reflect")
    taps = [padded[..., k : k + x.shape[-1] : 2] for k in range(5)]
    smoothed: Floats = taps[2] * np.float32(6 / 16)
    smoothed += (taps[1] + taps[3]) * np.float32(4 / 16)
    smoothed += (taps[0] + taps[4]) * np.float32(1 / 16)
    return smoothed


def _doubled_last_axis(x: Floats) -> Floats:
    # Mirroring the signal with its zeros, not the pixels: x[1] stands before the first, and the last one is repeated.
    extended = np.concatenate([x[..., 1:2], x, x[..., -1:]], axis=-1)
    result = np.empty((*x.shape[:-1], 2 * x.shape[-1]), np.float32)
    before, here, after = extended[..., :-2], extended[..., 1:-1], extended[..., 2:]
    result[..., 0::2] = (before + after) * np.float32(1 / 8) + here * np.float32(6 / 8)
    result[..., 1::2] = (here + after) * np.float32(1 / 2)
    return result
