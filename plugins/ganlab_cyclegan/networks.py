"""The parameters of the networks that translate and judge. Torch is imported only when one is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import attrs

from ganlab.errors import GanlabError
from ganlab.interfaces import ImageShape, Normalization, Stage, WeightScaling
from ganlab.parameters import component, parameter

if TYPE_CHECKING:
    from torch import nn

LARGEST_WIDTH = 65_536
DEVIATION_HELP = "standard deviation of the initial weights, which are normal; biases start at 0"


def check_power_of_two(value: int) -> None:
    """Raise `ValueError` unless `value` is a power of two, 4 or more."""
    if value < 4 or value & (value - 1):
        raise ValueError(f"expected a power of two, 4 or more, got {value!r}")


def _refuse_growth(stages: Sequence[Stage], resolution: int, instead: str) -> None:
    if any(stage.resolution != resolution or stage.fade < 1 for stage in stages):
        raise ValueError(f"name: this network does not grow; set schedule to 'fixed', or take {instead}")


def _refuse_labels(images: ImageShape) -> None:
    if images.label_size:
        raise GanlabError("the networks of CycleGAN have no labels; set data.labels to false")


@attrs.frozen
class CycleTranslator:
    """Images to images: 7x7 convolution, halvings, residual blocks, doublings, 7x7 convolution, tanh.

    With the defaults c7s1-64, d128, d256, nine times R256, u128, u64, c7s1-3, with reflected edges and instance
    normalization: Zhu et al. 2017, section 7.2, after Johnson et al. 2016. It works at one resolution.
    """

    examples: ClassVar[Sequence[Mapping[str, Any]]] = ({"features": 4, "halvings": 1, "blocks": 2},)

    features: int = parameter(64, ge=1, le=4096, help="of the first layer; every halving doubles them")
    halvings: int = parameter(2, ge=0, le=8, help="of the resolution before the residual blocks, and doublings after")
    blocks: int = parameter(9, ge=1, le=64, help="residual blocks; the paper has 6 for 128x128 and 9 for 256x256")
    normalization: Normalization = component("normalization", "instance", help="of every convolution but the last")
    deviation: float = parameter(0.02, gt=0, help=DEVIATION_HELP)

    @property
    def role(self) -> Literal["translator"]:
        """What it is to a system."""
        return "translator"

    def check_run(self, *, resolution: int, stages: Sequence[Stage]) -> None:
        """Raises `ValueError` for a run that grows, and for halvings that leave less than 2x2."""
        _refuse_growth(stages, resolution, "'cyclegan-growing-translator'")
        if resolution >> self.halvings < 2:
            most = resolution.bit_length() - 2
            raise ValueError(
                f"halvings: {self.halvings} leave less than 2x2 of {resolution}x{resolution}; {most} at most"
            )

    def build(self, images: ImageShape) -> nn.Module:
        """A `ganlab.interfaces.Translator`. Raises `GanlabError` for images with labels."""
        from ganlab_cyclegan.translator import Translator

        _refuse_labels(images)
        return Translator(self, images)


@attrs.frozen
class PatchDiscriminator:
    """A score for each of many overlapping patches: 4x4 convolutions, the first ones with stride 2 (PatchGAN).

    With the defaults C64-C128-C256-C512, each score of 70x70 pixels: Zhu et al. 2017, section 7.2, after Isola et al.
    2017. With 2 halvings a patch has 34x34 pixels, with 1 it has 16x16. It works at one resolution.
    """

    examples: ClassVar[Sequence[Mapping[str, Any]]] = ({"features": 4, "halvings": 1},)

    features: int = parameter(
        64, ge=1, le=4096, help="of the first layer; every further one doubles them, up to eight times"
    )
    halvings: int = parameter(3, ge=1, le=6, help="convolutions with stride 2; two with stride 1 follow")
    normalization: Normalization = component("normalization", "instance", help="of every layer but the first and last")
    leaky_slope: float = parameter(0.2, ge=0, lt=1, help="slope of the leaky rectifier; 0 for a plain one")
    deviation: float = parameter(0.02, gt=0, help=DEVIATION_HELP)

    @property
    def role(self) -> Literal["discriminator"]:
        """Which player it is."""
        return "discriminator"

    def check_run(self, *, resolution: int, stages: Sequence[Stage]) -> None:
        """Raises `ValueError` for a run that grows, and for images too small for one score."""
        _refuse_growth(stages, resolution, "'pggan-discriminator'")
        if self.patches(resolution) < 1:
            raise ValueError(f"halvings: {self.halvings} leave no patch of {resolution}x{resolution}; take fewer")

    def patches(self, resolution: int) -> int:
        """Scores in a row: each of the two last convolutions takes away one."""
        return (resolution >> self.halvings) - 2

    def build(self, images: ImageShape) -> nn.Module:
        """A `ganlab.interfaces.Discriminator`. Raises `GanlabError` for images with labels."""
        from ganlab_cyclegan.patches import PatchDiscriminator as Module

        _refuse_labels(images)
        return Module(self, images)


@attrs.frozen
class GrowingTranslator:
    """Images to images at every resolution from that of the core up: levels fade in where images enter and leave.

    The core is a row of residual blocks at one low resolution. Each level above it has a block that halves and a block
    that doubles, and a fromRGB and a toRGB of its own; while it is new, both ends are blended with those of the level
    below, as Karras et al. 2018 blend a generator's and a discriminator's. That it is one network for both is ours.
    """

    examples: ClassVar[Sequence[Mapping[str, Any]]] = (
        {"core_resolution": 4, "features": 8, "least_features": 4, "blocks": 1},
    )

    core_resolution: int = parameter(
        8, unit="pixels", check=check_power_of_two, help="where the residual blocks work; the schedule starts there"
    )
    features: int = parameter(256, ge=1, le=LARGEST_WIDTH, help="of the core")
    least_features: int = parameter(
        16, ge=1, le=LARGEST_WIDTH, help="every level has half the features of the one below, but no fewer than these"
    )
    blocks: int = parameter(4, ge=1, le=64, help="residual blocks of the core")
    skips: bool = parameter(
        True, help="add what the halving side had at a resolution to the doubling side (after Ronneberger et al. 2015)"
    )
    leaky_slope: float = parameter(0.2, ge=0, lt=1, help="slope of the leaky rectifier; 0 for a plain one")
    normalization: Normalization = component("normalization", "instance", help="of every layer but fromRGB and toRGB")
    weight_scaling: WeightScaling = component("weight-scaling", "equalized", help="of every weight")
    fused_scale: bool = parameter(True, help="resample and convolve in one operation: the same function, faster")

    @property
    def role(self) -> Literal["translator"]:
        """What it is to a system."""
        return "translator"

    def width(self, resolution: int) -> int:
        """Features at a resolution."""
        halved = self.features >> (resolution.bit_length() - self.core_resolution.bit_length())
        return max(halved, min(self.least_features, self.features))

    def check_run(self, *, resolution: int, stages: Sequence[Stage]) -> None:
        """Raises `ValueError` for a run with images smaller than the core's."""
        smallest = min([resolution, *(stage.resolution for stage in stages)])
        if smallest < self.core_resolution:
            raise ValueError(
                f"core_resolution: {self.core_resolution} is more than the {smallest}x{smallest} that the run has; "
                "lower it, or raise schedule.initial_resolution"
            )

    def build(self, images: ImageShape) -> nn.Module:
        """A `ganlab.interfaces.Translator`. Raises `GanlabError` for images with labels, or smaller than the core's."""
        from ganlab_cyclegan.growing import GrowingTranslator as Module

        _refuse_labels(images)
        if images.resolution < self.core_resolution:
            raise GanlabError(f"core_resolution: {self.core_resolution} is more than the images have")
        return Module(self, images)
