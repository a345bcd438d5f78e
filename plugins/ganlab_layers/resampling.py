"""Doubling and halving of images and activations: the authors' nearest neighbour and box filter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor


def upscale(x: Tensor, factor: int = 2) -> Tensor:
    """Repeat every pixel: `[N, C, H, W]` -> `[N, C, H * factor, W * factor]`."""
    return x if factor == 1 else F.interpolate(x, scale_factor=factor, mode="nearest")


def downscale(x: Tensor, factor: int = 2) -> Tensor:
    """Average squares of pixels: `[N, C, H, W]` -> `[N, C, H / factor, W / factor]`."""
    return x if factor == 1 else F.avg_pool2d(x, factor)
