"""Parameters of the terms that any loss can have added to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

import ganlab

if TYPE_CHECKING:
    from ganlab_losses.built.regularizers import LabelClassification, SquaredGradientPenalty


@attrs.frozen
class R1:
    """Penalize the discriminator's gradient at the real images: gamma / 2 * |gradient|^2, per sample.

    Source: Mescheder et al. 2018 (arXiv 1801.04406), equation 9.
    """

    gamma: float = ganlab.parameter(10.0, ge=0, help="weight of the penalty")

    def build(self) -> SquaredGradientPenalty:
        from ganlab_losses.built.regularizers import SquaredGradientPenalty

        return SquaredGradientPenalty(gamma=self.gamma, on="reals")


@attrs.frozen
class R2:
    """Penalize the discriminator's gradient at the generated images: gamma / 2 * |gradient|^2, per sample.

    Source: Mescheder et al. 2018 (arXiv 1801.04406), equation 10.
    """

    gamma: float = ganlab.parameter(10.0, ge=0, help="weight of the penalty")

    def build(self) -> SquaredGradientPenalty:
        from ganlab_losses.built.regularizers import SquaredGradientPenalty

        return SquaredGradientPenalty(gamma=self.gamma, on="fakes")


@attrs.frozen
class AcGan:
    """Make the discriminator name the label: softmax cross-entropy of reals and fakes, of fakes for the generator.

    Needs labelled images and a discriminator with one logit a label; a step without them raises `GanlabError`.

    Source: Odena et al. 2017 (arXiv 1610.09585), equations 2 and 3.
    """

    weight: float = ganlab.parameter(1.0, ge=0, help="weight of each cross-entropy")

    @property
    def needs_labels(self) -> bool:
        """A recipe without labels is refused."""
        return True

    def build(self) -> LabelClassification:
        from ganlab_losses.built.regularizers import LabelClassification

        return LabelClassification(weight=self.weight)
