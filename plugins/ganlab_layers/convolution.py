"""One convolution for everything: scaled weights, and doubling or halving built in, separate or fused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import torch
from torch.nn import functional as F

from ganlab_layers.resampling import downscale, sum_pixels, upscale
from ganlab_layers.weighted import HE_GAIN, WeightedLayer, computing_dtype, full_precision
from ganlab_layers.wide import RATHER_WIDE, WIDE, convolve, convolve_transposed

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from ganlab.interfaces import WeightScaling


class Convolution(WeightedLayer):
    """`[N, in, H, W]` -> `[N, out, H', W']`, cross-correlation with a stored `[out, in, k, k]` weight.

    `padding` is "same" (zeros, k // 2), "valid" (none) or "full" (k - 1). `resample` "up" doubles the input first,
    "down" halves the result before bias and activation. `fused` computes the same function with one strided
    convolution: by a (k + 1)-sized kernel, 2.25 times less work for k = 3; or in wide layers by the kernel as it is,
    with sums of 2x2 pixels before (down) or after it (up), 4 times less. Other keywords are `WeightedLayer`'s.
    """

    own_derivatives = True
    """See `ganlab.derivatives.brings_its_own`."""
    spreading: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        weight_scaling: WeightScaling,
        gain: float = HE_GAIN,
        padding: Literal["same", "valid", "full"] = "same",
        resample: Literal["up", "down"] | None = None,
        fused: bool = False,
        **finish: Any,
    ) -> None:
        super().__init__(
            (out_channels, in_channels, kernel_size, kernel_size),
            fan_in=in_channels * kernel_size**2,
            gain=gain,
            bias_size=out_channels,
            weight_scaling=weight_scaling,
            **finish,
        )
        if resample is not None and (padding != "same" or kernel_size % 2 == 0):
            raise ValueError("a convolution that resamples needs an odd kernel and padding 'same'")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.padding = {"same": kernel_size // 2, "valid": 0, "full": kernel_size - 1}[padding]
        self.resample = resample
        self.fused = fused and resample is not None
        if resample is not None:
            plane = spreading(kernel_size) * (0.25 if resample == "down" else 1.0)
            self.register_buffer("spreading", plane.flip(0) if resample == "up" else plane, persistent=False)

    def used_weight(self) -> Tensor:
        """Scaled and, where resampling is fused, turned round for an upscaling one, and spread to the larger kernel."""
        weight = super().used_weight()
        if not self.fused:
            return weight
        if self.resample == "up":
            weight = weight.transpose(0, 1)
        if not self.sums_pixels():
            return spread(weight, self.spreading)
        return weight.flip(2, 3) if self.resample == "up" else weight

    def sums_pixels(self) -> bool:
        """Whether sums of pixels cost less than a larger kernel, here and now."""
        enough = RATHER_WIDE if computing_dtype(self.weight) == torch.float32 else WIDE
        on_cpu = self.weight.device.type == "cpu"  # on GPUs it was not measured
        return on_cpu and min(self.in_channels, self.out_channels) >= enough and self.padding > 0

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Modules are moved and laid out by this; a transposed convolution wants its weight the other way round."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        if self.fused and self.resample == "up":
            turned = self.weight.data.transpose(0, 1).contiguous(memory_format=torch.channels_last)
            self.weight.data = turned.transpose(0, 1)
        return self

    def forward(self, x: Tensor) -> Tensor:
        weight = self.current_weight()
        if self.resample == "up":
            x = self._up(x, weight)
        elif self.resample == "down":
            x = self._down(x, weight)
        elif weight.shape[2] == 1:
            return self.finish(pixelwise(x, weight, self.current_bias()))
        else:
            x = convolve(x, weight, self.current_bias(), padding=self.padding)
        return self.finish(x, in_place=not self.normalize_first)

    def _up(self, x: Tensor, weight: Tensor) -> Tensor:
        bias = self.current_bias()
        if weight.shape[2] > self.weight.shape[2]:  # it was spread
            return convolve_transposed(x, weight, bias, stride=2, padding=self.padding)
        if self.fused:
            bias = None if bias is None else bias / 4  # of which each sum has four
            between = convolve_transposed(x, weight, bias, stride=2, padding=self.padding - 1)
            return sum_pixels(between, padding=0)
        return convolve(upscale(x), weight, bias, padding=self.padding)

    def _down(self, x: Tensor, weight: Tensor) -> Tensor:
        if weight.shape[2] > self.weight.shape[2]:  # it was spread
            return convolve(x, weight, self.current_bias(), stride=2, padding=self.padding)
        if self.fused:
            x = sum_pixels(x, padding=1, divisor=4)
            return convolve(x, weight, self.current_bias(), stride=2, padding=self.padding - 1)
        x = downscale(convolve(x, weight, None, padding=self.padding))
        return x if self.bias is None else x + self.bias.reshape(-1, 1, 1).to(x.dtype)


def pixelwise(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A convolution with a `[out, in, 1, 1]` kernel as a product of matrices, which channels-last memory is already.

    Its second derivatives are products too; those of a convolution become convolutions with kernels of image size.
    """
    return F.linear(x.permute(0, 2, 3, 1), weight.flatten(1), bias).permute(0, 3, 1, 2)


def spreading(size: int) -> Tensor:
    """`[(k + 1)^2, k^2]`: from a kernel's taps to the sum of its four copies shifted by one step, zeros around."""
    line = F.pad(torch.eye(size), (0, 0, 0, 1))
    line = line + line.roll(1, 0)  # each tap lands on two neighbouring places
    return torch.kron(line, line)


def spread(weight: Tensor, plane: Tensor) -> Tensor:
    """`[A, B, k, k]` -> `[A, B, k + 1, k + 1]`, by `plane` of `spreading(k)`.

    One product of matrices for each of the A channels, which in channels-last memory needs no copies.
    """
    outer, inner, size = weight.shape[:3]
    taps = weight.permute(0, 2, 3, 1).reshape(outer, size * size, inner)
    with full_precision(weight):  # weights are rounded where they are used, not before
        spreads = torch.matmul(plane.to(weight.dtype), taps)
    return spreads.reshape(outer, size + 1, size + 1, inner).permute(0, 3, 1, 2)
