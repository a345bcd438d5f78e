"""The networks of DCGAN (Radford et al. 2016)."""

from __future__ import annotations

import ganlab


@ganlab.hookimpl
def register_networks(register: ganlab.Register) -> None:
    """Offer both networks."""
    register(
        "dcgan-generator",
        "ganlab_dcgan.networks:DcganGenerator",
        summary="Transposed convolutions with batch normalization, at one resolution (Radford et al. 2016)",
    )
    register(
        "dcgan-discriminator",
        "ganlab_dcgan.networks:DcganDiscriminator",
        summary="Strided convolutions with batch normalization, at one resolution (Radford et al. 2016)",
    )
