"""Networks of fully connected layers, a system of two discriminators, and an augmentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

import ganlab
from ganlab.interfaces import Normalization, WeightScaling

if TYPE_CHECKING:
    from acme_gan.flat import Critic, DimModule, Maker, MirroredSystem


@attrs.frozen
class FlatGenerator:
    """Latents to images by two fully connected layers."""

    latent_size: int = ganlab.parameter(8, ge=1, help="latent dimensions")
    width: int = ganlab.parameter(32, ge=1, help="hidden features")
    normalization: Normalization = ganlab.component("normalization", "largest", help="of the hidden layer")
    weight_scaling: WeightScaling = ganlab.component("weight-scaling", "unit-rows", help="of both weights")

    @property
    def role(self) -> Literal["generator"]:
        """The generator."""
        return "generator"

    def build(self, images: ganlab.ImageShape) -> Maker:
        """The module."""
        from acme_gan.flat import Maker

        return Maker(self, images)


@attrs.frozen
class FlatDiscriminator:
    """Images to scores by two fully connected layers."""

    width: int = ganlab.parameter(32, ge=1, help="hidden features")
    weight_scaling: WeightScaling = ganlab.component("weight-scaling", "unit-rows", help="of both weights")

    @property
    def role(self) -> Literal["discriminator"]:
        """The discriminator."""
        return "discriminator"

    def build(self, images: ganlab.ImageShape) -> Critic:
        """The module."""
        from acme_gan.flat import Critic

        return Critic(self, images)


@attrs.frozen
class Mirrored:
    """One generator against two discriminators, the second of which sees everything mirrored."""

    @property
    def generator_role(self) -> Literal["generator"]:
        """From latents."""
        return "generator"

    @property
    def domains(self) -> int:
        """One."""
        return 1

    def build(self, images: ganlab.ImageShape) -> MirroredSystem:
        """The system."""
        from acme_gan.flat import MirroredSystem

        return MirroredSystem(images)


@attrs.frozen
class Dim:
    """Multiply each image by its own number in (1 - strength, 1]."""

    strength: float = ganlab.parameter(0.5, ge=0, le=1, help="how much paler at most")

    def build(self, images: ganlab.ImageShape) -> DimModule | None:
        """The module, or None where there is nothing to do."""
        from acme_gan.flat import DimModule

        return DimModule(self.strength) if self.strength else None
