"""The parameters of R3GAN's loss and networks. Torch is imported only when one is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import attrs

from ganlab.errors import GanlabError
from ganlab.interfaces import ImageShape, Stage
from ganlab.parameters import parameter

if TYPE_CHECKING:
    from torch import nn

    from ganlab_r3gan.loss import RelativisticLoss

LARGEST_WIDTH = 65_536
PUBLISHED_WIDTHS = (768, 768, 768, 768, 384, 192, 96)
"""Of the 256x256 model; the smaller models have the first of them."""
CHANNELS_OF_A_GROUP = 8
"""Published channels of a level for each group of its 3x3 convolutions."""


def _whole_numbers(values: Sequence[int]) -> None:
    if not values or any(not 1 <= value <= LARGEST_WIDTH for value in values):
        raise ValueError(f"expected one or more numbers from 1 to {LARGEST_WIDTH}, got {list(values)}")


@attrs.frozen
class Relativistic:
    """Reals should score higher than the fakes beside them in the minibatch; for the generator the other way round.

    Discriminator, per pair: softplus(-(real - fake)); generator: softplus(-(fake - real)). Only differences of scores
    count, so that no score needs to run away, and there is no point at which one mode of the data may be given up for
    another. It is not stable by itself: use it with the regularizers `r1` and `r2`.

    Source: Jolicoeur-Martineau 2018 (arXiv 1807.00734), section 4.1; Huang et al. 2024 (arXiv 2501.05441), section 2.
    """

    def build(self) -> RelativisticLoss:
        from ganlab_r3gan.loss import RelativisticLoss

        return RelativisticLoss()


@attrs.frozen(kw_only=True)
class Residual:
    """The parameters that both networks have."""

    examples: ClassVar[Sequence[Mapping[str, Any]]] = ({"widths": [16, 8], "blocks": [1]},)

    widths: tuple[int, ...] = parameter(
        PUBLISHED_WIDTHS, check=_whole_numbers, help="channels at 4x4, 8x8, 16x16, ...; more than are needed do no harm"
    )
    blocks: tuple[int, ...] = parameter(
        (2,), check=_whole_numbers, help="residual blocks at 4x4, 8x8, ...; the last number counts for what follows"
    )
    cardinality: tuple[int, ...] | None = parameter(
        None,
        check=_whole_numbers,
        help="groups of the 3x3 convolutions at 4x4, 8x8, ...; by default an eighth of the level's channels",
    )
    expansion: int = parameter(2, ge=1, le=64, help="channels inside a residual block for each one outside")
    leaky_slope: float = parameter(0.2, ge=0, lt=1, help="slope of the leaky rectifier; 0 for a plain one")

    def check_run(self, *, resolution: int, stages: Sequence[Stage]) -> None:
        """Raises `ValueError` where levels lack a width, groups do not divide channels, or the run would grow."""
        for level in range(resolution.bit_length() - 2):
            self.groups_at(level)
        if any(stage.resolution != resolution or stage.fade < 1 for stage in stages):
            raise ValueError(f"it works at {resolution}x{resolution} only, without growth; set schedule = 'fixed'")

    def width_at(self, level: int) -> int:
        """Channels of a level, 0 being 4x4. Raises `GanlabError` if there are none."""
        if level >= len(self.widths):
            end, missing = 2 << len(self.widths), 4 << level
            raise GanlabError(f"widths: {list(self.widths)} ends at {end}x{end}; add one for {missing}x{missing}")
        return self.widths[level]

    def blocks_at(self, level: int) -> int:
        """Residual blocks of a level."""
        return self.blocks[min(level, len(self.blocks) - 1)]

    def groups_at(self, level: int) -> int:
        """Groups of a level's 3x3 convolutions. Raises `GanlabError` where they do not divide its inner channels."""
        width = self.width_at(level)
        size = f"{4 << level}x{4 << level}"
        if self.cardinality is None:
            groups = max(width // CHANNELS_OF_A_GROUP, 1)
        elif level < len(self.cardinality):
            groups = self.cardinality[level]
        else:
            raise GanlabError(f"cardinality: {list(self.cardinality)} has no number for {size}; add one")
        if width * self.expansion % groups:
            raise GanlabError(
                f"{'widths' if self.cardinality is None else 'cardinality'}: {groups} groups do not divide the "
                f"{width} x {self.expansion} channels inside a block at {size}"
            )
        return groups


@attrs.frozen(kw_only=True)
class R3ganGenerator(Residual):
    """Latents to images: a learned 4x4 picture weighted by the latents, then residual blocks and doubling.

    A block is 1x1 (to `expansion` times the channels), grouped 3x3, 1x1 back, with a leaky rectifier between and none
    after; its last convolution starts at 0, the others at He's size times L^(-1/4) for L blocks in the network, which
    replaces normalization (Zhang et al. 2019). Doubling is bilinear. With labels, a learned vector for each class is
    appended to the latents.

    Source: Huang et al. 2024 (arXiv 2501.05441), section 3, config E. The defaults are those of its 256x256 model.
    """

    latent_size: int = parameter(64, ge=1, le=LARGEST_WIDTH, help="latent dimensions")

    @property
    def role(self) -> Literal["generator"]:
        """Which player it is."""
        return "generator"

    def build(self, images: ImageShape) -> nn.Module:
        """A `ganlab.interfaces.Generator` for the full resolution. Raises `GanlabError` as `check_run` does."""
        from ganlab_r3gan.networks import Generator

        return Generator(self, images)


@attrs.frozen(kw_only=True)
class R3ganDiscriminator(Residual):
    """Images to a score: residual blocks and halving, then each channel of 4x4 weighted by a learned picture.

    The mirror image of the generator, see `R3ganGenerator`. With labels it has logits for `ac-gan` beside the score,
    where the authors multiply with a learned vector of the class: a discriminator is not told the labels here.

    Source: Huang et al. 2024 (arXiv 2501.05441), section 3, config E. The defaults are those of its 256x256 model.
    """

    @property
    def role(self) -> Literal["discriminator"]:
        """Which player it is."""
        return "discriminator"

    def build(self, images: ImageShape) -> nn.Module:
        """A `ganlab.interfaces.Discriminator` for the full resolution. Raises `GanlabError` as `check_run` does."""
        from ganlab_r3gan.networks import Discriminator

        return Discriminator(self, images)
