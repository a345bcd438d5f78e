"""One convolution for everything: scaled weights, and doubling or halving built in, separate or fused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from torch.nn import functional as F

from ganlab_layers.resampling import downscale, upscale
from ganlab_layers.weighted import HE_GAIN, WeightedLayer

if TYPE_CHECKING:
    from torch import Tensor

    from ganlab.interfaces import WeightScaling


class Convolution(WeightedLayer):
    """`[N, in, H, W]` -> `[N, out, H', W']`, cross-correlation with a stored `[out, in, k, k]` weight.

    `padding` is "same" (zeros, k // 2), "valid" (none) or "full" (k - 1). `resample` "up" doubles the input first,
    "down" halves the result before bias and activation. `fused` computes the same function with one strided convolution
    of a (k + 1)-sized kernel, 2.25 times less work for k = 3. Other keywords are `WeightedLayer`'s.
    """

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
        self.fused = fused

    def forward(self, x: Tensor) -> Tensor:
        weight = self.scaling(self.weight)
        if self.resample == "up":
            x = self._up(x, weight)
        elif self.resample == "down":
            x = self._down(x, weight)
        else:
            x = F.conv2d(x, weight, self.bias, padding=self.padding)
        return self.finish(x)

    def _up(self, x: Tensor, weight: Tensor) -> Tensor:
        if not self.fused:
            return F.conv2d(upscale(x), weight, self.bias, padding=self.padding)
        kernel = spread(weight).flip(2, 3).transpose(0, 1)
        return F.conv_transpose2d(x, kernel, self.bias, stride=2, padding=self.padding)

    def _down(self, x: Tensor, weight: Tensor) -> Tensor:
        if self.fused:
            return F.conv2d(x, spread(weight) * 0.25, self.bias, stride=2, padding=self.padding)
        x = downscale(F.conv2d(x, weight, padding=self.padding))
        return x if self.bias is None else x + self.bias.reshape(-1, 1, 1).to(x.dtype)


def spread(weight: Tensor) -> Tensor:
    """`[out, in, k, k]` -> `[out, in, k + 1, k + 1]`: the sum of the four copies shifted by one step, zeros around."""
    return F.avg_pool2d(weight, kernel_size=2, stride=1, padding=1, divisor_override=1)
