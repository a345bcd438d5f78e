"""BEGAN's networks as modules: one decoder for the generator and the discriminator's second half, and an encoder.

Modules are named by their resolution, such as `16x16`, so that a network that grows has the weights of one that does
not: every level's own layers to and from images are there in any case.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganlab.errors import GanlabError
from ganlab.interfaces import Critique
from ganlab_layers.convolution import Convolution
from ganlab_layers.fade import fade_in
from ganlab_layers.linear import Linear, LinearToMaps
from ganlab_layers.resampling import downscale, upscale
from ganlab_layers.weighted import full_precision
from ganlab_layers.wide import convolve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ganlab.interfaces import ImageShape
    from ganlab_began import components

ELU_GAIN = 1.245
"""Of weights before an ELU: it keeps the mean square of normal activations, 1 / sqrt(E[elu(x)^2])."""


def level_name(resolution: int) -> str:
    """`8` -> `8x8`."""
    return f"{resolution}x{resolution}"


def _check_level(resolution: int, smallest: int) -> None:
    if resolution < smallest:
        raise GanlabError(
            f"these networks begin at {smallest}x{smallest}; set `smallest` to {resolution} for this level"
        )


class EluConvolution(Convolution):
    """`[N, in, H, W]` -> `[N, out, H, W]`, 3x3 with bias and ELU; with `stride` 2 of every other pixel, H / 2."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1, **scaling: Any) -> None:
        super().__init__(in_channels, out_channels, 3, gain=ELU_GAIN, **scaling)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        x = convolve(x, self.current_weight(), self.current_bias(), stride=self.stride, padding=self.padding)
        return self.finish(F.elu(x))


class ToImages(Convolution):
    """The linear 3x3 convolution to images, which computes in its weight's precision under autocast too."""

    def __init__(self, in_channels: int, image_channels: int, **scaling: Any) -> None:
        super().__init__(in_channels, image_channels, 3, gain=1.0, **scaling)

    def forward(self, x: Tensor) -> Tensor:
        with full_precision(x):
            return super().forward(x.to(self.weight.dtype))


class Level(nn.Sequential):
    """`repeats` convolutions at one resolution."""

    def __init__(self, in_channels: int, channels: int, repeats: int, **scaling: Any) -> None:
        widths = [in_channels] + [channels] * repeats
        super().__init__(*(EluConvolution(widths[k], widths[k + 1], **scaling) for k in range(repeats)))


class Decoder(nn.Module):
    """A code `[N, code_size]` -> images `[N, C, R, R]`, float32 under autocast too."""

    def __init__(self, config: components.Network, images: ImageShape, code_size: int) -> None:
        super().__init__()
        scaling: dict[str, Any] = {"weight_scaling": config.weight_scaling}
        self.smallest = config.smallest
        self.skip = config.skip
        self.code = LinearToMaps(code_size, config.features, config.smallest, gain=1.0, **scaling)
        self.levels = nn.ModuleDict()
        self.to_images = nn.ModuleDict()
        for resolution in images.resolutions:
            if resolution >= config.smallest:
                skipped = config.features if config.skip and resolution > config.smallest else 0
                level = Level(config.features + skipped, config.features, config.repeats, **scaling)
                self.levels[level_name(resolution)] = level
                self.to_images[level_name(resolution)] = ToImages(config.features, images.channels, **scaling)

    def forward(self, code: Tensor, *, resolution: int, fade: Tensor | None = None) -> Tensor:
        """Images of `resolution`; `fade` is the weight of that level against the doubled image of the one below."""
        _check_level(resolution, self.smallest)
        first = previous = self.code(code)
        x = self.levels[level_name(self.smallest)](first)
        size = self.smallest
        while size < resolution:
            size *= 2
            previous, x = x, upscale(x)
            if self.skip:
                x = torch.cat([x, upscale(first, size // self.smallest)], 1)
            x = self.levels[level_name(size)](x)
        images: Tensor = self.to_images[level_name(size)](x)
        if fade is not None and size > self.smallest:
            coarse = self.to_images[level_name(size // 2)](previous)
            images = fade_in(upscale(coarse), images, fade)
        return images


class Encoder(nn.Module):
    """Images `[N, C, R, R]` -> codes `[N, code_size]`."""

    def __init__(self, config: components.BeganDiscriminator, images: ImageShape) -> None:
        super().__init__()
        scaling: dict[str, Any] = {"weight_scaling": config.weight_scaling}
        self.smallest = config.smallest
        self.from_images = nn.ModuleDict()
        self.levels = nn.ModuleDict()
        self.halvings = nn.ModuleDict()
        resolutions = [resolution for resolution in reversed(images.resolutions) if resolution >= config.smallest]
        for depth, resolution in enumerate(resolutions, start=1):
            name, channels = level_name(resolution), depth * config.features
            self.from_images[name] = EluConvolution(images.channels, channels, **scaling)
            self.levels[name] = Level(channels, channels, config.repeats, **scaling)
            if resolution > config.smallest:
                self.halvings[name] = EluConvolution(channels, channels + config.features, stride=2, **scaling)
        features = len(resolutions) * config.features * config.smallest**2
        self.code = Linear(features, config.code_size, gain=1.0, **scaling)

    def forward(self, images: Tensor, *, fade: Tensor | None = None) -> Tensor:
        """`fade` is the weight of the images' own level against features of the halved images."""
        size = images.shape[-1]
        _check_level(size, self.smallest)
        x = self.from_images[level_name(size)](images)
        while size > self.smallest:
            x = self.halvings[level_name(size)](self.levels[level_name(size)](x))
            size //= 2
            if fade is not None and 2 * size == images.shape[-1]:
                x = fade_in(self.from_images[level_name(size)](downscale(images)), x, fade)
        code: Tensor = self.code(self.levels[level_name(size)](x))
        return code


class BeganGenerator(nn.Module):
    """`(latents [N, latent_size], resolution=, fade=)` -> images `[N, C, R, R]`, not bounded, about [-1, 1]."""

    def __init__(self, config: components.BeganGenerator, images: ImageShape) -> None:
        super().__init__()
        self.latent_size = config.latent_size
        self.label_size = 0
        self.resolutions = images.resolutions
        self.decoder = Decoder(config, images, config.latent_size)

    def forward(
        self, latents: Tensor, labels: Tensor | None = None, *, resolution: int, fade: Tensor | None = None
    ) -> Tensor:
        """Images of standard normal latents; there are no labels."""
        images: Tensor = self.decoder(torch.erf(latents / math.sqrt(2)), resolution=resolution, fade=fade)
        return images


class BeganDiscriminator(nn.Module):
    """`(images [N, C, R, R], fade=)` -> `Critique` whose scores are reconstruction errors, 0 or more."""

    def __init__(self, config: components.BeganDiscriminator, images: ImageShape) -> None:
        super().__init__()
        self.label_size = 0
        self.resolutions = images.resolutions
        self.error_power = config.error_power
        self.fade_output = config.fade_output
        self.encoder = Encoder(config, images)
        self.decoder = Decoder(config, images, config.code_size)

    def forward(
        self,
        images: Tensor,
        *,
        fade: Tensor | None = None,
        noise: Sequence[Tensor] = (),
        noise_strength: Tensor | None = None,
    ) -> Critique:
        """Errors `[N]`; there are no noise layers."""
        given = images.float() if images.dtype in (torch.bfloat16, torch.float16) else images
        errors = (given - self.reconstruct(images, fade=fade).to(given.dtype)).abs()
        return Critique((errors**self.error_power).flatten(1).mean(1), None)

    def reconstruct(self, images: Tensor, *, fade: Tensor | None = None) -> Tensor:
        """The images as the autoencoder gives them back, `[N, C, R, R]`."""
        code = self.encoder(images, fade=fade)
        reconstruction: Tensor = self.decoder(
            code, resolution=images.shape[-1], fade=fade if self.fade_output else None
        )
        return reconstruction

    def noise_channels(self, resolution: int) -> Sequence[int]:
        """None at any resolution."""
        return ()
