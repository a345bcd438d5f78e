"""The networks of Progressive GAN (Karras et al. 2018), and the small pair of its mode-counting experiment."""

from __future__ import annotations

import ganlab


@ganlab.hookimpl
def register_networks(register: ganlab.Register) -> None:
    """Offer the networks of this plugin."""
    register(
        "pggan-generator",
        "ganlab_networks.pggan:PgganGenerator",
        summary="The generator of Karras et al. 2018, 4x4 to 1024x1024",
    )
    register(
        "pggan-discriminator",
        "ganlab_networks.pggan:PgganDiscriminator",
        summary="The discriminator of Karras et al. 2018, 4x4 to 1024x1024",
    )
    register(
        "mnist-generator",
        "ganlab_networks.mnist:MnistGenerator",
        summary="The small generator of the discrete mode test (Karras et al. 2018, appendix D)",
    )
    register(
        "mnist-discriminator",
        "ganlab_networks.mnist:MnistDiscriminator",
        summary="The tiny discriminator of the discrete mode test (Karras et al. 2018, appendix D)",
    )
