"""The parameters of the initialization that the residual networks were published with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from torch import nn


@attrs.frozen
class UniformStart:
    """Uses the stored weight; it starts uniform with the usual standard deviation gain / sqrt(fan_in), biases at 0.

    Source: Glorot & Bengio 2010 and He et al. 2015, whose uniform forms the WGAN-GP networks start with.
    """

    def build(self, shape: Sequence[int], *, fan_in: int, gain: float) -> nn.Module:
        from ganlab_wgan.residual import UniformWeight

        return UniformWeight(gain / math.sqrt(fan_in))
