"""Losses and regularizers: what the two players minimize, and terms that any loss can have added.

The parameter classes here import no torch; the modules that compute are in `ganlab_losses.built`.
"""

import ganlab


@ganlab.hookimpl
def register_losses(register: ganlab.Register) -> None:
    """Offer the losses of this package."""
    register(
        "wgan-gp",
        "ganlab_losses.wasserstein:WganGp",
        summary="Wasserstein loss with gradient penalty and drift (Karras et al. 2018)",
    )
    register(
        "wgan",
        "ganlab_losses.wasserstein:Wgan",
        summary="Wasserstein loss with clipped weights (Arjovsky et al. 2017)",
    )
    register(
        "lsgan",
        "ganlab_losses.least_squares:Lsgan",
        summary="least squares with adaptive discriminator noise (Karras et al. 2018, appendix B; Mao et al. 2017)",
    )
    register(
        "non-saturating",
        "ganlab_losses.classification:NonSaturating",
        summary="logistic loss, non-saturating generator (Goodfellow et al. 2014)",
    )
    register("hinge", "ganlab_losses.classification:Hinge", summary="hinge loss (Lim & Ye 2017)")


@ganlab.hookimpl
def register_regularizers(register: ganlab.Register) -> None:
    """Offer the regularizers of this package."""
    register("r1", "ganlab_losses.regularizers:R1", summary="gradient penalty on reals (Mescheder et al. 2018)")
    register("r2", "ganlab_losses.regularizers:R2", summary="gradient penalty on fakes (Mescheder et al. 2018)")
    register("ac-gan", "ganlab_losses.regularizers:AcGan", summary="classification of labels (Odena et al. 2017)")
