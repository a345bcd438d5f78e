"""The parameters of the DCGAN networks. Torch is imported only when one is built."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import attrs

from ganlab.errors import GanlabError
from ganlab.interfaces import ImageShape, Layer, Normalization, Stage, WeightScaling
from ganlab.parameters import component, parameter

if TYPE_CHECKING:
    from torch import nn

LARGEST_WIDTH = 65_536
SMALLEST_RESOLUTION = 8


@attrs.frozen
class Dcgan:
    """The parameters that both networks have.

    The level of 4x4 has `width * 2^(levels - 1)` features, at most `max_width`, and each doubling of the resolution
    halves them: with the paper's 128 for 64x64 images 1024, 512, 256, 128.
    """

    width: int = parameter(128, ge=1, le=LARGEST_WIDTH, help="features next to the images; twice as many a level on")
    max_width: int = parameter(1024, ge=1, le=LARGEST_WIDTH, help="most features of any level")
    kernel_size: int = parameter(
        4, choices=(4, 5), unit="pixels", help="of the strided convolutions: 5 in the paper, 4 in most ports"
    )
    weight_scaling: WeightScaling = component(
        "weight-scaling", "none", help="of every weight; whichever it is, used weights start as N(0, init_std^2)"
    )
    init_std: float = parameter(0.02, gt=0, help="standard deviation of the initial weights")

    def check_run(self, *, resolution: int, stages: Sequence[Stage]) -> None:
        """Raises `ValueError` for images below 8x8, or where a schedule grows."""
        check_resolution(resolution)
        check_no_growth(resolution, stages)

    def widths(self, resolution: int) -> tuple[int, ...]:
        """Features at 4x4, 8x8, ... `resolution` / 2."""
        levels = resolution.bit_length() - 3
        return tuple(min(self.width << level, self.max_width) for level in reversed(range(levels)))


@attrs.frozen
class DcganGenerator(Dcgan):
    """Latents to images: a projection to 4x4 maps, then a transposed convolution for each doubling, tanh at the end.

    Batch normalization and a rectifier follow all layers but the last. Labels, where there are any, are appended to
    the latents. Source: Radford et al. 2016 (arXiv 1511.06434), section 3, section 4 and figure 1.
    """

    latent_size: int = parameter(100, ge=1, le=LARGEST_WIDTH, help="latent dimensions")
    latents: Literal["uniform", "normal"] = parameter(
        "uniform",
        choices=("uniform", "normal"),
        help="what the first layer sees: latents in [-1, 1], by the normal distribution function, or as they are drawn",
    )
    normalization: Normalization = component("normalization", "batch", help="of every layer but the last")

    @property
    def role(self) -> Literal["generator"]:
        """Which player it is."""
        return "generator"

    def build(self, images: ImageShape) -> nn.Module:
        """A `ganlab.interfaces.Generator`. Raises `GanlabError` for images below 8x8."""
        from ganlab_dcgan.modules import Generator

        check_resolution(images.resolution)
        return Generator(self, images)


@attrs.frozen
class DcganDiscriminator(Dcgan):
    """Images to a score, and label logits where there are labels: a strided convolution for each halving, to 4x4.

    Leaky rectifiers throughout, batch normalization after all convolutions but the first. Reals and fakes are
    normalized each on their own. There is no sigmoid: losses take unbounded scores. Source: Radford et al. 2016 (arXiv
    1511.06434), sections 3 and 4; the slot is where Salimans et al. 2016 add minibatch discrimination.
    """

    leaky_slope: float = parameter(0.2, ge=0, lt=1, help="slope of the leaky rectifier; 0 for a plain one")
    normalization: Normalization = component("normalization", "batch", help="of every convolution but the first")
    stddev: Layer = component("layer", "none", help="before the last layer, at 4x4")

    @property
    def role(self) -> Literal["discriminator"]:
        """Which player it is."""
        return "discriminator"

    def check_run(self, *, resolution: int, stages: Sequence[Stage]) -> None:
        """As `Dcgan.check_run`; also raises `ValueError` for a layer in the slot that does not fit."""
        super().check_run(resolution=resolution, stages=stages)
        if getattr(self.stddev, "draws_noise", False):
            raise ValueError("stddev: a noise layer, but this slot is handed no noise")
        if hasattr(self.stddev, "check_channels"):
            try:
                self.stddev.check_channels(self.widths(resolution)[0])
            except ValueError as error:
                raise ValueError(f"stddev.{error}") from error

    def build(self, images: ImageShape) -> nn.Module:
        """A `ganlab.interfaces.Discriminator`. Raises `GanlabError` for images below 8x8."""
        from ganlab_dcgan.modules import Discriminator

        check_resolution(images.resolution)
        return Discriminator(self, images)


def check_resolution(resolution: int) -> None:
    """Raise `GanlabError` for images below 8x8, which leave nothing to convolve."""
    if resolution < SMALLEST_RESOLUTION:
        raise GanlabError(f"this network needs images of 8x8 or more, not {resolution}x{resolution}")


def check_no_growth(resolution: int, stages: Sequence[Stage]) -> None:
    """Raise `ValueError` where a run trains another level than the full resolution, or fades."""
    for stage in stages:
        if stage.resolution != resolution or stage.fade < 1:
            level = f"{stage.resolution}x{stage.resolution}" + " fading in" * (stage.fade < 1)
            raise ValueError(
                f"this network works at {resolution}x{resolution} only and cannot grow, but the schedule trains "
                f'{level}; set schedule to "fixed"'
            )
