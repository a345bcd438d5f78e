"""Parameters of the Wasserstein losses: the critic's mean score of reals against that of fakes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

import ganlab

if TYPE_CHECKING:
    from ganlab_losses.built.wasserstein import ClippedWassersteinLoss, PenalizedWassersteinLoss


@attrs.frozen
class WganGp:
    """Wasserstein loss with a gradient penalty, and a drift term that keeps scores near zero.

    Discriminator, per sample: fake - real + gp_weight / target^2 * (|gradient| - target)^2 + drift * real^2; generator:
    -fake. The gradient is that of the sum of the batch's scores of images mixed from a real and a fake one.

    Source: Gulrajani et al. 2017, equation 3; Karras et al. 2018 (arXiv 1710.10196), appendix A.1 for the drift.
    """

    gp_weight: float = ganlab.parameter(10.0, ge=0, help="weight of the gradient penalty (lambda); 0 leaves it out")
    drift: float = ganlab.parameter(0.001, ge=0, help="weight of the squared scores of reals (epsilon of the paper)")
    target: float = ganlab.parameter(1.0, gt=0, help="gradient norm that is aimed at (gamma); 750 for CIFAR-10")
    norm_of: Literal["full-resolution", "level"] = ganlab.parameter(
        "full-resolution",
        help="whose gradient is measured: that of images repeated up to full resolution, as the authors' networks see "
        "every level, which changes smoothly when a level is added; or that of the level's own images (ports)",
    )

    def build(self) -> PenalizedWassersteinLoss:
        from ganlab_losses.built.wasserstein import PenalizedWassersteinLoss

        return PenalizedWassersteinLoss(
            gp_weight=self.gp_weight,
            drift=self.drift,
            target=self.target,
            at_full_resolution=self.norm_of == "full-resolution",
        )


@attrs.frozen
class Wgan:
    """Wasserstein loss with the discriminator's weights clipped after each of its updates.

    Discriminator, per sample: fake - real; generator: -fake. Every stored parameter is kept in [-clip, clip], so leave
    equalized weight scaling out of the discriminator.

    Source: Arjovsky et al. 2017 (arXiv 1701.07875), algorithm 1.
    """

    clip: float = ganlab.parameter(0.01, gt=0, help="largest absolute value of any discriminator parameter")

    def build(self) -> ClippedWassersteinLoss:
        from ganlab_losses.built.wasserstein import ClippedWassersteinLoss

        return ClippedWassersteinLoss(clip=self.clip)
