"""Fully connected layers with scaled weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from ganlab_layers.weighted import HE_GAIN, WeightedLayer, full_precision

if TYPE_CHECKING:
    from torch import Tensor

    from ganlab.interfaces import WeightScaling


class Linear(WeightedLayer):
    """`[N, in]`, or maps that are flattened in the order C, H, W, -> `[N, out]`; the weight is `[out, in]`."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        weight_scaling: WeightScaling,
        gain: float = HE_GAIN,
        **finish: Any,
    ) -> None:
        super().__init__(
            (out_features, in_features),
            fan_in=in_features,
            gain=gain,
            bias_size=out_features,
            weight_scaling=weight_scaling,
            **finish,
        )
        self.in_features = in_features
        self.out_features = out_features

    def forward(self, x: Tensor) -> Tensor:
        return self.finish(F.linear(x.flatten(1), self.current_weight(), self.current_bias()))


class Head(Linear):
    """A `Linear` that computes in its weight's precision under autocast too: what ends a network is small work, and
    rounding there would be rounding of the loss.
    """

    def forward(self, x: Tensor) -> Tensor:
        with full_precision(x):
            return super().forward(x.to(self.weight.dtype))


class LinearToMaps(WeightedLayer):
    """`[N, in]` -> `[N, channels, size, size]` with one bias a channel; a "full" convolution of a single pixel.

    The weight is `[channels * size * size, in]`, rows in the order C, H, W. The default gain makes up for the size, so
    that scaling by fan-in equals that of the convolution (fan-in `in * size * size`).
    """

    def __init__(
        self,
        in_features: int,
        channels: int,
        size: int = 4,
        *,
        weight_scaling: WeightScaling,
        gain: float | None = None,
        **finish: Any,
    ) -> None:
        super().__init__(
            (channels * size * size, in_features),
            fan_in=in_features,
            gain=HE_GAIN / size if gain is None else gain,
            bias_size=channels,
            weight_scaling=weight_scaling,
            **finish,
        )
        self.in_features = in_features
        self.channels = channels
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        x = F.linear(x, self.current_weight()).view(-1, self.channels, self.size, self.size)
        x = x.contiguous(memory_format=torch.channels_last)
        if self.bias is not None:
            x = x + self.bias.reshape(-1, 1, 1).to(x.dtype)
        return self.finish(x)
