"""Normalizations of activations, and the ways a stored weight becomes the one that is used."""

from __future__ import annotations

import ganlab


@ganlab.hookimpl
def register_normalizations(register: ganlab.Register) -> None:
    """Offer the normalizations of this plugin."""
    home = "ganlab_normalizations.components"
    register("pixel", f"{home}:Pixel", summary="Each pixel's feature vector to length sqrt(C) (Karras et al. 2018)")
    register(
        "layer", f"{home}:Layer", summary="Over each sample (Ba et al. 2016), with the PGGAN authors' gain and bias"
    )
    register("batch", f"{home}:Batch", summary="Over the minibatch, per channel (Ioffe & Szegedy 2015)")
    register("instance", f"{home}:Instance", summary="Over each sample's pixels, per channel (Ulyanov et al. 2016)")
    register("none", f"{home}:NoNormalization", summary="Leaves activations as they are")


@ganlab.hookimpl
def register_weight_scalings(register: ganlab.Register) -> None:
    """Offer the weight scalings of this plugin."""
    home = "ganlab_normalizations.scaling_components"
    register("equalized", f"{home}:Equalized", summary="Equalized learning rate (Karras et al. 2018, section 4.1)")
    register("spectral", f"{home}:Spectral", summary="Largest singular value 1 (Miyato et al. 2018)")
    register("none", f"{home}:NoScaling", summary="The stored weight is the one that is used")
