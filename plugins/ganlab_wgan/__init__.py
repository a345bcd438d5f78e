"""The residual networks of WGAN-GP (Gulrajani et al. 2017)."""

from __future__ import annotations

import ganlab


@ganlab.hookimpl
def register_networks(register: ganlab.Register) -> None:
    """Offer both networks."""
    register(
        "wgan-gp-generator",
        "ganlab_wgan.networks:WganGpGenerator",
        summary="Residual blocks that double, at one resolution (Gulrajani et al. 2017)",
    )
    register(
        "wgan-gp-critic",
        "ganlab_wgan.networks:WganGpCritic",
        summary="Residual blocks that halve, without normalization, at one resolution (Gulrajani et al. 2017)",
    )


@ganlab.hookimpl
def register_weight_scalings(register: ganlab.Register) -> None:
    """Offer the initialization that they were published with."""
    register(
        "uniform",
        "ganlab_wgan.start:UniformStart",
        summary="The stored weight is used; it starts uniform (Glorot & Bengio 2010, He et al. 2015)",
    )
