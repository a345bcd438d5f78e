"""The small networks of the mode-counting experiment as modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ganlab.errors import GanlabError
from ganlab.interfaces import Critique, ImageShape
from ganlab_layers.fade import fade_in
from ganlab_layers.resampling import downscale, upscale
from ganlab_networks.features import level_name
from ganlab_networks.style import Style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ganlab_networks import mnist

FIRST_FEATURES = 64
"""Features at 4x4 of the generator, whatever the other levels have."""


class MnistGenerator(nn.Module):
    """`(latents [N, latent_size], resolution=, fade=)` -> images `[N, C, R, R]` in (-1, 1)."""

    def __init__(self, config: mnist.MnistGenerator, images: ImageShape) -> None:
        super().__init__()
        self.latent_size = config.fmap_base if config.latent_size is None else config.latent_size
        self.label_size = 0
        self.resolutions = images.resolutions
        style = Style(
            weight_scaling=config.weight_scaling,
            edge_weight_scaling=None,
            normalization=config.normalization,
            leaky_slope=0.3,
            track_statistics=True,
        )
        self.blocks = nn.ModuleDict()
        self.to_rgb = nn.ModuleDict()
        channels = self.latent_size
        for level, resolution in enumerate(self.resolutions):
            if level == 0:
                self.blocks[level_name(resolution)] = style.linear_to_maps(channels, FIRST_FEATURES)
                channels = FIRST_FEATURES
            else:
                out_channels = config.features(level)
                self.blocks[level_name(resolution)] = style.convolution(
                    channels, out_channels, resample="up", fused=True
                )
                channels = out_channels
            if config.progressive or resolution == images.resolution:
                self.to_rgb[level_name(resolution)] = style.to_images(channels, images.channels, kernel_size=3)

    def forward(
        self, latents: Tensor, labels: Tensor | None = None, *, resolution: int, fade: Tensor | None = None
    ) -> Tensor:
        """Images at `resolution`. Raises `GanlabError` for a level, or a fade, that a network without growth lacks."""
        _check_growth(self.to_rgb, self.resolutions[-1], resolution, fade)
        x = previous = self.blocks["4x4"](latents * torch.rsqrt(latents.square().mean(1, keepdim=True) + 1e-8))
        size = 4
        while size < resolution:
            size *= 2
            previous, x = x, self.blocks[level_name(size)](x)
        images = self.to_rgb[level_name(size)](x).to(latents.dtype)  # under autocast too, blends are in full precision
        if fade is not None and size > 4:
            coarse = self.to_rgb[level_name(size // 2)](previous).to(latents.dtype)
            images = fade_in(upscale(coarse), images, fade)
        return torch.tanh(images)


class MnistDiscriminator(nn.Module):
    """`(images [N, C, R, R], fade=)` -> `Critique`; the finest level's convolution takes the images themselves."""

    def __init__(self, config: mnist.MnistDiscriminator, images: ImageShape) -> None:
        super().__init__()
        self.label_size = 0
        self.resolutions = images.resolutions
        style = Style(
            weight_scaling=config.weight_scaling,
            edge_weight_scaling=None,
            normalization=config.normalization,
            leaky_slope=0.2,
            track_statistics=False,
        )
        self.blocks = nn.ModuleDict()
        self.from_rgb = nn.ModuleDict()
        channels = images.channels
        for level in range(len(self.resolutions) - 1, 0, -1):
            out_channels = config.features(level)
            self.blocks[level_name(self.resolutions[level])] = style.convolution(channels, out_channels)
            if config.progressive:
                self.from_rgb[level_name(self.resolutions[level - 1])] = style.from_images(
                    images.channels, out_channels
                )
            channels = out_channels
        self.stddev = config.stddev.build(channels)
        self.scores = style.head(int(self.stddev.out_channels) * 16, 1)  # type: ignore[arg-type]  # a layer's is an int

    def forward(
        self,
        images: Tensor,
        *,
        fade: Tensor | None = None,
        noise: Sequence[Tensor] = (),
        noise_strength: Tensor | None = None,
    ) -> Critique:
        """Scores `[N]`; there are no noise layers. Raises `GanlabError` as the generator does."""
        size = images.shape[-1]
        _check_growth(self.from_rgb, self.resolutions[-1], size, fade)
        x = images if size == self.resolutions[-1] else self.from_rgb[level_name(size)](images)
        faded = fade is None
        while size > 4:
            x = downscale(self.blocks[level_name(size)](x))
            size //= 2
            if fade is not None and not faded:
                x = fade_in(self.from_rgb[level_name(size)](downscale(images)), x, fade)
                faded = True
        return Critique(self.scores(self.stddev(x)).squeeze(1).to(images.dtype), None)

    def noise_channels(self, resolution: int) -> Sequence[int]:
        """None at any resolution."""
        return ()


def _check_growth(edges: nn.ModuleDict, full: int, resolution: int, fade: Tensor | None) -> None:
    missing = level_name(4) not in edges
    if missing and full > 4 and (resolution != full or fade is not None):
        raise GanlabError(
            f"this network was built with progressive = false: it works at {full}x{full} only, without fades"
        )
