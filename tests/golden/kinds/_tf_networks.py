"""Builds our networks from the settings and variables of the TensorFlow program."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import attrs

from ganlab.interfaces import ImageShape
from ganlab_layers.components import Empty, MinibatchStddev
from ganlab_networks.discriminator import Discriminator
from ganlab_networks.generator import Generator
from ganlab_networks.pggan import PgganDiscriminator, PgganGenerator
from ganlab_networks.tf_names import load_tf_variables, tf_bindings, tf_variables
from ganlab_normalizations.components import NoNormalization, Pixel
from ganlab_normalizations.scaling_components import Equalized, NoScaling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..golden import Array

Player = Literal["G", "D"]

DEFAULTS: Mapping[str, Any] = {
    "fmap_base": 8192,
    "fmap_decay": 1.0,
    "fmap_max": 512,
    "latent_size": None,
    "normalize_latents": True,
    "use_wscale": True,
    "use_pixelnorm": True,
    "pixelnorm_epsilon": 1e-8,
    "use_leakyrelu": True,
    "fused_scale": True,
    "mbstd_group_size": 4,
}
"""What the program uses for settings that a file leaves out."""


@attrs.frozen
class TfPair:
    """Both networks, and their tensors by TensorFlow variable name."""

    generator: Generator
    discriminator: Discriminator

    def network(self, player: Player) -> Generator | Discriminator:
        return self.generator if player == "G" else self.discriminator

    def gradients(self, player: Player) -> dict[str, Array]:
        """The gradients that a backward pass left, zeros where there are none."""
        return {name: binding.gradient() for name, binding in tf_bindings(self.network(player)).items()}

    def weights(self, player: Player) -> dict[str, Array]:
        return tf_variables(self.network(player))

    @property
    def resolution(self) -> int:
        return self.generator.resolutions[-1]


def generator_component(settings: Mapping[str, Any]) -> PgganGenerator:
    s = {**DEFAULTS, **settings}
    pixel = Pixel(epsilon=s["pixelnorm_epsilon"])
    return PgganGenerator(
        fmap_base=s["fmap_base"],
        fmap_decay=s["fmap_decay"],
        fmap_max=s["fmap_max"],
        latent_size=s["latent_size"],
        latent_normalization=pixel if s["normalize_latents"] else NoNormalization(),
        leaky_slope=0.2 if s["use_leakyrelu"] else 0.0,
        normalization=pixel if s["use_pixelnorm"] else NoNormalization(),
        weight_scaling=Equalized() if s["use_wscale"] else NoScaling(),
        fused_scale=s["fused_scale"],
    )


def discriminator_component(settings: Mapping[str, Any]) -> PgganDiscriminator:
    s = {**DEFAULTS, **settings}
    group_size = s["mbstd_group_size"]
    return PgganDiscriminator(
        fmap_base=s["fmap_base"],
        fmap_decay=s["fmap_decay"],
        fmap_max=s["fmap_max"],
        normalization=NoNormalization(),
        weight_scaling=Equalized() if s["use_wscale"] else NoScaling(),
        fused_scale=s["fused_scale"],
        stddev=MinibatchStddev(group_size=group_size) if group_size > 1 else Empty(),
        discrimination=Empty(),
        noise=Empty(),
    )


def image_shape(settings: Mapping[str, Any]) -> ImageShape:
    return ImageShape(
        channels=settings["num_channels"], resolution=settings["resolution"], label_size=settings["label_size"]
    )


def build(settings: Mapping[str, Any], arrays_g: Mapping[str, Array], arrays_d: Mapping[str, Array]) -> TfPair:
    """The pair of `config.network`, with weights `{variable name: array}`."""
    generator = generator_component(settings).build(image_shape(settings))
    discriminator = discriminator_component(settings).build(image_shape(settings))
    assert isinstance(generator, Generator)
    assert isinstance(discriminator, Discriminator)
    load_tf_variables(generator, arrays_g)
    load_tf_variables(discriminator, arrays_d)
    return TfPair(generator, discriminator)


def level(full_resolution: int, lod: float) -> tuple[int, float]:
    """The resolution and fade at which our networks stand for a level of detail; 4x4 ends the scale."""
    whole = min(math.floor(lod), int(math.log2(full_resolution)) - 2)
    return full_resolution >> whole, max(1.0 - (lod - whole), 0.0)
