"""The fade between levels of detail, by which a network grows without a jump (Karras et al. 2018, figure 2)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from ganlab_layers.resampling import downscale, upscale

if TYPE_CHECKING:
    from collections.abc import Sequence


def fade_in(coarse: Tensor, fine: Tensor, fade: Tensor) -> Tensor:
    """`coarse` at `fade` 0, `fine` at 1, linear between; `fade` is a 0-d tensor, the other two have one shape."""
    return torch.lerp(coarse, fine, fade.to(fine.dtype))


def select_lod(
    candidates: Sequence[Tensor],
    lod: Tensor,
    *,
    first_lod: int = 0,
    reference: int = 0,
    min_lod: float | None = None,
    max_lod: float | None = None,
) -> Tensor:
    """Blend the two of `candidates` that a fractional level of detail (0-d) lies between; the general form of the fade.

    `candidates[k]`, `[N, C, H, W]`, counts for level `first_lod + k`; beyond the first and last those are used. Each is
    brought to the shape of `candidates[reference]` by `resized`. `min_lod` and `max_lod` promise where `lod` stays:
    candidates outside are left out of the graph.
    """
    lowest = 0 if min_lod is None else max(math.floor(min_lod) - first_lod, 0)
    highest = len(candidates) - 1
    if max_lod is not None:
        highest = min(math.ceil(max_lod) - first_lod, highest)
    position = (lod - first_lod).clamp(lowest, highest)
    shape = candidates[reference].shape
    terms = [
        resized(candidates[k], channels=shape[1], size=(shape[2], shape[3])) * (1 - (position - k).abs()).clamp(min=0)
        for k in range(lowest, highest + 1)
    ]
    return torch.stack(terms).sum(0)


def resized(x: Tensor, *, channels: int, size: tuple[int, int]) -> Tensor:
    """`x` with surplus channels cut off, missing ones zero, and pixels repeated or box-averaged to `size`."""
    x = x[:, :channels]
    if x.shape[1] < channels:
        x = F.pad(x, (0, 0, 0, 0, 0, channels - x.shape[1]))
    if x.shape[2] > size[0]:
        return downscale(x, x.shape[2] // size[0])
    return upscale(x, size[0] // x.shape[2])
