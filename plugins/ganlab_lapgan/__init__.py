"""LAPGAN (Denton et al. 2015): a Laplacian pyramid of conditional GANs.

The parameter classes are in `components` and import no torch.
"""

from __future__ import annotations

import ganlab

HOME = "ganlab_lapgan.components"


@ganlab.hookimpl
def register_systems(register: ganlab.Register) -> None:
    """Offer the pyramid."""
    register(
        "laplacian-pyramid",
        f"{HOME}:LaplacianPyramid",
        summary="A small image from latents, then a generator for the detail of every doubling (Denton et al. 2015)",
    )


@ganlab.hookimpl
def register_networks(register: ganlab.Register) -> None:
    """Offer the networks of its levels."""
    register(
        "lapgan-base-generator",
        f"{HOME}:LapganBaseGenerator",
        summary="Fully connected, for the coarsest images of a Laplacian pyramid (Denton et al. 2015)",
    )
    register(
        "lapgan-refiner",
        f"{HOME}:LapganRefiner",
        summary="Convolutions from a doubled image and a plane of noise to the missing detail (Denton et al. 2015)",
    )
    register(
        "lapgan-discriminator",
        f"{HOME}:LapganDiscriminator",
        summary="Fully connected for the coarsest images, convolutions above (Denton et al. 2015)",
    )
