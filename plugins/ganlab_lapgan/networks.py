"""The networks of the pyramid's levels as modules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ganlab.errors import GanlabError
from ganlab.interfaces import Critique, ImageShape
from ganlab_layers.convolution import Convolution
from ganlab_layers.linear import Head, Linear
from ganlab_layers.weighted import HE_GAIN, WeightedLayer
from ganlab_layers.wide import convolve

if TYPE_CHECKING:
    from ganlab_lapgan import components

DETAIL_GAIN = 0.1
"""Of a refiner's last layer, ours: it begins with little detail, near the doubled image it is given."""


class BaseGenerator(nn.Module):
    """`(latents [N, latent_size], resolution=)` -> images `[N, C, R, R]` in (-1, 1)."""

    def __init__(self, config: components.LapganBaseGenerator, images: ImageShape) -> None:
        super().__init__()
        self.latent_size = config.latent_size
        self.label_size = 0
        self.shape = (images.channels, images.resolution, images.resolution)
        widths = [config.latent_size, *[config.width] * config.depth]
        self.hidden = nn.Sequential(
            *(
                Linear(width, config.width, weight_scaling=config.weight_scaling, leaky_slope=0.0)
                for width in widths[:-1]
            )
        )
        pixels = images.channels * images.resolution**2
        self.to_images = Linear(widths[-1], pixels, weight_scaling=config.weight_scaling, gain=1.0)

    def forward(
        self, latents: Tensor, labels: Tensor | None = None, *, resolution: int, fade: Tensor | None = None
    ) -> Tensor:
        """Images; `fade` is of no use here. Raises `GanlabError` for another level than the full one."""
        check_level(self.shape[-1], resolution)
        return torch.tanh(self.to_images(self.hidden(latents)).to(latents.dtype)).reshape(-1, *self.shape)


class Refiner(nn.Module):
    """`(images [N, C, R, R], latents [N, R * R])` -> detail `[N, C, R, R]`."""

    def __init__(self, config: components.LapganRefiner, images: ImageShape) -> None:
        super().__init__()
        self.resolution = images.resolution
        self.latent_size = images.resolution**2
        self.label_size = 0
        channels = images.channels + 1
        self.layers = nn.Sequential()
        for _ in range(config.depth):
            self.layers.append(
                Convolution(
                    channels,
                    config.width,
                    config.kernel_size,
                    weight_scaling=config.weight_scaling,
                    leaky_slope=0.0,
                )
            )
            channels = config.width
        self.layers.append(
            Convolution(
                channels, images.channels, config.kernel_size, weight_scaling=config.weight_scaling, gain=DETAIL_GAIN
            )
        )

    def forward(self, images: Tensor, latents: Tensor | None = None, *, fade: Tensor | None = None) -> Tensor:
        """Detail; `fade` is of no use here. Raises `GanlabError` for another level, `ValueError` without latents."""
        check_level(self.resolution, images.shape[-1])
        if latents is None:
            raise ValueError(f"this network needs latents [N, {self.latent_size}]")
        plane = latents.reshape(-1, 1, self.resolution, self.resolution)
        detail: Tensor = self.layers(torch.cat([images, plane.to(images.dtype)], dim=1))
        return detail.to(images.dtype)


class Discriminator(nn.Module):
    """Images `[N, C, R, R]` -> `Critique`."""

    joins_passes = True  # no sample acts on another

    def __init__(self, config: components.LapganDiscriminator, images: ImageShape) -> None:
        super().__init__()
        self.label_size = 0
        self.resolution = images.resolution
        finish: dict[str, Any] = {"weight_scaling": config.weight_scaling, "leaky_slope": config.leaky_slope}
        self.layers = nn.Sequential()
        if images.resolution <= config.dense_resolution:
            features = images.channels * images.resolution**2
            for _ in range(config.depth):
                self.layers.append(Linear(features, config.dense_width, **finish))
                features = config.dense_width
        else:
            channels, width, size = images.channels, config.width, images.resolution
            for _ in range(config.depth):
                stride = 2 if size > 4 else 1
                self.layers.append(StridedConvolution(channels, width, config.kernel_size, stride, **finish))
                channels, width, size = width, 2 * width, size // stride
            features = channels * size**2
        self.scores = Head(features, 1, weight_scaling=config.weight_scaling, gain=1.0)

    def forward(
        self,
        images: Tensor,
        *,
        fade: Tensor | None = None,
        noise: Sequence[Tensor] = (),
        noise_strength: Tensor | None = None,
        passes: int = 1,
    ) -> Critique:
        """Scores `[N]`; `fade` and `passes` make no difference. Raises `GanlabError` for another level."""
        check_level(self.resolution, images.shape[-1])
        return Critique(self.scores(self.layers(images)).squeeze(1).to(images.dtype), None)

    def noise_channels(self, resolution: int) -> Sequence[int]:
        """None at any resolution."""
        return ()


class StridedConvolution(WeightedLayer):
    """`[N, in, R, R]` -> `[N, out, R / stride, R / stride]`."""

    own_derivatives = True

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int, **finish: Any) -> None:
        super().__init__(
            (out_channels, in_channels, kernel_size, kernel_size),
            fan_in=in_channels * kernel_size**2,
            gain=HE_GAIN,
            bias_size=out_channels,
            **finish,
        )
        self.stride = stride
        self.padding = kernel_size // 2

    def forward(self, x: Tensor) -> Tensor:
        how = {"stride": self.stride, "padding": self.padding}
        return self.finish(convolve(x, self.current_weight(), self.current_bias(), **how))


def check_level(full: int, resolution: int) -> None:
    """Raise `GanlabError` for a level that a network of one level does not have."""
    if resolution != full:
        raise GanlabError(f'this network works at {full}x{full} only; use the schedule "fixed"')
