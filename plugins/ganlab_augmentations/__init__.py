"""Augmentations of what the discriminator sees: DiffAugment and ADA.

The parameter classes are in `ganlab_augmentations.components`, which imports no torch.
"""

from __future__ import annotations

import ganlab


@ganlab.hookimpl
def register_augmentations(register: ganlab.Register) -> None:
    """Offer the augmentations of this package."""
    home = "ganlab_augmentations.components"
    register("none", f"{home}:NoAugmentation", summary="Discriminators see images as they are")
    register(
        "diffaugment",
        f"{home}:DiffAugment",
        summary="Every image in other colours, shifted, and with a square cut out (Zhao et al. 2020)",
    )
    register(
        "ada",
        f"{home}:Ada",
        summary="Flips, turns, shifts, scales and recolours with a probability that adapts (Karras et al. 2020)",
    )
