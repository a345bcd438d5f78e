"""The parameters of the Laplacian pyramid and of its networks. What computes is imported only when they are built."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import attrs

from ganlab.errors import GanlabError
from ganlab.interfaces import ImageShape, Network, Stage, WeightScaling
from ganlab.parameters import component, parameter

if TYPE_CHECKING:
    from torch import nn

    from ganlab.modules import SystemBase


def check_resolution(value: int) -> None:
    """Raise `ValueError` unless `value` is a power of two, 4 or more."""
    if value < 4 or value & (value - 1):
        raise ValueError(f"expected a power of two, 4 or more, got {value!r}")


def refuse_labels(images: ImageShape) -> None:
    """Raise `GanlabError` for images with labels."""
    if images.label_size:
        raise GanlabError("the pyramid has no labels; set data.labels to false")


@attrs.frozen
class LaplacianPyramid:
    """A generator of small images, and for every doubling above one that adds the missing detail.

    `base` makes images of `base_resolution` from latents. At each finer level the recipe's generator, a translator, is
    given a doubled image of the level below and latents, and returns what is to be added. Every level has a
    discriminator of its own, which sees images of that level, and learns alone: its doubled images are made from reals.
    Samples run through the whole chain. Source: Denton et al. 2015 (arXiv 1506.05751), section 3.
    """

    base: Network = component("network", "dcgan-generator", help="generator of the coarsest images, from latents")
    base_resolution: int = parameter(8, check=check_resolution, unit="pixels", help="size of the coarsest images")

    def __attrs_post_init__(self) -> None:
        if self.base.role != "generator":
            raise ValueError(f"base: this network is a {self.base.role}; expected a generator")

    @property
    def generator_role(self) -> Literal["translator"]:
        """The finer levels start from images."""
        return "translator"

    @property
    def domains(self) -> int:
        """One data set."""
        return 1

    def check_run(self, *, resolution: int, stages: Sequence[Stage]) -> None:
        """Refuse a run without a finer level, and growth, which the pyramid takes the place of."""
        if self.base_resolution >= resolution:
            raise ValueError(f"base_resolution: expected less than the run's {resolution}, got {self.base_resolution}")
        if any(stage.resolution != resolution or stage.fade < 1 for stage in stages):
            raise ValueError('all levels are trained at once; use the schedule "fixed"')

    def build(self, images: ImageShape) -> SystemBase:
        """A `ganlab.interfaces.BuiltSystem`, whose pairs are named by resolution. Raises `GanlabError` for labels."""
        from ganlab_lapgan.pyramid import PyramidSystem

        refuse_labels(images)
        return PyramidSystem(self, images)


@attrs.frozen
class LapganBaseGenerator:
    """Hidden layers that are fully connected, with plain rectifiers; tanh at the end.

    Denton et al. 2015, section 4: two hidden layers of 1200 for 8x8, 100 latents.
    """

    latent_size: int = parameter(100, ge=1, help="latent dimensions")
    width: int = parameter(1200, ge=1, help="features of a hidden layer")
    depth: int = parameter(2, ge=1, help="hidden layers")
    weight_scaling: WeightScaling = component("weight-scaling", "none", help="of every weight")

    @property
    def role(self) -> Literal["generator"]:
        """It makes images from latents."""
        return "generator"

    def build(self, images: ImageShape) -> nn.Module:
        """A `ganlab.interfaces.Generator` for the full resolution. Raises `GanlabError` for images with labels."""
        from ganlab_lapgan.networks import BaseGenerator

        refuse_labels(images)
        return BaseGenerator(self, images)


@attrs.frozen
class LapganRefiner:
    """Convolutions with plain rectifiers; latents come in as one more channel, a number for each pixel.

    The result is not an image but what is to be added to one. Denton et al. 2015, section 4: two hidden layers, trained
    at 16x16 and 32x32.
    """

    width: int = parameter(64, ge=1, help="channels of a hidden layer")
    depth: int = parameter(2, ge=1, help="hidden layers")
    kernel_size: int = parameter(5, ge=3, le=15, help="width and height of every kernel; an odd number", unit="pixels")
    weight_scaling: WeightScaling = component("weight-scaling", "none", help="of every weight")

    def __attrs_post_init__(self) -> None:
        check_odd(self.kernel_size)

    @property
    def role(self) -> Literal["translator"]:
        """It is given images."""
        return "translator"

    def build(self, images: ImageShape) -> nn.Module:
        """A `ganlab.interfaces.Translator` for the full resolution. Raises `GanlabError` for images with labels."""
        from ganlab_lapgan.networks import Refiner

        refuse_labels(images)
        return Refiner(self, images)


@attrs.frozen
class LapganDiscriminator:
    """Fully connected hidden layers at `dense_resolution` and below, above it convolutions that halve, not below 4x4.

    Denton et al. 2015, section 4: two hidden layers of 600 at 8x8; convolutional nets with dropout above. Dropout is
    left out here: whatever is random in a pass has to be handed in.
    """

    dense_resolution: int = parameter(
        8, check=check_resolution, unit="pixels", help="finest images that are judged by fully connected layers"
    )
    dense_width: int = parameter(600, ge=1, help="features of a fully connected hidden layer")
    width: int = parameter(64, ge=1, help="channels of the first convolution; those below have twice as many")
    depth: int = parameter(2, ge=1, help="hidden layers; convolutions at 4x4 halve nothing any more")
    kernel_size: int = parameter(5, ge=3, le=15, help="width and height of every kernel; an odd number", unit="pixels")
    leaky_slope: float = parameter(0.2, ge=0, lt=1, help="of the rectifiers; 0 for plain ones")
    weight_scaling: WeightScaling = component("weight-scaling", "none", help="of every weight")

    def __attrs_post_init__(self) -> None:
        check_odd(self.kernel_size)

    @property
    def role(self) -> Literal["discriminator"]:
        """It judges images."""
        return "discriminator"

    def build(self, images: ImageShape) -> nn.Module:
        """A `ganlab.interfaces.Discriminator` for the full resolution. Raises `GanlabError` for images with labels."""
        from ganlab_lapgan.networks import Discriminator

        refuse_labels(images)
        return Discriminator(self, images)


def check_odd(kernel_size: int) -> None:
    """Raise `ValueError` for a kernel without a middle."""
    if kernel_size % 2 == 0:
        raise ValueError(f"kernel_size: expected an odd number, got {kernel_size}")
