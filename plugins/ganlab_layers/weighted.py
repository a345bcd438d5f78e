"""What every layer with a weight shares: weight scaling, bias, normalization and activation, in the authors' order.

(stored weight -> scaling) -> linear operation -> + bias -> activation -> normalization, or with a normalization that is
placed before the activation, -> + bias -> normalization -> activation.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ganlab.interfaces import WeightScaling

HE_GAIN = math.sqrt(2)
"""Gain of a layer that a rectifier follows; the authors use it for leaky ones too."""


class WeightedLayer(nn.Module):
    """Base of `Convolution` and `Linear`.

    `weight` is the stored weight and `scaling(weight)` the one that is used. `leaky_slope` None means no activation and
    0 a plain rectifier. `normalization` is a built module; with `normalize_first` it comes before the activation.
    """

    scaling: Any
    """A module `weight -> weight` with `initial(normal)`; see `ganlab.interfaces.WeightScaling`."""

    def __init__(
        self,
        shape: Sequence[int],
        *,
        fan_in: int,
        gain: float,
        bias_size: int,
        weight_scaling: WeightScaling,
        bias: bool = True,
        leaky_slope: float | None = None,
        normalization: nn.Module | None = None,
        normalize_first: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(tuple(shape)))
        self.bias = nn.Parameter(torch.zeros(bias_size)) if bias else None
        self.scaling = weight_scaling.build(tuple(shape), fan_in=fan_in, gain=gain)
        self.leaky_slope = leaky_slope
        self.normalization = normalization
        self.normalize_first = normalize_first

    @torch.no_grad()
    def initialize(self, draw: Callable[[str, tuple[int, ...]], Tensor]) -> None:
        """Weights as the scaling starts them, biases 0 unless the scaling has its own `initial_bias(normal)`."""
        self.weight.copy_(self.scaling.initial(draw("weight", tuple(self.weight.shape))))
        if self.bias is None:
            return
        if hasattr(self.scaling, "initial_bias"):
            self.bias.copy_(self.scaling.initial_bias(draw("bias", tuple(self.bias.shape))))
        else:
            self.bias.zero_()

    @torch.no_grad()
    def before_update(self) -> None:
        """Let a weight scaling with state (power iteration) follow the weight; called before each update."""
        if hasattr(self.scaling, "refresh"):
            self.scaling.refresh(self.weight)

    def finish(self, x: Tensor) -> Tensor:
        """Activation and normalization of the linear operation's result."""
        if self.normalization is not None and self.normalize_first:
            x = self.normalization(x)
        if self.leaky_slope is not None:
            x = F.leaky_relu(x, self.leaky_slope)
        if self.normalization is not None and not self.normalize_first:
            x = self.normalization(x)
        return x

    def extra_repr(self) -> str:
        shape = "x".join(map(str, self.weight.shape))
        return f"{shape}, bias={self.bias is not None}, leaky_slope={self.leaky_slope}"
