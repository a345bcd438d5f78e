"""The system that most GANs are: one generator against one discriminator."""

from __future__ import annotations

import ganlab


@ganlab.hookimpl
def register_systems(register: ganlab.Register) -> None:
    """Offer the system of this package."""
    register("pair", "ganlab_systems.pair:Pair", summary="one generator against one discriminator")
