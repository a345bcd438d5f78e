"""Builds our networks from the settings and parameters of the Theano program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import attrs
import torch
from torch import Tensor, nn

from ganlab.interfaces import ImageShape, Normalization, WeightScaling
from ganlab.interfaces import Layer as LayerComponent
from ganlab_layers.components import Empty, MinibatchDiscrimination, MinibatchStddev, MultiplicativeNoise
from ganlab_networks.mnist import MnistDiscriminator, MnistGenerator
from ganlab_networks.pggan import PgganDiscriminator, PgganGenerator
from ganlab_networks.theano_names import load_theano_parameters, theano_bindings
from ganlab_normalizations.components import Batch, Layer, NoNormalization, Pixel
from ganlab_normalizations.scaling_components import Equalized, NoScaling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..golden import Array, Case

Player = Literal["G", "D"]

NETWORK_DEFAULTS: Mapping[str, Any] = {"fmap_base": 4096, "fmap_decay": 1.0, "fmap_max": 256}
GENERATOR_DEFAULTS: Mapping[str, Any] = {
    **NETWORK_DEFAULTS,
    "latent_size": None,
    "normalize_latents": True,
    "use_wscale": True,
    "use_pixelnorm": True,
    "use_leakyrelu": True,
    "use_batchnorm": False,
    "tanh_at_end": None,
}
DISCRIMINATOR_DEFAULTS: Mapping[str, Any] = {
    **NETWORK_DEFAULTS,
    "mbstat_func": "Tstdeps",
    "mbstat_avg": "all",
    "mbdisc_kernels": None,
    "use_wscale": True,
    "use_gdrop": True,
    "use_layernorm": False,
}
MNIST_GENERATOR_DEFAULTS: Mapping[str, Any] = {"fmap_base": 64, "latent_size": None, "progressive": None}
MNIST_DISCRIMINATOR_DEFAULTS: Mapping[str, Any] = {
    "fmap_base": 64,
    "X": 2,
    "progressive": None,
    "mbstat_func": "Tstdeps",
    "mbstat_avg": None,
}
SHAPE = ("num_channels", "resolution", "label_size")


@attrs.frozen
class TheanoPair:
    """Both networks, their tensors by Theano name, and the noise of the file."""

    generator: nn.Module
    discriminator: nn.Module
    noise_draws: tuple[Tensor, ...]
    """One for each noise layer at full resolution, in the order of use; none if the layers do nothing."""

    def noise(self, resolution: int) -> tuple[Tensor, ...]:
        """What to hand to the discriminator at `resolution`."""
        count = len(self.discriminator.noise_channels(resolution))
        return self.noise_draws[len(self.noise_draws) - count :] if self.noise_draws else ()

    def gradients(self, player: Player) -> dict[str, Array]:
        """The gradients that a backward pass left, zeros where there are none; trainable parameters only."""
        bindings = theano_bindings(self.generator if player == "G" else self.discriminator)
        return {name: binding.gradient() for name, binding in bindings.items() if binding.trained}


def build(case: Case) -> TheanoPair:
    """The networks of a file, in training mode, with its weights."""
    config = case.config
    images = ImageShape(
        channels=config["common"]["num_channels"],
        resolution=config["common"]["resolution"],
        label_size=config["common"]["label_size"],
    )
    generator = generator_component(_settings(config, "G"), case).build(images)
    discriminator = discriminator_component(_settings(config, "D"), case).build(images)
    load_theano_parameters(generator, case.under("G.w/"))
    load_theano_parameters(discriminator, case.under("D.w/"))
    noise_layers = [name for name, kind, _ in case.notes["D_layers"] if kind == "GDropLayer"]
    draws = tuple(
        torch.from_numpy(case[f"D.gdrop_noise/{name}"]) for name in noise_layers if f"D.gdrop_noise/{name}" in case
    )
    return TheanoPair(generator, discriminator, draws)


def generator_component(settings: dict[str, Any], case: Case) -> PgganGenerator | MnistGenerator:
    if settings.pop("func", None) == "G_mnist_mode_recovery":
        s = _complete(settings, MNIST_GENERATOR_DEFAULTS)
        return MnistGenerator(
            fmap_base=s["fmap_base"],
            latent_size=s["latent_size"],
            progressive=_grows(case, "G"),
            normalization=Batch(),
            weight_scaling=NoScaling(),
        )
    s = _complete(settings, GENERATOR_DEFAULTS)
    assert not (s["use_pixelnorm"] and s["use_batchnorm"]), "we have one normalization after each layer"
    normalization: Normalization = NoNormalization()
    if s["use_pixelnorm"]:
        normalization = Pixel()
    if s["use_batchnorm"]:
        normalization = Batch()
    return PgganGenerator(
        fmap_base=s["fmap_base"],
        fmap_decay=s["fmap_decay"],
        fmap_max=s["fmap_max"],
        latent_size=s["latent_size"],
        latent_normalization=Pixel() if s["normalize_latents"] else NoNormalization(),
        label_position="after-normalization",
        leaky_slope=0.2 if s["use_leakyrelu"] else 0.0,
        normalization=normalization,
        weight_scaling=_scaling(s),
        fused_scale=False,
        tanh_at_end=s["tanh_at_end"] or 0.0,
    )


def discriminator_component(settings: dict[str, Any], case: Case) -> PgganDiscriminator | MnistDiscriminator:
    if settings.pop("func", None) == "D_mnist_mode_recovery":
        s = _complete(settings, MNIST_DISCRIMINATOR_DEFAULTS)
        return MnistDiscriminator(
            fmap_base=s["fmap_base"],
            width_divisor=s["X"],
            progressive=_grows(case, "D"),
            normalization=Batch(),
            weight_scaling=NoScaling(),
            stddev=_stddev(s),
        )
    s = _complete(settings, DISCRIMINATOR_DEFAULTS)
    strength = float(case["gdrop_strength"]) if "gdrop_strength" in case else 0.0
    return PgganDiscriminator(
        fmap_base=s["fmap_base"],
        fmap_decay=s["fmap_decay"],
        fmap_max=s["fmap_max"],
        normalization=Layer() if s["use_layernorm"] else NoNormalization(),
        weight_scaling=_scaling(s),
        fused_scale=False,
        stddev=_stddev(s),
        discrimination=MinibatchDiscrimination(kernels=s["mbdisc_kernels"]) if s["mbdisc_kernels"] else Empty(),
        noise=MultiplicativeNoise(strength=strength) if s["use_gdrop"] else Empty(),
    )


def _grows(case: Case, player: Player) -> bool:
    """Whether a network has levels to select from; the layer lists tell, whatever the program's default is."""
    return any(kind == "LODSelectLayer" for _, kind, _ in case.notes[f"{player}_layers"])


def _settings(config: Mapping[str, Any], player: Player) -> dict[str, Any]:
    return {**{k: v for k, v in config["common"].items() if k not in SHAPE}, **config[player]}


def _complete(settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    unknown = set(settings) - set(defaults)
    assert not unknown, f"settings that this check does not know: {sorted(unknown)}"
    return {**defaults, **settings}


def _scaling(settings: Mapping[str, Any]) -> WeightScaling:
    return Equalized(scale="measured") if settings["use_wscale"] else NoScaling()


def _stddev(settings: Mapping[str, Any]) -> LayerComponent:
    if settings["mbstat_avg"] is None:
        return Empty()
    epsilon = {"Tstdeps": 1e-8, "Tstd": 0.0}[settings["mbstat_func"]]
    return MinibatchStddev(averaging=settings["mbstat_avg"], group_size=0, epsilon=epsilon)
