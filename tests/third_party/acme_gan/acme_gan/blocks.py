"""Small parts of a training. Torch is imported by what builds them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

import attrs

import ganlab
from ganlab.interfaces import DiscriminatorPass, GeneratorPass, LossValue

if TYPE_CHECKING:
    import torch
    from torch import nn


@attrs.frozen
class Largest:
    """Divide each sample by its largest absolute value."""

    epsilon: float = ganlab.parameter(1e-4, gt=0, help="added to the largest value")
    placement: Literal["before-activation", "after-activation"] = ganlab.parameter(
        "after-activation", help="where it stands in a layer"
    )

    @property
    def replaces_bias(self) -> bool:
        """It has no offset."""
        return False

    def build(self, channels: int, *, track_statistics: bool) -> nn.Module:
        """The module."""
        from acme_gan.modules import DivideByLargest

        return DivideByLargest(self.epsilon)


@attrs.frozen
class UnitRows:
    """Use each output's weights with the length `gain`."""

    def build(self, shape: Sequence[int], *, fan_in: int, gain: float) -> nn.Module:
        """The module."""
        from acme_gan.modules import RowsOfLength

        return RowsOfLength(gain)


@attrs.frozen
class SmallScores:
    """weight * fake^2 for the generator, nothing for the discriminator."""

    weight: float = ganlab.parameter(0.01, ge=0, help="weight of the squared scores")

    def build(self) -> SmallScores:
        """It has no state, and so is its own term."""
        return self

    def discriminator(self, batch: DiscriminatorPass) -> None:
        """Nothing."""

    def generator(self, batch: GeneratorPass) -> LossValue:
        """The squares."""
        squares = self.weight * batch.fake.scores.square()
        return LossValue(squares, {"acme/squares": squares.detach()})


@attrs.frozen
class Signs:
    """Step by the sign of the gradient, always as far (Bernstein et al. 2018)."""

    learning_rate: float = ganlab.parameter(0.001, ge=0, help="length of every step")

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """The optimizer."""
        from acme_gan.modules import SignDescent

        return SignDescent(parameters, self.learning_rate)
