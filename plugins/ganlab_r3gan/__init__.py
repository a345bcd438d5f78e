"""R3GAN (Huang et al. 2024): the relativistic pairing loss and networks without normalization.

The parameter classes are in `components` and import no torch; `blocks`, `networks` and `loss` compute.
"""

from __future__ import annotations

import ganlab


@ganlab.hookimpl
def register_losses(register: ganlab.Register) -> None:
    """Offer the loss."""
    register(
        "relativistic",
        "ganlab_r3gan.components:Relativistic",
        summary="relativistic pairing: each real against the fake beside it (Jolicoeur-Martineau 2018)",
    )


@ganlab.hookimpl
def register_networks(register: ganlab.Register) -> None:
    """Offer the networks."""
    register(
        "r3gan-generator",
        "ganlab_r3gan.components:R3ganGenerator",
        summary="Residual generator without normalization (Huang et al. 2024, config E)",
    )
    register(
        "r3gan-discriminator",
        "ganlab_r3gan.components:R3ganDiscriminator",
        summary="Residual discriminator without normalization (Huang et al. 2024, config E)",
    )
