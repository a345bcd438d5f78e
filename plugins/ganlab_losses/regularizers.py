"""Parameters of the terms that any loss can have added to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import attrs

import ganlab
from ganlab.annealing import half_cosine
from ganlab.parameters import check_together

if TYPE_CHECKING:
    from torch import Tensor

    from ganlab_losses.built.regularizers import LabelClassification, SquaredGradientPenalty


@attrs.frozen
class SquaredGradient:
    """What R1 and R2 have in common: their weight, which may follow half a cosine as images are shown."""

    on: ClassVar[Literal["reals", "fakes"]]

    gamma: float = ganlab.parameter(10.0, ge=0, help="weight of the penalty, at the start where `gamma_end` is set")
    gamma_end: float | None = ganlab.parameter(None, ge=0, help="what gamma comes to along half a cosine")
    gamma_images: int | None = ganlab.parameter(
        None, ge=1, unit="images", help="images shown until `gamma_end` is reached"
    )

    def __attrs_post_init__(self) -> None:
        check_together(self, "gamma_end", "gamma_images")

    def build(self) -> SquaredGradientPenalty:
        """The penalty, which has no state."""
        from ganlab_losses.built.regularizers import SquaredGradientPenalty

        return SquaredGradientPenalty(self)

    def weight_at(self, images_shown: Tensor | int) -> Tensor | float:
        """Gamma when so many real images have been shown."""
        if self.gamma_end is None or self.gamma_images is None:
            return self.gamma
        return half_cosine(images_shown, start=self.gamma, end=self.gamma_end, images=self.gamma_images)


@attrs.frozen
class R1(SquaredGradient):
    """Penalize the discriminator's gradient at the real images: gamma / 2 * |gradient|^2, per sample.

    Source: Mescheder et al. 2018 (arXiv 1801.04406), equation 9.
    """

    on: ClassVar[Literal["reals", "fakes"]] = "reals"


@attrs.frozen
class R2(SquaredGradient):
    """Penalize the discriminator's gradient at the generated images: gamma / 2 * |gradient|^2, per sample.

    Source: Mescheder et al. 2018 (arXiv 1801.04406), equation 10.
    """

    on: ClassVar[Literal["reals", "fakes"]] = "fakes"


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
