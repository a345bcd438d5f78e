"""Doubling and halving of images and activations: the authors' nearest neighbour and box filter."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F


def upscale(x: Tensor, factor: int = 2) -> Tensor:
    """Repeat every pixel: `[N, C, H, W]` -> `[N, C, H * factor, W * factor]`."""
    return x if factor == 1 else F.interpolate(x, scale_factor=factor, mode="nearest")


def downscale(x: Tensor, factor: int = 2) -> Tensor:
    """Average squares of pixels: `[N, C, H, W]` -> `[N, C, H / factor, W / factor]`."""
    return x if factor == 1 else F.avg_pool2d(x, factor)


def sum_pixels(x: Tensor, *, padding: int, divisor: int = 1) -> Tensor:
    """Sums of 2x2 neighbours over `divisor`: `[N, C, H, W]` -> one row and column more with `padding` 1, less with 0.

    Either is the other's transpose, which PyTorch's own derivative works out up to four times more slowly.
    """
    found: Tensor = _SumPixels.apply(x, padding, divisor)
    return found


class _SumPixels(Function):
    @staticmethod
    def forward(x: Tensor, padding: int, divisor: int) -> Tensor:
        return F.avg_pool2d(x, 2, stride=1, padding=padding, divisor_override=divisor)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, ctx.padding, ctx.divisor = inputs

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return sum_pixels(gradient, padding=1 - ctx.padding, divisor=ctx.divisor), None, None
