"""The parameters of each weight scaling that a recipe can name. Torch is imported only when one is built."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import attrs

from ganlab.parameters import parameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn


@attrs.frozen
class Equalized:
    """Equalized learning rate: weights are stored with unit variance and multiplied at run time.

    Karras et al. 2018, section 4.1. With `scale = "he"` the factor is the constant gain / sqrt(fan_in), as in the
    TensorFlow program; with "measured" it is the root mean square of the actual initial draw, as in the Theano program.
    """

    scale: Literal["he", "measured"] = parameter(
        "he", choices=("he", "measured"), help="the theoretical constant, or that of the actual initial draw"
    )

    def build(self, shape: Sequence[int], *, fan_in: int, gain: float) -> nn.Module:
        from ganlab_normalizations import scalings

        standard_deviation = gain / math.sqrt(fan_in)
        if self.scale == "measured":
            return scalings.MeasuredScale(standard_deviation)
        return scalings.ConstantScale(standard_deviation)


@attrs.frozen
class Spectral:
    """Spectral normalization: divides a weight by its largest singular value (Miyato et al. 2018).

    The value is followed by power iteration, one round before each update of the network.
    """

    iterations: int = parameter(1, ge=1, help="rounds of power iteration before each update")

    def build(self, shape: Sequence[int], *, fan_in: int, gain: float) -> nn.Module:
        from ganlab_normalizations import scalings

        return scalings.SpectralScale(shape, standard_deviation=gain / math.sqrt(fan_in), iterations=self.iterations)


@attrs.frozen
class NoScaling:
    """No weight scaling: the initial standard deviation is in the stored weight."""

    init: Literal["he", "default"] = parameter(
        "he",
        choices=("he", "default"),
        help="'he': normal, standard deviation gain / sqrt(fan_in), biases 0; "
        "'default': torch's own, weights and biases uniform within 1 / sqrt(fan_in)",
    )

    def build(self, shape: Sequence[int], *, fan_in: int, gain: float) -> nn.Module:
        from ganlab_normalizations import scalings

        if self.init == "default":
            return scalings.UniformStart(1 / math.sqrt(fan_in))
        return scalings.NormalStart(gain / math.sqrt(fan_in))
