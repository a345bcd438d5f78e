"""The convolutions of CycleGAN: reflected edges, halving by stride, doubling by transposition, normal first weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Callable

    from ganlab.interfaces import Normalization


class Convolution(nn.Module):
    """`[N, in, H, W]` -> `[N, out, H', W']`: convolution, bias, normalization and leaky rectifier, whichever it has.

    `padding` pixels are added on each side, reflected ones or zeros. `resample` "down" takes every second place; "up"
    is the transposed convolution that doubles exactly, for kernels of 3. `leaky_slope` None leaves the result linear.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        padding: int,
        deviation: float,
        reflect: bool = False,
        resample: Literal["up", "down"] | None = None,
        normalization: Normalization | None = None,
        track_statistics: bool = False,
        leaky_slope: float | None = None,
    ) -> None:
        super().__init__()
        channels = (in_channels, out_channels) if resample == "up" else (out_channels, in_channels)
        self.weight = nn.Parameter(torch.zeros(*channels, kernel_size, kernel_size))
        biased = normalization is None or not normalization.replaces_bias
        self.bias = nn.Parameter(torch.zeros(out_channels)) if biased else None
        self.normalization = (
            None if normalization is None else normalization.build(out_channels, track_statistics=track_statistics)
        )
        self.normalize_first = normalization is not None and normalization.placement == "before-activation"
        self.padding = padding
        self.deviation = deviation
        self.reflect = reflect
        self.resample = resample
        self.leaky_slope = leaky_slope

    @torch.no_grad()
    def initialize(self, draw: Callable[[str, tuple[int, ...]], Tensor]) -> None:
        """Weights normal with the given deviation, biases 0."""
        self.weight.copy_(draw("weight", tuple(self.weight.shape)) * self.deviation)
        if self.bias is not None:
            self.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        x = self._linear(x)
        if self.normalization is not None and self.normalize_first:
            x = self.normalization(x)
        if self.leaky_slope is not None:
            x = F.leaky_relu(x, self.leaky_slope)
        if self.normalization is not None and not self.normalize_first:
            x = self.normalization(x)
        return x

    def _linear(self, x: Tensor) -> Tensor:
        if self.resample == "up":
            return F.conv_transpose2d(x, self.weight, self.bias, stride=2, padding=self.padding, output_padding=1)
        padding = self.padding
        if self.reflect and padding:
            x, padding = F.pad(x, (padding,) * 4, mode="reflect"), 0
        return F.conv2d(x, self.weight, self.bias, stride=2 if self.resample == "down" else 1, padding=padding)
