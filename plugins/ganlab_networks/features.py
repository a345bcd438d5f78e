"""How many features each level has: the authors' rule, or explicit widths."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from ganlab.errors import GanlabError
from ganlab.interfaces import Stage
from ganlab.parameters import parameter

LARGEST_WIDTH = 65_536
"""Features of one level or latent dimensions: beyond this it is a slip of the keyboard, not a network."""


def _check_widths(widths: tuple[int, ...]) -> None:
    if not widths or any(not 1 <= width <= LARGEST_WIDTH for width in widths):
        raise ValueError(f"expected one or more numbers from 1 to {LARGEST_WIDTH}, got {list(widths)}")


@attrs.frozen
class FeatureCounts:
    """The parameters that set the features of each level; networks inherit them.

    Stage s has min(fmap_base / 2^(s * fmap_decay), fmap_max) features; the level of resolution R works with stages
    log2(R) - 1 and log2(R) - 2.
    """

    fmap_base: int = parameter(8192, ge=1, help="features of stage s are fmap_base / 2^(s * fmap_decay)")
    fmap_decay: float = parameter(1.0, ge=0, le=10, help="how fast features become fewer as resolution grows")
    fmap_max: int = parameter(512, ge=1, le=LARGEST_WIDTH, help="most features of any stage")
    widths: tuple[int, ...] | None = parameter(
        None, check=_check_widths, help="features at 4x4, 8x8, 16x16, ...; replaces the three fmap_ numbers"
    )

    def check_run(self, *, resolution: int, stages: Sequence[Stage]) -> None:
        """Raises `GanlabError` if a level up to `resolution` has no features."""
        for stage in range(resolution.bit_length() - 1):
            self.features(stage)

    def features(self, stage: int) -> int:
        """Features of a stage: 0 is the latents', 1 that of 4x4, 2 of 8x8. Raises `GanlabError` if there are none."""
        if self.widths is not None:
            level = max(stage - 1, 0)
            if level >= len(self.widths):
                raise GanlabError(
                    f"widths: {list(self.widths)} ends at {2 << len(self.widths)}x{2 << len(self.widths)}; "
                    f"add one for {4 << level}x{4 << level}"
                )
            return self.widths[level]
        count = min(int(self.fmap_base / 2.0 ** (stage * self.fmap_decay)), self.fmap_max)
        if count < 1:
            raise GanlabError(
                f"fmap_base: {self.fmap_base} leaves no features for stage {stage}; raise it or give widths"
            )
        return count


def level_name(resolution: int) -> str:
    """`8` -> `8x8`, the name of a level's modules."""
    return f"{resolution}x{resolution}"
