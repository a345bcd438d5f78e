"""The parameters of the residual networks of WGAN-GP. Torch is imported only when one is built."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import attrs

from ganlab.errors import GanlabError
from ganlab.interfaces import ImageShape, Normalization, Stage, WeightScaling
from ganlab.parameters import component, parameter

if TYPE_CHECKING:
    from torch import nn

LARGEST_WIDTH = 65_536
SMALLEST_RESOLUTION = 8


@attrs.frozen
class WganGpNetwork:
    """The parameters that both networks have."""

    width: int = parameter(128, ge=1, le=LARGEST_WIDTH, help="features of every residual block")
    weight_scaling: WeightScaling = component(
        "weight-scaling", "uniform", help="of every weight; 'uniform' is the published initialization"
    )

    def check_run(self, *, resolution: int, stages: Sequence[Stage]) -> None:
        """Raises `ValueError` for images below 8x8, or where a schedule grows."""
        check_resolution(resolution)
        for stage in stages:
            if stage.resolution != resolution or stage.fade < 1:
                level = f"{stage.resolution}x{stage.resolution}" + " fading in" * (stage.fade < 1)
                raise ValueError(
                    f"this network works at {resolution}x{resolution} only and cannot grow, but the schedule trains "
                    f'{level}; set schedule to "fixed"'
                )


@attrs.frozen
class WganGpGenerator(WganGpNetwork):
    """Latents to images: a projection to 4x4 maps, a residual block for each doubling (nearest neighbour), tanh.

    Batch normalization and a rectifier stand before each 3x3 convolution. Labels, where there are any, are appended to
    the latents. Source: Gulrajani et al. 2017 (arXiv 1704.00028), section 5.3 and appendix F: 128 features, 32x32;
    other resolutions are ours, by more or fewer blocks.
    """

    latent_size: int = parameter(128, ge=1, le=LARGEST_WIDTH, help="latent dimensions")
    normalization: Normalization = component("normalization", "batch", help="before each rectifier")

    @property
    def role(self) -> Literal["generator"]:
        """Which player it is."""
        return "generator"

    def build(self, images: ImageShape) -> nn.Module:
        """A `ganlab.interfaces.Generator`. Raises `GanlabError` for images below 8x8."""
        from ganlab_wgan.modules import Generator

        check_resolution(images.resolution)
        return Generator(self, images)


@attrs.frozen
class WganGpCritic(WganGpNetwork):
    """Images to a score, and label logits where there are labels: residual blocks, the mean over pixels, one layer.

    Blocks halve (mean of 2x2) down to 8x8, and `plain_blocks` more follow there. Nothing is normalized, as the penalty
    is on the gradient at each sample by itself; the paper recommends layer normalization where some is wanted. Source:
    Gulrajani et al. 2017 (arXiv 1704.00028), sections 4 and 5.3 and appendix F: 128 features, 32x32, two halvings and
    two plain blocks; other resolutions are ours, by more or fewer halvings.
    """

    plain_blocks: int = parameter(2, ge=0, le=100, help="residual blocks after the last halving")
    normalization: Normalization = component("normalization", "none", help="before each rectifier of a block")

    @property
    def role(self) -> Literal["discriminator"]:
        """Which player it is."""
        return "discriminator"

    def halvings(self, resolution: int) -> int:
        """Blocks that halve: down to 8x8, but at least one."""
        return max(resolution.bit_length() - 4, 1)

    def build(self, images: ImageShape) -> nn.Module:
        """A `ganlab.interfaces.Discriminator`. Raises `GanlabError` for images below 8x8."""
        from ganlab_wgan.modules import Critic

        check_resolution(images.resolution)
        return Critic(self, images)


def check_resolution(resolution: int) -> None:
    """Raise `GanlabError` for images below 8x8."""
    if resolution < SMALLEST_RESOLUTION:
        raise GanlabError(f"this network needs images of 8x8 or more, not {resolution}x{resolution}")
