"""What the tests of networks share: small networks of every kind, initialized from a seed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ganlab.interfaces import ImageShape
from ganlab_layers.components import Empty, MinibatchStddev
from ganlab_networks.pggan import PgganDiscriminator, PgganGenerator
from ganlab_normalizations.components import NoNormalization, Pixel
from ganlab_normalizations.scaling_components import Equalized


def generator(**changes: Any) -> PgganGenerator:
    """The default generator with 8 features, its components given as objects."""
    settings: dict[str, Any] = {
        "fmap_max": 8,
        "latent_normalization": Pixel(),
        "normalization": Pixel(),
        "weight_scaling": Equalized(),
    }
    return PgganGenerator(**(settings | changes))


def discriminator(**changes: Any) -> PgganDiscriminator:
    """The default discriminator with 8 features, its components given as objects."""
    settings: dict[str, Any] = {
        "fmap_max": 8,
        "normalization": NoNormalization(),
        "weight_scaling": Equalized(),
        "stddev": MinibatchStddev(),
        "discrimination": Empty(),
        "noise": Empty(),
    }
    return PgganDiscriminator(**(settings | changes))


def initialize(network: nn.Module, seed: int = 0, *, biases: float = 0.0) -> nn.Module:
    """Draw the weights as training does, a stream for each parameter; `biases` is the spread of the biases."""
    for name, module in network.named_modules():
        if hasattr(module, "initialize"):

            def draw(parameter: str, shape: tuple[int, ...], name: str = name) -> Tensor:
                stream = torch.Generator().manual_seed(seed * 7919 + sum(map(ord, name + parameter)))
                return torch.randn(shape, generator=stream)

            module.initialize(draw)
    if biases:
        stream = torch.Generator().manual_seed(seed + 1)
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.data.normal_(std=biases, generator=stream)
    return network


def build(component: Any, *, channels: int = 3, resolution: int = 16, label_size: int = 0, **settings: Any) -> Any:
    """A network for small images, initialized, with biases that are not 0."""
    shape = ImageShape(channels=channels, resolution=resolution, label_size=label_size)
    return initialize(component.build(shape), **({"biases": 0.1} | settings))


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)
