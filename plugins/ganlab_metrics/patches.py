"""Patches around random centres as descriptors, and the distance of two sets of them."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from .pyramid import Floats

Centres: TypeAlias = npt.NDArray[np.int16]

ROWS_PER_BLOCK = 2**16
PROJECTIONS_AT_ONCE = 2**26


class RandomSource(Protocol):
    """What random numbers are drawn from; a `numpy.random.Generator` is one."""

    def integers(self, low: int, high: int, size: int) -> npt.NDArray[np.int64]:
        """`size` uniform integers in [low, high)."""
        ...

    def standard_normal(self, size: tuple[int, int]) -> npt.NDArray[np.float64]:
        """Standard normal draws of this shape."""
        ...


def draw_centres(random: RandomSource, width: int, height: int, count: int, patch_size: int) -> tuple[Centres, Centres]:
    """The x, then the y of `count` patch centres, so that whole patches lie inside an image of `width` x `height`."""
    margin = patch_size // 2
    x = random.integers(margin, width - margin, count).astype(np.int16)
    y = random.integers(margin, height - margin, count).astype(np.int16)
    return x, y


def descriptors(images: Floats, x: Centres, y: Centres, patch_size: int) -> Floats:
    """Patches of `images` `[N, C, H, W]` around `n` centres, of which each image has `n / N` in turn.

    Returns `[n, C, patch_size, patch_size]`. Patches are transposed, with x along axis 2 and y along axis 3: this is
    the published order of their components, which matters for the random directions.
    """
    margin = patch_size // 2
    owner = np.repeat(np.arange(len(images)), len(x) // len(images))
    windows = sliding_window_view(images, (patch_size, patch_size), axis=(2, 3))
    chosen: Floats = windows[owner, :, y - margin, x - margin]
    return chosen.swapaxes(2, 3)


def standardize(descriptors: Floats) -> None:
    """Give each channel of `[n, C, s, s]` mean 0 and variance 1 over everything else, in place.

    A channel that is constant becomes 0, so that a collapsed generator has a finite, large distance.
    """
    axes = (0, 2, 3)
    values = descriptors[:, 0].size
    blocks = [slice(start, start + ROWS_PER_BLOCK) for start in range(0, len(descriptors), ROWS_PER_BLOCK)]
    mean: Any = sum(descriptors[rows].sum(axis=axes, keepdims=True, dtype=np.float64) for rows in blocks) / values
    squares: Any = sum(((descriptors[rows] - mean) ** 2).sum(axis=axes, keepdims=True) for rows in blocks) / values
    deviation = np.sqrt(squares).astype(np.float32)
    deviation[deviation == 0] = 1
    for rows in blocks:
        descriptors[rows] -= mean.astype(np.float32)
        descriptors[rows] /= deviation


def sliced_distance(a: Floats, b: Floats, random: RandomSource, repeats: int, directions: int) -> float:
    """Sliced Wasserstein distance of two sets `[n, size]` of equally many descriptors.

    Both sets are projected on `repeats` sets of random `directions` of length 1; in one dimension the distance is the
    mean difference of the sorted projections. Source: Rabin et al. 2011.
    """
    count, size = len(a), a.shape[1]
    at_once = max(1, PROJECTIONS_AT_ONCE // count)
    total = 0.0
    for _ in range(repeats):
        drawn = random.standard_normal((size, directions))
        unit = (drawn / np.sqrt((drawn**2).sum(axis=0, keepdims=True))).astype(np.float32)
        for start in range(0, directions, at_once):
            chosen = np.ascontiguousarray(unit[:, start : start + at_once].T)
            sorted_a, sorted_b = chosen @ a.T, chosen @ b.T
            sorted_a.sort(axis=1)
            sorted_b.sort(axis=1)
            sorted_a -= sorted_b
            total += float(np.abs(sorted_a, out=sorted_a).sum(dtype=np.float64))
    return total / (repeats * directions * count)
