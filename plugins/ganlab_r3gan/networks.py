"""R3GAN's generator and discriminator as modules; both work at the full resolution only."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ganlab.errors import GanlabError
from ganlab.interfaces import Critique, ImageShape
from ganlab_layers.weighted import full_precision
from ganlab_r3gan.blocks import Level, Pixelwise, doubling, halving

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ganlab_r3gan.components import R3ganDiscriminator, R3ganGenerator, Residual


class Generator(nn.Module):
    """`(latents [N, latent_size], labels [N, label_size], resolution=, fade=)` -> images `[N, C, R, R]`."""

    def __init__(self, config: R3ganGenerator, images: ImageShape) -> None:
        super().__init__()
        self.latent_size = config.latent_size
        self.label_size = images.label_size
        self.resolution = images.resolution
        levels = len(images.resolutions)
        self.embedding = Pixelwise(images.label_size, config.latent_size) if images.label_size else None
        self.basis = LatentBasis(config.latent_size * (2 if images.label_size else 1), config.width_at(0))
        self.levels = nn.ModuleList(Level(config, level, _depth(config, levels)) for level in range(levels))
        self.grow = nn.ModuleList(
            nn.Sequential(doubling(2 << level), _change_of_width(config.width_at(level - 1), config.width_at(level)))
            for level in range(1, levels)
        )
        self.to_images = Pixelwise(config.width_at(levels - 1), images.channels)

    def forward(
        self, latents: Tensor, labels: Tensor | None = None, *, resolution: int, fade: Tensor | None = None
    ) -> Tensor:
        """Images at the full resolution, with nothing to fade from. Raises `GanlabError` for another resolution, and
        `ValueError` without labels where there should be some.
        """
        _check_resolution(self.resolution, resolution)
        inputs = latents
        if self.embedding is not None:
            if labels is None:
                raise ValueError(f"this generator needs labels [N, {self.label_size}]")
            # A row of the weight has variance 1 / label_size, and one of them is picked: back to that of latents.
            embedded = self.embedding(labels.to(latents.dtype)) * math.sqrt(self.label_size)
            inputs = torch.cat([latents, embedded.to(latents.dtype)], 1)
        x = self.levels[0](self.basis(inputs))
        for grow, level in zip(self.grow, self.levels[1:], strict=True):
            x = level(grow(x))
        images: Tensor = self.to_images(x).to(latents.dtype)
        return images


class Discriminator(nn.Module):
    """`(images [N, C, R, R])` -> `Critique`; there are no noise layers, and no sample acts on another."""

    def __init__(self, config: R3ganDiscriminator, images: ImageShape) -> None:
        super().__init__()
        self.label_size = images.label_size
        self.resolution = images.resolution
        levels = len(images.resolutions)
        self.from_images = Pixelwise(images.channels, config.width_at(levels - 1))
        self.levels = nn.ModuleList(Level(config, level, _depth(config, levels)) for level in reversed(range(levels)))
        self.shrink = nn.ModuleList(
            nn.Sequential(halving(4 << level), _change_of_width(config.width_at(level), config.width_at(level - 1)))
            for level in reversed(range(1, levels))
        )
        self.head = ScoreBasis(config.width_at(0), 1 + images.label_size)

    def forward(
        self,
        images: Tensor,
        *,
        fade: Tensor | None = None,
        noise: Sequence[Tensor] = (),
        noise_strength: Tensor | None = None,
    ) -> Critique:
        """Scores `[N]`, and logits of labels where there are any; as in the generator, `fade` has no meaning.

        Raises `GanlabError` for images of another resolution.
        """
        _check_resolution(self.resolution, images.shape[-1])
        x = self.levels[0](self.from_images(images))
        for shrink, level in zip(self.shrink, self.levels[1:], strict=True):
            x = level(shrink(x))
        out = self.head(x).to(images.dtype)
        return Critique(out[:, 0], out[:, 1:] if self.label_size else None)

    def noise_channels(self, resolution: int) -> Sequence[int]:
        """None at any resolution."""
        return ()


class LatentBasis(nn.Module):
    """`[N, in]` -> `[N, C, 4, 4]`: a learned picture, each channel times a linear function of the input."""

    def __init__(self, in_features: int, channels: int) -> None:
        super().__init__()
        self.picture = nn.Parameter(torch.zeros(channels, 4, 4))
        self.weights = Pixelwise(in_features, channels)

    @torch.no_grad()
    def initialize(self, draw: Callable[[str, tuple[int, ...]], Tensor]) -> None:
        """The picture starts as standard normal noise."""
        self.picture.copy_(draw("picture", tuple(self.picture.shape)))

    def forward(self, inputs: Tensor) -> Tensor:
        weights: Tensor = self.weights(inputs)
        maps = self.picture.to(weights.dtype) * weights[:, :, None, None]
        return maps.contiguous(memory_format=torch.channels_last)


class ScoreBasis(nn.Module):
    """`[N, C, 4, 4]` -> `[N, out]`: each channel's sum against a learned picture, then a linear function.

    The sum is what a depthwise 4x4 convolution gives. In full precision under autocast too, being small work.
    """

    def __init__(self, channels: int, out_features: int) -> None:
        super().__init__()
        self.picture = nn.Parameter(torch.zeros(channels, 4, 4))
        self.outputs = Pixelwise(channels, out_features)

    @torch.no_grad()
    def initialize(self, draw: Callable[[str, tuple[int, ...]], Tensor]) -> None:
        """The picture starts normal, with a standard deviation of 1 / 4 for its 16 pixels."""
        self.picture.copy_(draw("picture", tuple(self.picture.shape)) / 4)

    def forward(self, x: Tensor) -> Tensor:
        with full_precision(x):
            sums = (x.to(self.picture.dtype) * self.picture).sum((2, 3))
            outputs: Tensor = self.outputs(sums)
        return outputs


def _change_of_width(before: int, after: int) -> nn.Module:
    """A 1x1 convolution where levels differ in width."""
    return nn.Identity() if before == after else Pixelwise(before, after)


def _depth(config: Residual, levels: int) -> int:
    """Residual blocks of the whole network."""
    return sum(config.blocks_at(level) for level in range(levels))


def _check_resolution(full: int, resolution: int) -> None:
    if resolution != full:
        raise GanlabError(f"R3GAN's networks work at {full}x{full} only; set schedule = 'fixed'")
