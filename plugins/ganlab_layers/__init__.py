"""Layers that networks have slots for, and the convolutions, resampling and fades they are made of."""

from __future__ import annotations

import ganlab


@ganlab.hookimpl
def register_layers(register: ganlab.Register) -> None:
    """Offer the layers of this plugin."""
    register(
        "minibatch-stddev",
        "ganlab_layers.components:MinibatchStddev",
        summary="Appends how much a minibatch varies (Karras et al. 2018, section 3)",
    )
    register(
        "minibatch-discrimination",
        "ganlab_layers.components:MinibatchDiscrimination",
        summary="Appends how close each sample is to the others (Salimans et al. 2016)",
    )
    register(
        "multiplicative-noise",
        "ganlab_layers.components:MultiplicativeNoise",
        summary="Multiplies each channel by noise (Karras et al. 2018, appendix B)",
    )
    register("none", "ganlab_layers.components:Empty", summary="Leaves the slot empty")
