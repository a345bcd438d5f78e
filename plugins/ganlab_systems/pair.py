"""Parameters of the system of one pair: there are none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

from ganlab.interfaces import ImageShape

if TYPE_CHECKING:
    from ganlab.modules import SystemBase


@attrs.frozen
class Pair:
    """One generator, which makes images from latents, against one discriminator.

    Source: Goodfellow et al. 2014 (arXiv 1406.2661).
    """

    @property
    def generator_role(self) -> Literal["generator"]:
        """It makes images from latents."""
        return "generator"

    @property
    def domains(self) -> int:
        """One data set."""
        return 1

    def build(self, images: ImageShape) -> SystemBase:
        from ganlab.modules import SystemBase

        return SystemBase(images)
