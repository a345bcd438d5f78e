"""The plugin: it says what there is, and imports nothing but ganlab."""

from __future__ import annotations

import ganlab


@ganlab.hookimpl
def register_losses(register: ganlab.Register) -> None:
    """Offer the margin loss."""
    register("margin", "acme_gan.components:Margin", summary="scores are pushed apart up to a margin")


@ganlab.hookimpl
def register_layers(register: ganlab.Register) -> None:
    """Offer the minibatch range."""
    register("minibatch-range", "acme_gan.components:MinibatchRange", summary="appends how far a minibatch spreads")


@ganlab.hookimpl
def register_schedules(register: ganlab.Register) -> None:
    """Offer growth in jumps."""
    register("staircase", "acme_gan.components:Staircase", summary="levels follow each other without fading")
