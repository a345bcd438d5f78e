"""Parameters of the losses that treat the discriminator as a classifier of reals against fakes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from ganlab_losses.built.classification import HingeLoss, NonSaturatingLoss


@attrs.frozen
class NonSaturating:
    """Logistic loss; the generator maximizes the log-probability of its fakes being taken for real.

    Discriminator, per sample: softplus(-real) + softplus(fake); generator: softplus(-fake).

    Source: Goodfellow et al. 2014 (arXiv 1406.2661), section 3.
    """

    @property
    def scores_around_zero(self) -> bool:
        """They are logits."""
        return True

    def build(self) -> NonSaturatingLoss:
        from ganlab_losses.built.classification import NonSaturatingLoss

        return NonSaturatingLoss()


@attrs.frozen
class Hinge:
    """Hinge loss: the discriminator stops pushing scores that are beyond -1 or 1.

    Discriminator, per sample: max(0, 1 - real) + max(0, 1 + fake); generator: -fake.

    Source: Lim & Ye 2017 (arXiv 1705.02894); Miyato et al. 2018, equation 16.
    """

    @property
    def scores_around_zero(self) -> bool:
        """Its margins are on either side of 0."""
        return True

    def build(self) -> HingeLoss:
        from ganlab_losses.built.classification import HingeLoss

        return HingeLoss()
