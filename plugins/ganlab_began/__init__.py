"""BEGAN (Berthelot et al. 2017): an autoencoder as discriminator, and the equilibrium that balances it.

The parameter classes are in `ganlab_began.components` and import no torch; `autoencoder.py` has the networks and
`equilibrium.py` the loss.
"""

import ganlab


@ganlab.hookimpl
def register_networks(register: ganlab.Register) -> None:
    """Offer the two networks."""
    register(
        "began-generator",
        "ganlab_began.components:BeganGenerator",
        summary="decoder of ELU convolutions from a uniform latent (Berthelot et al. 2017)",
    )
    register(
        "began-discriminator",
        "ganlab_began.components:BeganDiscriminator",
        summary="autoencoder; a score is an image's reconstruction error (Berthelot et al. 2017)",
    )


@ganlab.hookimpl
def register_losses(register: ganlab.Register) -> None:
    """Offer the loss."""
    register(
        "began",
        "ganlab_began.components:Began",
        summary="reconstruction errors held in balance; for began-discriminator (Berthelot et al. 2017)",
    )
