"""Minibatch discrimination: learned distances between the samples of a minibatch, as extra features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ganlab.interfaces import Exchange
from ganlab_layers.stddev import append_features

if TYPE_CHECKING:
    from collections.abc import Callable

SELF_DISTANCE = 1e6
"""Added to a sample's distance to itself, so that exp(-distance) counts the others only."""


class MinibatchDiscrimination(nn.Module):
    """`[N, C]` -> `[N, C + kernels]`, or `[N, C, H, W]` with the features as constant maps (Salimans et al. 2016)."""

    exchange: Exchange | None = None
    """Set where the minibatch is on several ranks."""

    def __init__(self, channels: int, *, kernels: int, dim_per_kernel: int) -> None:
        super().__init__()
        self.out_channels = channels + kernels
        self.theta = nn.Parameter(torch.zeros(channels, kernels, dim_per_kernel))
        self.log_weight_scale = nn.Parameter(torch.zeros(kernels, dim_per_kernel))
        self.bias = nn.Parameter(torch.full((kernels,), -1.0))

    @torch.no_grad()
    def initialize(self, draw: Callable[[str, tuple[int, ...]], Tensor]) -> None:
        """Directions from N(0, 0.05^2), scale 1, bias -1."""
        self.theta.copy_(0.05 * draw("theta", tuple(self.theta.shape)))
        self.log_weight_scale.zero_()
        self.bias.fill_(-1.0)

    def distances(self, x: Tensor) -> Tensor:
        """`[N, C]` -> L1 distances `[N, N, kernels]` between all pairs, a million more on the diagonal."""
        with torch.autocast(x.device.type, enabled=False):  # differences of near things need float32
            theta = self.theta
            norm = theta.square().sum(0).sqrt()
            weight = theta * (self.log_weight_scale.exp() / norm)
            projected = (x.to(weight.dtype) @ weight.flatten(1)).reshape(-1, *weight.shape[1:])
            pairs = (projected.unsqueeze(1) - projected.unsqueeze(0)).abs().sum(3)
            itself = torch.eye(x.shape[0], dtype=pairs.dtype, device=x.device).unsqueeze(2)
            return pairs + SELF_DISTANCE * itself

    def features(self, x: Tensor) -> Tensor:
        """`[N, C]` -> `[N, kernels]`."""
        whole = x if self.exchange is None else self.exchange.gather(x.to(self.theta.dtype))
        features = (-self.distances(whole)).exp().sum(1) + self.bias
        return features if self.exchange is None else self.exchange.own(features)

    def sample_groups(self, count: int) -> npt.NDArray[np.int64]:
        """Every sample is compared with all others."""
        return np.zeros(count, np.int64)

    def data_dependent_start(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What `[N, C]` should start with: the features then, the new `log_weight_scale` and the new `bias`.

        Distances are divided by half the mean distance to the nearest other sample, and features get mean 0.
        """
        distances = self.distances(x)
        nearest = distances.amin(1).mean(0)
        divisor = torch.where(
            nearest > 0, 0.5 * nearest, 1.0
        )  # where all samples coincide, nothing says how far is far
        features = (-distances / divisor).exp().sum(1)
        mean = features.mean(0)
        return features - mean, self.log_weight_scale - divisor.log().unsqueeze(1), -mean

    @torch.no_grad()
    def start_from(self, x: Tensor) -> None:
        """Set scale and bias from a first minibatch, shaped as for `forward`."""
        _, log_weight_scale, bias = self.data_dependent_start(_pooled(x))
        self.log_weight_scale.copy_(log_weight_scale)
        self.bias.copy_(bias)

    def forward(self, x: Tensor) -> Tensor:
        return append_features(x, self.features(_pooled(x)))


def _pooled(x: Tensor) -> Tensor:
    return x.mean((2, 3)) if x.ndim == 4 else x
