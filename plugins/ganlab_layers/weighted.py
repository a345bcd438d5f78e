"""What every layer with a weight shares: weight scaling, bias, normalization and activation, in the authors' order.

(stored weight -> scaling) -> linear operation -> + bias -> activation -> normalization, or with a normalization that is
placed before the activation, -> + bias -> normalization -> activation.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

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


def computing_dtype(like: Tensor) -> torch.dtype:
    """What a matrix product with `like` is worked out in, here and now."""
    device = like.device.type
    if not like.is_meta and like.dtype == torch.float32 and torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return like.dtype


class _Held(NamedTuple):
    """What a layer has worked out while it holds, maybe for two threads."""

    tensors: dict[tuple[str, torch.dtype], Tensor]
    """"weight" and "bias" in each type that was asked for."""
    lock: Lock


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
        self._held: _Held | None = None

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
        """`used_weight()`; between `hold()` and `release()` it is worked out, and rounded for autocast, only once."""
        return self._current("weight", self.used_weight)

    def current_bias(self) -> Tensor | None:
        """The bias, likewise."""
        bias = self.bias
        return None if bias is None else self._current("bias", lambda: bias)

    def _current(self, name: str, work_out: Callable[[], Tensor]) -> Tensor:
        held = self._held
        if held is None:
            return work_out()
        stored: Tensor = getattr(self, name)
        exact, wanted = (name, stored.dtype), (name, computing_dtype(stored))
        with held.lock:
            if exact not in held.tensors:
                held.tensors[exact] = work_out()
            if wanted not in held.tensors:
                held.tensors[wanted] = held.tensors[exact].to(wanted[1])
            return held.tensors[wanted]

    def hold(self) -> None:
        """From now on weight and bias are worked out once, for all passes of an update; gradients add up there."""
        self._held = _Held({}, Lock())

    def release(self) -> None:
        """The passes are over: the weight may change."""
        self._held = None

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
