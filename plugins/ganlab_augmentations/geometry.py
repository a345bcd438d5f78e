"""Scales, rotations, stretches and shifts by fractions of pixels as one affine map, by which an image is sampled once.

The published program samples an image that wavelets have enlarged and shrinks the result by the same wavelets. Here the
image itself is sampled, by cubic interpolation, with reflections about the centres of its outermost pixels for as
far as the map reaches (there up to a margin).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Affine(NamedTuple):
    """What is done to each image about its centre, in this order. All `[N]`, float32."""

    scale: Tensor
    """Over 1 enlarges."""
    rotation: Tensor
    """Radians, from x towards y."""
    stretch: Tensor
    """Width times this, height divided by it."""
    second_rotation: Tensor
    drift_x: Tensor
    """Pixels to the right."""
    drift_y: Tensor
    """Pixels down."""


def inverse(affine: Affine) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The 2x2 matrix from a place in the result, less the drift, to the place in the image that it shows."""
    c1, s1 = affine.rotation.cos(), affine.rotation.sin()
    c2, s2 = affine.second_rotation.cos(), affine.second_rotation.sin()
    wide, high = 1 / (affine.scale * affine.stretch), affine.stretch / affine.scale
    return (
        (c1 * wide * c2 - s1 * high * s2, c1 * wide * s2 + s1 * high * c2),
        (-s1 * wide * c2 - c1 * high * s2, -s1 * wide * s2 + c1 * high * c2),
    )


def transformed(images: Tensor, affine: Affine, interpolation: Literal["bicubic", "bilinear"]) -> Tensor:
    """`[N, C, R, R]` float32 -> the same, sampled anew. Call it outside autocast."""
    size = images.shape[-1]
    centre = (size - 1) / 2
    line = torch.arange(size, device=images.device, dtype=torch.float32) - centre
    x = line[None, None, :] - affine.drift_x[:, None, None]
    y = line[None, :, None] - affine.drift_y[:, None, None]
    rows = [over_x[:, None, None] * x + over_y[:, None, None] * y for over_x, over_y in inverse(affine)]
    grid = torch.stack(rows, dim=-1) / centre  # [-1, 1] between the centres of the outermost pixels
    return F.grid_sample(images, grid, mode=interpolation, padding_mode="reflection", align_corners=True)
