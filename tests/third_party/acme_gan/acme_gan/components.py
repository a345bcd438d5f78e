"""The parameters of what the plugin offers. Nothing here imports torch, so that listing stays fast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

import ganlab

if TYPE_CHECKING:
    from acme_gan.modules import MarginLoss, Range


@attrs.frozen
class Margin:
    """Push the scores of reals above `margin` and those of fakes below `-margin`, and no further."""

    margin: float = ganlab.parameter(1.0, gt=0, help="score at which a sample counts as judged")

    def build(self) -> MarginLoss:
        """The loss."""
        from acme_gan.modules import MarginLoss

        return MarginLoss(self.margin)


@attrs.frozen
class MinibatchRange:
    """Append one map: the largest minus the smallest activation over the minibatch, averaged."""

    scale: float = ganlab.parameter(1.0, ge=0, help="what the range is multiplied by")

    def build(self, channels: int) -> Range:
        """The layer."""
        from acme_gan.modules import Range

        return Range(channels, self.scale)

    def check_run(self, *, resolution: int, stages: Sequence[ganlab.Stage]) -> None:
        """One sample has no range."""
        smallest = min(stage.minibatch for stage in stages)
        if smallest < 2:
            raise ValueError(f"expected minibatches of at least 2 images, got one of {smallest}")


@attrs.frozen
class Staircase:
    """Train each level for `images_per_level`, then jump to the next."""

    examples: ClassVar[Sequence[Mapping[str, Any]]] = ({"images_per_level": 100},)

    images_per_level: int = ganlab.parameter(ge=1, unit="images", help="images shown at each level but the last")
    minibatch: int = ganlab.parameter(16, ge=1, help="real images a discriminator step")

    def build(self, *, resolution: int, total_images: int, learning_rate: float) -> BuiltStaircase:
        """The schedule."""
        return BuiltStaircase(self, resolution, learning_rate)


@attrs.frozen
class BuiltStaircase:
    """The stairs up to a resolution."""

    parameters: Staircase
    resolution: int
    learning_rate: float
    settings_interval_steps: int = 1

    def at(self, images_shown: int) -> ganlab.Stage:
        """The stage after `images_shown` images."""
        level = images_shown // self.parameters.images_per_level
        return ganlab.Stage(
            resolution=min(4 << level, self.resolution) if level < 10 else self.resolution,
            fade=1.0,
            minibatch=self.parameters.minibatch,
            generator_learning_rate=self.learning_rate,
            discriminator_learning_rate=self.learning_rate,
            tick_images=16,
        )
