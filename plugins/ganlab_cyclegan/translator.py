"""The translator of the paper as a module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ganlab_cyclegan.convolution import Convolution

if TYPE_CHECKING:
    from ganlab.interfaces import ImageShape
    from ganlab_cyclegan.networks import CycleTranslator


class Translator(nn.Module):
    """`images [N, C, R, R]` -> `[N, C, R, R]` in (-1, 1)."""

    latent_size = 0
    label_size = 0

    def __init__(self, config: CycleTranslator, images: ImageShape) -> None:
        super().__init__()
        hidden: dict[str, Any] = {
            "deviation": config.deviation,
            "normalization": config.normalization,
            "track_statistics": True,
            "leaky_slope": 0.0,
        }
        width = config.features
        layers: list[nn.Module] = [Convolution(images.channels, width, 7, padding=3, reflect=True, **hidden)]
        for _ in range(config.halvings):
            layers.append(Convolution(width, 2 * width, 3, padding=1, resample="down", **hidden))
            width *= 2
        layers += [Residual(config, width) for _ in range(config.blocks)]
        for _ in range(config.halvings):
            layers.append(Convolution(width, width // 2, 3, padding=1, resample="up", **hidden))
            width //= 2
        self.layers = nn.Sequential(*layers)
        self.to_images = Convolution(width, images.channels, 7, padding=3, reflect=True, deviation=config.deviation)

    def forward(self, images: Tensor, latents: Tensor | None = None, *, fade: Tensor | None = None) -> Tensor:
        """The translation. There are no levels to fade between, and `check_run` refuses a run with fades."""
        return torch.tanh(self.to_images(self.layers(images)).to(images.dtype))


class Residual(nn.Module):
    """`x` plus two 3x3 convolutions of it, with nothing after the sum."""

    def __init__(self, config: CycleTranslator, width: int) -> None:
        super().__init__()
        same: dict[str, Any] = {
            "padding": 1,
            "reflect": True,
            "deviation": config.deviation,
            "normalization": config.normalization,
            "track_statistics": True,
        }
        self.conv0 = Convolution(width, width, 3, leaky_slope=0.0, **same)
        self.conv1 = Convolution(width, width, 3, **same)

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.conv1(self.conv0(x))
        return x + change
