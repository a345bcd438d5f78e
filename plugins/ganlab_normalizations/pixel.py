"""Pixelwise normalization (Karras et al. 2018, section 4.2): after every layer of a generator, so it must be quick.

Autograd's own derivative takes a dozen operations on whole activations, which is felt in small networks. Written out it
takes four, of what the forward pass has in hand.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function


class Pixel(nn.Module):
    """x / sqrt(mean over channels of x^2 + epsilon), of `[N, C, H, W]` or `[N, C]`. The mean is taken in float32."""

    def __init__(self, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
            # Compilers merge operations by themselves, and transforms know no functions with a context.
            return x * _factor_of(x, self.epsilon)
        if not (torch.is_grad_enabled() and x.requires_grad):
            return x * _factor(x, self.epsilon)
        normalized: Tensor = _Normalized.apply(x, self.epsilon)
        return normalized


def _factor_of(x: Tensor, epsilon: float) -> Tensor:
    """`_factor` but for rounding, differentiable."""
    wide = x if x.dtype == torch.float64 else x.float()
    return torch.rsqrt(wide.square().mean(1, keepdim=True) + epsilon).to(x.dtype)


def _factor(x: Tensor, epsilon: float) -> Tensor:
    """What each pixel is multiplied by, `[N, 1, H, W]` or `[N, 1]`; nothing as large as `x` is made on the way."""
    dtype = torch.promote_types(x.dtype, torch.float32)
    length = torch.linalg.vector_norm(x, dim=1, keepdim=True, dtype=dtype)
    found: Tensor = length.square_().mul_(1 / x.shape[1]).add_(epsilon).rsqrt_().to(x.dtype)
    return found


class _Normalized(Function):
    """`Pixel`, with its derivative: factor * (gradient - y * mean over channels of gradient * y)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, epsilon: float) -> Tensor:
        times = _factor(x, epsilon)
        y = x * times
        ctx.save_for_backward(x, y, times)
        ctx.epsilon = epsilon
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        x, y, times = ctx.saved_tensors
        if torch.is_grad_enabled():  # to be derived once more: then the factor is a function of x
            times = _factor_of(x, ctx.epsilon)
        along = (gradient * y).mean(1, keepdim=True)
        return (gradient - y * along) * times, None
