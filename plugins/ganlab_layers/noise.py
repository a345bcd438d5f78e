"""Multiplicative noise on activations, from standard normal draws that are handed in so that a step stays pure."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class MultiplicativeNoise(nn.Module):
    """`(x, noise, strength)` -> same shape as `x`; see `ganlab_layers.components.MultiplicativeNoise`."""

    draws_noise = True

    def __init__(self, channels: int, *, mode: str, strength: float, normalize: bool, axes: str) -> None:
        super().__init__()
        self.mode = mode
        self.strength = strength
        self.normalize = normalize
        self.axes = axes
        self.out_channels = channels

    def forward(self, x: Tensor, noise: Tensor, strength: Tensor | None = None) -> Tensor:
        """`noise` `[N, C]` standard normal; `strength` 0-d, None for the layer's own."""
        draws = noise if self.axes == "channels" else noise[:, :1]
        amount = self.strength if strength is None else strength
        return multiply(x, noise_factor(draws, amount, self.mode, channels=x.shape[1]), normalize=self.normalize)

    def extra_repr(self) -> str:
        return f"mode={self.mode}, strength={self.strength}, normalize={self.normalize}, axes={self.axes}"


def noise_factor(normal: Tensor, strength: Tensor | float, mode: str, *, channels: int) -> Tensor:
    """Standard normal draws -> the factors of mode "prop", "mul" or "drop", same shape."""
    if mode == "prop":
        return 1 + normal * strength * math.sqrt(channels)
    if mode == "mul":
        return (normal * (math.log1p(strength) if isinstance(strength, float) else torch.log1p(strength))).exp()
    uniform = 0.5 * (1 + torch.erf(normal / math.sqrt(2)))
    return drop_factor((uniform < 1 - strength).to(normal.dtype), strength)


def drop_factor(mask: Tensor, strength: Tensor | float) -> Tensor:
    """A 0/1 mask whose entries are 1 with probability 1 - strength -> factors with mean 1."""
    return mask / (1 - strength)


def multiply(x: Tensor, factor: Tensor, *, normalize: bool) -> Tensor:
    """`x` times `factor` `[N]`, `[N, C]`, `[N, 1]` or of the shape of `x`, repeated over what it lacks.

    With `normalize`, each sample's factors are first divided by their root mean square.
    """
    if normalize:
        dims = tuple(range(1, factor.ndim))
        factor = factor / factor.square().mean(dims, keepdim=True).sqrt().clamp_min(1e-8)
    return x * factor.reshape(*factor.shape, *[1] * (x.ndim - factor.ndim)).to(x.dtype)
