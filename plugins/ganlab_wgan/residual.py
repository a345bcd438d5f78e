"""The residual block that both networks are made of, and how its weights start."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganlab.interfaces import Normalization, WeightScaling
from ganlab_layers.convolution import Convolution
from ganlab_layers.resampling import downscale, upscale


class Block(nn.Module):
    """`[N, in, R, R]` -> `[N, out, R', R']`: what two convolutions make of x, plus x.

    Each convolution comes after normalization and rectifier. A block that doubles does so before its first convolution,
    one that halves after its second. Where size or features change, x goes through a 1x1 convolution of its own.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        weight_scaling: WeightScaling,
        normalization: Normalization,
        track_statistics: bool,
        resample: Literal["up", "down"] | None = None,
    ) -> None:
        super().__init__()
        self.resample = resample
        self.before0 = Rectifier(in_channels, normalization, track_statistics=track_statistics)
        between = out_channels if resample == "up" else in_channels
        self.conv0 = convolution(
            in_channels,
            between,
            weight_scaling=weight_scaling,
            resample="up" if resample == "up" else None,
            bias=not normalization.replaces_bias,
        )
        self.before1 = Rectifier(between, normalization, track_statistics=track_statistics)
        self.conv1 = convolution(
            between, out_channels, weight_scaling=weight_scaling, resample="down" if resample == "down" else None
        )
        self.shortcut = None
        if resample is not None or in_channels != out_channels:
            self.shortcut = convolution(in_channels, out_channels, kernel_size=1, weight_scaling=weight_scaling)

    def forward(self, x: Tensor) -> Tensor:
        inner: Tensor = self.conv1(self.before1(self.conv0(self.before0(x))))
        # A 1x1 convolution and the mean or repetition of pixels commute: the smaller size is the cheaper one.
        around = downscale(x) if self.resample == "down" else x
        if self.shortcut is not None:
            around = self.shortcut(around)
        return inner + (upscale(around) if self.resample == "up" else around)


class FirstBlock(nn.Module):
    """Images `[N, C, R, R]` -> `[N, width, R/2, R/2]`: a block whose first convolution takes the images as they are."""

    def __init__(self, image_channels: int, width: int, *, weight_scaling: WeightScaling) -> None:
        super().__init__()
        self.conv0 = convolution(image_channels, width, weight_scaling=weight_scaling, leaky_slope=0.0)
        self.conv1 = convolution(width, width, weight_scaling=weight_scaling, resample="down")
        self.shortcut = convolution(image_channels, width, kernel_size=1, weight_scaling=weight_scaling)

    def forward(self, images: Tensor) -> Tensor:
        inner: Tensor = self.conv1(self.conv0(images))
        around: Tensor = self.shortcut(downscale(images))
        return inner + around


class Rectifier(nn.Module):
    """Normalization and a rectifier, in the order that the normalization asks for."""

    def __init__(self, channels: int, normalization: Normalization, *, track_statistics: bool) -> None:
        super().__init__()
        self.normalization = normalization.build(channels, track_statistics=track_statistics)
        self.normalize_first = normalization.placement == "before-activation"

    def forward(self, x: Tensor) -> Tensor:
        if self.normalization is None:
            return F.relu(x)
        result: Tensor = F.relu(self.normalization(x)) if self.normalize_first else self.normalization(F.relu(x))
        return result


def convolution(
    in_channels: int,
    out_channels: int,
    *,
    kernel_size: int = 3,
    weight_scaling: WeightScaling,
    resample: Literal["up", "down"] | None = None,
    **finish: Any,
) -> Convolution:
    """A convolution whose weight starts as published: 3x3 ones as after a rectifier, 1x1 ones as linear.

    Doubling repeats pixels before it and halving averages them after it, worked out in one operation.
    """
    return Convolution(
        in_channels,
        out_channels,
        kernel_size,
        weight_scaling=weight_scaling,
        gain=start_gain(in_channels, out_channels, rectified=kernel_size > 1),
        resample=resample,
        fused=True,
        **finish,
    )


def start_gain(inputs: int, outputs: int, *, rectified: bool) -> float:
    """The gain that makes gain^2 / fan_in 2 / (fan_in + fan_out), or twice that after a rectifier."""
    return math.sqrt((4 if rectified else 2) * inputs / (inputs + outputs))


class UniformWeight(nn.Module):
    """Uses the stored weight, which starts uniform with a given standard deviation."""

    scale = 1.0

    def __init__(self, standard_deviation: float) -> None:
        super().__init__()
        self.standard_deviation = standard_deviation

    def initial(self, normal: Tensor) -> Tensor:
        """Normal draws made uniform through their distribution function: 2 Phi(z) - 1 = erf(z / sqrt 2)."""
        return math.sqrt(3) * self.standard_deviation * torch.erf(normal / math.sqrt(2))

    def forward(self, weight: Tensor) -> Tensor:
        return weight
