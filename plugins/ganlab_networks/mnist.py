"""The parameters of the small networks with which modes are counted on stacked MNIST digits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

from ganlab.errors import GanlabError
from ganlab.interfaces import ImageShape, Layer, Normalization, WeightScaling
from ganlab.parameters import component, parameter

if TYPE_CHECKING:
    from torch import nn

PROGRESSIVE_HELP = "build an image layer for every level; false leaves only that of the full resolution, without growth"


def _features(fmap_base: int, stage: int, divisor: int = 1) -> int:
    count = (fmap_base >> stage) // divisor
    if count < 1:
        raise GanlabError(f"fmap_base {fmap_base} leaves no features for stage {stage}; raise it")
    return count


def _refuse_labels(images: ImageShape) -> None:
    if images.label_size:
        raise GanlabError(
            "the networks of the mode test have no labels; use the pggan networks, or data without labels"
        )


@attrs.frozen
class MnistGenerator:
    """64 features at 4x4, then one 3x3 convolution a level, batch-normalized, leaky slope 0.3, tanh at the end.

    Karras et al. 2018, appendix D, after Metz et al. 2016.
    """

    fmap_base: int = parameter(64, ge=1, help="features of stage s are fmap_base / 2^s; 8x8 is stage 1")
    latent_size: int | None = parameter(None, ge=1, help="latent dimensions; by default fmap_base")
    normalization: Normalization = component("normalization", "batch", help="of every layer but the last")
    weight_scaling: WeightScaling = component("weight-scaling", "none", help="of every weight")
    progressive: bool = parameter(True, help=PROGRESSIVE_HELP)

    @property
    def role(self) -> Literal["generator"]:
        """Which player it is."""
        return "generator"

    def features(self, stage: int) -> int:
        """Features of a stage."""
        return _features(self.fmap_base, stage)

    def build(self, images: ImageShape) -> nn.Module:
        """A `ganlab.interfaces.Generator`. Raises `GanlabError` for images with labels."""
        from ganlab_networks.mnist_modules import MnistGenerator as Module

        _refuse_labels(images)
        return Module(self, images)


@attrs.frozen
class MnistDiscriminator:
    """One 3x3 convolution a level, batch-normalized, with `1 / width_divisor` of the generator's features.

    Karras et al. 2018, appendix D, after Metz et al. 2016: divisors 2 and 4.
    """

    fmap_base: int = parameter(64, ge=1, help="features of stage s are fmap_base / 2^s / width_divisor; 8x8 is stage 1")
    width_divisor: int = parameter(
        2, ge=1, help="how much smaller it is than the generator (the paper's K is 1 / this)"
    )
    normalization: Normalization = component("normalization", "batch", help="of every convolution but fromRGB")
    weight_scaling: WeightScaling = component("weight-scaling", "none", help="of every weight")
    stddev: Layer = component("layer", "none", help="before the last layer, at 4x4")
    progressive: bool = parameter(True, help=PROGRESSIVE_HELP)

    @property
    def role(self) -> Literal["discriminator"]:
        """Which player it is."""
        return "discriminator"

    def features(self, stage: int) -> int:
        """Features of a stage."""
        return _features(self.fmap_base, stage, self.width_divisor)

    def build(self, images: ImageShape) -> nn.Module:
        """A `ganlab.interfaces.Discriminator`. Raises `GanlabError` for images with labels, or of 4x4."""
        from ganlab_networks.mnist_modules import MnistDiscriminator as Module

        _refuse_labels(images)
        if images.resolution == 4:
            raise GanlabError("mnist-discriminator needs images of 8x8 or more")
        return Module(self, images)
