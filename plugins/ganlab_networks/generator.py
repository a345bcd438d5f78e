"""The Progressive GAN generator as a module: one block and one toRGB a level, and a fade between the last two."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ganlab_layers.fade import fade_in
from ganlab_layers.resampling import upscale
from ganlab_networks.features import level_name
from ganlab_networks.recomputing import recomputing
from ganlab_networks.style import Style
from ganlab_networks.tf_named import TfNamed

if TYPE_CHECKING:
    from ganlab.interfaces import ImageShape
    from ganlab_networks.pggan import PgganGenerator


class Generator(TfNamed):
    """`(latents [N, latent_size], labels [N, label_size], resolution=, fade=)` -> images `[N, C, R, R]`."""

    def __init__(self, config: PgganGenerator, images: ImageShape) -> None:
        super().__init__()
        self.latent_size = config.features(0) if config.latent_size is None else config.latent_size
        self.label_size = images.label_size
        self.resolutions = images.resolutions
        self.labels_first = config.label_position == "before-normalization"
        self.tanh_at_end = config.tanh_at_end
        style = Style(
            weight_scaling=config.weight_scaling,
            edge_weight_scaling=config.edge_weight_scaling,
            normalization=config.normalization,
            leaky_slope=config.leaky_slope,
            track_statistics=True,
        )
        inputs = self.latent_size + self.label_size
        normalized = inputs if self.labels_first else self.latent_size
        self.latent_normalization = config.latent_normalization.build(normalized, track_statistics=True)
        self.blocks = nn.ModuleDict()
        self.to_rgb = nn.ModuleDict()
        for stage, resolution in enumerate(self.resolutions, start=1):
            channels = config.features(stage)
            self.blocks[level_name(resolution)] = (
                FirstBlock(style, inputs, channels)
                if stage == 1
                else GrowingBlock(style, config.features(stage - 1), channels, resolution, fused=config.fused_scale)
            )
            self.to_rgb[level_name(resolution)] = style.to_images(channels, images.channels)

    def forward(
        self, latents: Tensor, labels: Tensor | None = None, *, resolution: int, fade: Tensor | None = None
    ) -> Tensor:
        """Images at `resolution`; at 4x4 there is nothing to fade from and `fade` is ignored."""
        x = previous = self.blocks["4x4"](self.condition(latents, labels))
        size = 4
        while size < resolution:
            size *= 2
            previous, x = x, self.blocks[level_name(size)](x)
        images = self.to_rgb[level_name(size)](x).to(latents.dtype)  # under autocast too, blends are in full precision
        if fade is not None and size > 4:
            coarse = self.to_rgb[level_name(size // 2)](previous).to(latents.dtype)
            images = fade_in(upscale(coarse), images, fade)
        if self.tanh_at_end:
            images = self.tanh_at_end * torch.tanh(images)
        result: Tensor = images
        return result

    def condition(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """Normalized latents with the labels: the first layer's input."""
        parts = [latents]
        if self.label_size:
            if labels is None:
                raise ValueError(f"this generator needs labels [N, {self.label_size}]")
            parts.append(labels.to(latents.dtype))
        if self.latent_normalization is None:
            return torch.cat(parts, 1)
        if self.labels_first:
            parts = [self.latent_normalization(torch.cat(parts, 1))]
        else:
            parts[0] = self.latent_normalization(latents)
        return torch.cat(parts, 1)


class FirstBlock(nn.Module):
    """`[N, inputs]` -> `[N, C, 4, 4]`."""

    def __init__(self, style: Style, inputs: int, channels: int) -> None:
        super().__init__()
        self.dense = style.linear_to_maps(inputs, channels)
        self.conv = style.convolution(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        maps: Tensor = self.conv(self.dense(x))
        return maps


class GrowingBlock(nn.Module):
    """`[N, C, R/2, R/2]` -> `[N, C', R, R]`."""

    recomputed = False
    """Whether activations are worked out again for gradients instead of kept; set from outside."""

    def __init__(self, style: Style, in_channels: int, channels: int, resolution: int, *, fused: bool) -> None:
        super().__init__()
        self.resolution = resolution
        self.conv0 = style.convolution(in_channels, channels, resample="up", fused=fused)
        self.conv1 = style.convolution(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return recomputing(self._maps, x) if self.recomputed else self._maps(x)

    def _maps(self, x: Tensor) -> Tensor:
        maps: Tensor = self.conv1(self.conv0(x))
        return maps
