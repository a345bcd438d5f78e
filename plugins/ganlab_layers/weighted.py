"""What every layer with a weight shares: weight scaling, bias, normalization and activation, in the authors' order.

(stored weight -> scaling) -> linear operation -> + bias -> activation -> normalization, or with a normalization that is
placed before the activation, -> + bias -> normalization -> activation.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ganlab.interfaces import WeightScaling

HE_GAIN = math.sqrt(2)
"""Gain of a layer that a rectifier follows; the authors use it for leaky ones too."""


def full_precision(like: Tensor) -> AbstractContextManager[object]:
    """No autocast on the device of `like`."""
    if like.is_meta:  # tensors for a look at shapes, which autocast does not know
        return nullcontext()
    return torch.autocast(like.device.type, enabled=False)


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
        self._held: Tensor | None = None
        self._holding = False

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

    def used_weight(self) -> Tensor:
        """The weight as the linear operation takes it."""
        weight: Tensor = self.scaling(self.weight)
        return weight

    def current_weight(self) -> Tensor:
        """`used_weight()`, worked out once between `hold()` and `release()`."""
        if not self._holding:
            return self.used_weight()
        if self._held is None:
            self._held = self.used_weight()
        return self._held

    def hold(self) -> None:
        """From now on the weight is worked out once, for all passes of an update; its gradients add up there."""
        self._held, self._holding = None, True

    def release(self) -> None:
        """The passes are over: the weight may change."""
        self._held, self._holding = None, False

    @property
    def before_update(self) -> Callable[[], None] | None:
        """Lets a weight scaling with state (power iteration) follow the weight; None where there is none."""
        return self._refresh if hasattr(self.scaling, "refresh") else None

    @torch.no_grad()
    def _refresh(self) -> None:
        self.scaling.refresh(self.weight)

    def finish(self, x: Tensor, *, in_place: bool = False) -> Tensor:
        """Activation and normalization of the linear operation's result `x`, which `in_place` may overwrite.

        In place, one copy of the activations is kept for the backward pass instead of two.
        """
        if self.normalization is not None and self.normalize_first:
            x = self.normalization(x)
        if self.leaky_slope is not None:
            x = F.leaky_relu(x, self.leaky_slope, inplace=in_place)
        if self.normalization is not None and not self.normalize_first:
            x = self.normalization(x)
        return x

    def extra_repr(self) -> str:
        shape = "x".join(map(str, self.weight.shape))
        return f"{shape}, bias={self.bias is not None}, leaky_slope={self.leaky_slope}"
