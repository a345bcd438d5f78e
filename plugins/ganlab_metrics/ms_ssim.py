"""Multi-scale structural similarity (Wang, Simoncelli & Bovik 2003) of pairs of images.

Filtering is in float64 over images in float32, the arithmetic behind the published numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt
from scipy.ndimage import correlate1d

from .components import MultiScaleSimilarity
from .images import Images, ImageSource, at_resolution, batches

Doubles: TypeAlias = npt.NDArray[np.float64]

LEVEL_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
SMALLEST = 2 ** (len(LEVEL_WEIGHTS) - 1)
WINDOW_SIZE, WINDOW_SIGMA = 11, 1.5
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


@attrs.frozen
class MultiScaleSimilarityMetric:
    """The built metric: call it with a source of generated images."""

    settings: MultiScaleSimilarity

    def facts(self) -> Mapping[str, Any]:
        """What makes values comparable."""
        return {
            "count": 2 * self.settings.pairs,
            "resolution": self.settings.resolution or "as they are",
            "resize_filter": "box",
        }

    def __call__(self, reals: ImageSource, fakes: ImageSource, *, seed: int) -> Mapping[str, float]:
        """`ms-ssim`: the mean over pairs of the generated images 0 and 1, 2 and 3, and so on; draws nothing."""
        fakes, resolution = at_resolution(fakes, self.settings.resolution, SMALLEST)
        scores = []
        for start, stop in batches(2 * self.settings.pairs, resolution, multiple_of=2):
            images = fakes(start, stop)
            scores.append(similarity(images[0::2], images[1::2]).scores)
        return {"ms-ssim": float(np.concatenate(scores).mean())}


class Similarity(NamedTuple):
    """How alike the pairs are."""

    scores: Doubles
    """`[N]`, in [0, 1]."""
    structural: Doubles
    """`[levels, N]`: mean structural similarity, finest level first."""
    contrast: Doubles
    """`[levels, N]`: mean of the contrast and structure terms alone."""


def similarity(a: Images, b: Images) -> Similarity:
    """MS-SSIM of `a[i]` and `b[i]`, uint8 `[N, C, H, W]` of 16 pixels or more; channels are averaged."""
    x, y = a.astype(np.float32), b.astype(np.float32)
    structural, contrast = [], []
    for _ in LEVEL_WEIGHTS:
        level = _one_level(x, y)
        structural.append(level[0])
        contrast.append(level[1])
        x, y = _halved(x), _halved(y)
    # Dissimilar pairs have negative terms, which have no fractional power.
    factors = np.maximum([*contrast[:-1], structural[-1]], 0)
    scores: Doubles = np.prod(factors ** np.array(LEVEL_WEIGHTS)[:, None], axis=0)
    return Similarity(scores, np.array(structural), np.array(contrast))


def gaussian_window(size: int) -> Doubles:
    """The window along one axis, `[size]`, with sum 1. Below 11 pixels sigma shrinks with the size."""
    sigma = WINDOW_SIGMA * size / WINDOW_SIZE
    distance = np.arange(size) - (size - 1) / 2
    weights = np.exp(-(distance**2) / (2 * sigma**2))
    window: Doubles = weights / weights.sum()
    return window


def _one_level(x: npt.NDArray[np.float32], y: npt.NDArray[np.float32]) -> tuple[Doubles, Doubles]:
    """Mean SSIM and mean contrast-structure of each pair, both `[N]` (Wang et al. 2004, equations 6, 9 and 13)."""
    window = gaussian_window(min(WINDOW_SIZE, *x.shape[2:]))
    mean_x, mean_y = _filtered(x, window), _filtered(y, window)
    variances = _filtered(x * x, window) - mean_x**2 + _filtered(y * y, window) - mean_y**2
    covariance = _filtered(x * y, window) - mean_x * mean_y
    contrast = (2 * covariance + C2) / (variances + C2)
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    return (luminance * contrast).mean(axis=(1, 2, 3)), contrast.mean(axis=(1, 2, 3))


def _filtered(x: npt.NDArray[np.float32], window: Doubles) -> Doubles:
    """`x` `[N, C, H, W]` averaged under the window wherever it lies inside the image."""
    result = x.astype(np.float64)
    first = len(window) // 2
    for axis in (2, 3):
        inside = slice(first, first + x.shape[axis] - len(window) + 1)
        result = correlate1d(result, window, axis=axis)[(slice(None),) * axis + (inside,)]
    return result


def _halved(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """2x2 averages; a single pixel stays as it is."""
    if x.shape[-1] == 1:
        return x
    n, channels, height, width = x.shape
    means: npt.NDArray[np.float32] = x.reshape(n, channels, height // 2, 2, width // 2, 2).mean(axis=(3, 5))
    return means
