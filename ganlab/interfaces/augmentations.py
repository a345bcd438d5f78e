"""Augmentations: what discriminators are shown instead of the images themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ganlab.interfaces.networks import ImageShape


class Augmentation(Protocol):
    """Kind `augmentation`: changes what discriminators are shown, reals and fakes alike, so that they cannot learn a
    small data set by heart. Losses and penalties see the changed images.

    One that adapts to the signs of scores has a true attribute `reads_scores`; it is refused where a loss's scores are
    not around zero.
    """

    def build(self, images: ImageShape) -> nn.Module | None:
        """A module, a `BuiltAugmentation`; None where nothing is to be done. State goes into its buffers."""
        ...


class BuiltAugmentation(Protocol):
    """A built augmentation. It is an `nn.Module` without weights."""

    draws: int
    """Uniform numbers in [0, 1) that it needs for each image."""

    def __call__(self, images: Tensor, uniform: Tensor) -> Tensor:
        """`[N, C, R, R]` and `[N, draws]` -> `[N, C, R, R]`; a pure function of both and of the buffers, differentiable
        once with respect to the images, the same for an image whatever else is in the batch.
        """
        ...

    def observe(self, report: Mapping[str, Tensor], minibatch: int) -> None:
        """Called without gradients after each discriminator update: the place to adapt buffers, without waiting for the
        device. `report` has 0-d means over the minibatch: `scores/real`, `scores/fake`, and `signs/real`, the mean sign
        of the scores of reals. `minibatch` is in images.
        """
        ...

    def report(self) -> Mapping[str, Tensor]:
        """0-d tensors to be logged, such as `augment/probability`."""
        ...
