"""A translator that grows: levels around a core of residual blocks, with a fade on the way in and on the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ganlab.errors import GanlabError
from ganlab_layers.convolution import Convolution
from ganlab_layers.fade import fade_in
from ganlab_layers.resampling import downscale, upscale

if TYPE_CHECKING:
    from ganlab.interfaces import ImageShape
    from ganlab_cyclegan.networks import GrowingTranslator as Config


class GrowingTranslator(nn.Module):
    """`(images [N, C, R, R], fade=)` -> `[N, C, R, R]` in (-1, 1), for every R from the core's resolution up."""

    latent_size = 0
    label_size = 0

    def __init__(self, config: Config, images: ImageShape) -> None:
        super().__init__()
        self.core_resolution = config.core_resolution
        self.skips = config.skips
        self.resolutions = [size for size in images.resolutions if size >= config.core_resolution]
        edge: dict[str, Any] = {"weight_scaling": config.weight_scaling}
        self.from_rgb, self.to_rgb = nn.ModuleDict(), nn.ModuleDict()
        self.halving, self.doubling = nn.ModuleDict(), nn.ModuleDict()
        for size in self.resolutions:
            width, name = config.width(size), level_name(size)
            self.from_rgb[name] = Convolution(images.channels, width, 1, leaky_slope=config.leaky_slope, **edge)
            self.to_rgb[name] = Convolution(width, images.channels, 1, gain=1.0, **edge)
            if size > config.core_resolution:
                self.halving[name] = Halving(config, width, config.width(size // 2))
                self.doubling[name] = Doubling(config, config.width(size // 2), width)
        self.core = nn.Sequential(*(Residual(config) for _ in range(config.blocks)))

    def forward(self, images: Tensor, latents: Tensor | None = None, *, fade: Tensor | None = None) -> Tensor:
        """The translation at the images' own resolution; at the core's there is nothing to fade from.

        Raises `GanlabError` for images of no level.
        """
        full = images.shape[-1]
        if full not in self.resolutions:
            raise GanlabError(f"this translator has no level of {full}x{full}; it has {self.resolutions}")
        if full == self.core_resolution:
            fade = None
        entered: dict[int, Tensor] = {}
        x, size = self.from_rgb[level_name(full)](images), full
        while size > self.core_resolution:
            entered[size] = x
            x = self.halving[level_name(size)](x)
            if fade is not None and size == full:
                x = fade_in(self.from_rgb[level_name(size // 2)](downscale(images)), x, fade)
            size //= 2
        x = previous = self.core(x)
        while size < full:
            size *= 2
            previous, x = x, self.doubling[level_name(size)](x, entered[size] if self.skips else None)
        shown = self.to_rgb[level_name(full)](x).to(images.dtype)  # under autocast too, blends are in full precision
        if fade is not None:
            coarse = self.to_rgb[level_name(full // 2)](previous).to(images.dtype)
            shown = fade_in(upscale(coarse), shown, fade)
        return torch.tanh(shown)


class Halving(nn.Module):
    """`[N, C, R, R]` -> `[N, C', R/2, R/2]`."""

    def __init__(self, config: Config, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv0 = Convolution(in_channels, in_channels, 3, **hidden(config, in_channels))
        self.conv1 = Convolution(
            in_channels, out_channels, 3, resample="down", fused=config.fused_scale, **hidden(config, out_channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        maps: Tensor = self.conv1(self.conv0(x))
        return maps


class Doubling(nn.Module):
    """`[N, C, R/2, R/2]`, and what the halving side had at R, `[N, C', R, R]`, or None -> `[N, C', R, R]`."""

    def __init__(self, config: Config, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv0 = Convolution(
            in_channels, out_channels, 3, resample="up", fused=config.fused_scale, **hidden(config, out_channels)
        )
        self.conv1 = Convolution(out_channels, out_channels, 3, **hidden(config, out_channels))

    def forward(self, x: Tensor, entered: Tensor | None) -> Tensor:
        x = self.conv0(x)
        maps: Tensor = self.conv1(x if entered is None else x + entered)
        return maps


class Residual(nn.Module):
    """`x` plus two 3x3 convolutions of it, the second without activation."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.features
        self.conv0 = Convolution(width, width, 3, **hidden(config, width))
        self.conv1 = Convolution(width, width, 3, **(hidden(config, width) | {"leaky_slope": None, "gain": 1.0}))

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.conv1(self.conv0(x))
        return x + change


def hidden(config: Config, channels: int) -> dict[str, Any]:
    """What the hidden layers of one network have in common."""
    return {
        "weight_scaling": config.weight_scaling,
        "bias": not config.normalization.replaces_bias,
        "leaky_slope": config.leaky_slope,
        "normalization": config.normalization.build(channels, track_statistics=True),
        "normalize_first": config.normalization.placement == "before-activation",
    }


def level_name(resolution: int) -> str:
    """`8` -> `8x8`, the name of a level's modules."""
    return f"{resolution}x{resolution}"
