"""CycleGAN (Zhu et al. 2017): translation between two sets of images without pairs."""

from __future__ import annotations

import ganlab


@ganlab.hookimpl
def register_systems(register: ganlab.Register) -> None:
    """Offer the system of two translators and two critics."""
    register(
        "cycle",
        "ganlab_cyclegan.system:Cycle",
        summary="Translators between two sets of images, there and back (Zhu et al. 2017)",
    )


@ganlab.hookimpl
def register_networks(register: ganlab.Register) -> None:
    """Offer the networks that translate and judge."""
    home = "ganlab_cyclegan.networks"
    register("cyclegan-translator", f"{home}:CycleTranslator", summary="Residual blocks between halvings and doublings")
    register("cyclegan-discriminator", f"{home}:PatchDiscriminator", summary="PatchGAN: a score for each patch")
    register(
        "cyclegan-growing-translator",
        f"{home}:GrowingTranslator",
        summary="Residual blocks at a low resolution, with levels on both sides that fade in",
    )


@ganlab.hookimpl
def register_metrics(register: ganlab.Register) -> None:
    """Offer the comparison with a known translation."""
    register(
        "translation-error",
        "ganlab_cyclegan.translation:TranslationError",
        summary="How far translations are from the true ones, where those are known",
    )


@ganlab.hookimpl
def register_datasets(register: ganlab.Register) -> None:
    """Offer two sets side by side, and a set made from half of another."""
    register("two-sets", "ganlab_cyclegan.domains:TwoSets", summary="Two data sets shown side by side, without pairs")
    register("recoloured", "ganlab_cyclegan.recoloured:Recoloured", summary="A part of a data set in other colours")
