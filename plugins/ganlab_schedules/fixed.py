"""No growth at all: the baseline that progressive growing is compared with."""

from __future__ import annotations

import attrs

from .settings import Settings


@attrs.frozen
class Fixed(Settings):
    """Train at the run's resolution from the first step to the last.

    Source: the non-progressive rows of Karras et al. 2018, table 1.
    """

    def level_at(self, images_shown: int, resolution: int) -> tuple[int, float]:
        return resolution, 1.0
