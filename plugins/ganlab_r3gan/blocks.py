"""The parts of R3GAN's networks: layers that start at a size of their own, residual blocks, bilinear resampling."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Callable

    from ganlab_r3gan.components import Residual


class Pixelwise(nn.Module):
    """`[N, in, H, W]` -> `[N, out, H, W]`, or `[N, in]` -> `[N, out]`, without bias; starts at gain / sqrt(in)."""

    def __init__(self, in_channels: int, out_channels: int, *, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = gain
        self.weight = nn.Parameter(torch.zeros(out_channels, in_channels))

    @torch.no_grad()
    def initialize(self, draw: Callable[[str, tuple[int, ...]], Tensor]) -> None:
        """Normal, with a standard deviation of gain / sqrt(in); exactly 0 for a gain of 0."""
        normal = draw("weight", tuple(self.weight.shape))
        self.weight.copy_(normal * (self.gain / math.sqrt(self.weight.shape[1])))

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 2:
            return F.linear(x, self.weight)
        return F.linear(x.permute(0, 2, 3, 1), self.weight).permute(0, 3, 1, 2)


class GroupedConvolution(nn.Module):
    """`[N, C, H, W]` -> the same shape: 3x3, in groups, without bias; starts at gain / sqrt(9 C / groups)."""

    def __init__(self, channels: int, groups: int, *, gain: float) -> None:
        super().__init__()
        self.gain = gain
        self.groups = groups
        self.weight = nn.Parameter(torch.zeros(channels, channels // groups, 3, 3))

    @torch.no_grad()
    def initialize(self, draw: Callable[[str, tuple[int, ...]], Tensor]) -> None:
        """Normal, with the standard deviation above."""
        normal = draw("weight", tuple(self.weight.shape))
        self.weight.copy_(normal * (self.gain / math.sqrt(self.weight[0].numel())))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, padding=1, groups=self.groups)


class BiasedLeaky(nn.Module):
    """Adds a bias to each channel, 0 at the start, and rectifies."""

    def __init__(self, channels: int, leaky_slope: float) -> None:
        super().__init__()
        self.leaky_slope = leaky_slope
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x + self.bias.reshape(-1, 1, 1).to(x.dtype), self.leaky_slope)


class ResidualBlock(nn.Module):
    """`x + 1x1(rectify(3x3(rectify(1x1(x)))))`; what is added starts at 0 (Huang et al. 2024, section 3)."""

    def __init__(self, width: int, groups: int, *, expansion: int, leaky_slope: float, depth: int) -> None:
        """`depth` is the number of residual blocks in the network; with 3 layers each, two of them start at
        depth^(-1/4) of He's size (Zhang et al. 2019, section 3.2).
        """
        super().__init__()
        inner = width * expansion
        gain = math.sqrt(2 / (1 + leaky_slope**2)) * depth**-0.25
        self.expand = Pixelwise(width, inner, gain=gain)
        self.bias0 = BiasedLeaky(inner, leaky_slope)
        self.mix = GroupedConvolution(inner, groups, gain=gain)
        self.bias1 = BiasedLeaky(inner, leaky_slope)
        self.shrink = Pixelwise(inner, width, gain=0.0)

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = self.shrink(self.bias1(self.mix(self.bias0(self.expand(x)))))
        return x + added


class Level(nn.Module):
    """The residual blocks of one resolution."""

    def __init__(self, config: Residual, level: int, depth: int) -> None:
        super().__init__()
        width, groups = config.width_at(level), config.groups_at(level)
        self.blocks = nn.ModuleList(
            ResidualBlock(width, groups, expansion=config.expansion, leaky_slope=config.leaky_slope, depth=depth)
            for _ in range(config.blocks_at(level))
        )

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x


class Resampling(nn.Module):
    """`[N, C, n, n]` -> `[N, C, m, m]`, the same linear map, `[m, n]`, down the rows and along the columns.

    Two products of matrices in channels-last memory: cheap to differentiate any number of times, and the same in every
    run on a device, which bilinear interpolation's own derivative is not.
    """

    taps: Tensor

    def __init__(self, taps: Tensor) -> None:
        super().__init__()
        self.register_buffer("taps", taps, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        count, channels, size, _ = x.shape
        after = self.taps.shape[0]
        rows = torch.matmul(self.taps, x.permute(0, 2, 3, 1).reshape(count, size, size * channels))
        both = torch.matmul(self.taps, rows.reshape(count * after, size, channels))
        return both.reshape(count, after, after, channels).permute(0, 3, 1, 2)


def doubling(size: int) -> Resampling:
    """From `size` to twice that: bilinear between the centres of pixels, the border repeated."""
    taps = torch.zeros(2 * size, size)
    for place in range(2 * size):
        beside = min(max(place // 2 + (1 if place % 2 else -1), 0), size - 1)
        taps[place, place // 2] += 0.75
        taps[place, beside] += 0.25
    return Resampling(taps)


def halving(size: int) -> Resampling:
    """From `size` to half of it by (1, 3, 3, 1) / 8, the border repeated; inside it half the transpose of doubling."""
    taps = torch.zeros(size // 2, size)
    for place in range(size // 2):
        for offset, weight in ((-1, 0.125), (0, 0.375), (1, 0.375), (2, 0.125)):
            taps[place, min(max(2 * place + offset, 0), size - 1)] += weight
    return Resampling(taps)
