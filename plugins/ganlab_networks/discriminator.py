"""The Progressive GAN discriminator as a module: one block and one fromRGB a level, a fade between the first two."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ganlab.errors import GanlabError
from ganlab.interfaces import Critique, ImageShape, Layer
from ganlab_layers.fade import fade_in
from ganlab_layers.resampling import downscale
from ganlab_layers.stddev import append_features
from ganlab_networks.features import level_name
from ganlab_networks.recomputing import recomputing
from ganlab_networks.style import Style
from ganlab_networks.tf_named import TfNamed

if TYPE_CHECKING:
    from ganlab_networks.pggan import PgganDiscriminator

Noise = Iterator[Tensor] | None
"""What is left of the noise handed in, or None for a pass without noise."""


class Discriminator(TfNamed):
    """`(images [N, C, R, R], fade=, noise=, noise_strength=)` -> `Critique`. It never changes its own state."""

    def __init__(self, config: PgganDiscriminator, images: ImageShape) -> None:
        super().__init__()
        self.label_size = images.label_size
        self.resolutions = images.resolutions
        style = Style(
            weight_scaling=config.weight_scaling,
            edge_weight_scaling=config.edge_weight_scaling,
            normalization=config.normalization,
            leaky_slope=config.leaky_slope,
            track_statistics=False,
        )
        self.blocks = nn.ModuleDict()
        self.from_rgb = nn.ModuleDict()
        for stage, resolution in reversed(list(enumerate(self.resolutions, start=1))):
            channels = config.features(stage)
            self.from_rgb[level_name(resolution)] = style.from_images(images.channels, channels)
            self.blocks[level_name(resolution)] = (
                LastBlock(style, config, channels, images)
                if stage == 1
                else ShrinkingBlock(style, config, channels, config.features(stage - 1), resolution)
            )

    def forward(
        self,
        images: Tensor,
        *,
        fade: Tensor | None = None,
        noise: Sequence[Tensor] = (),
        noise_strength: Tensor | None = None,
        passes: int = 1,
    ) -> Critique:
        """Scores `[N]`. Without `noise` the noise layers do nothing; at 4x4 `fade` is ignored.

        `passes` minibatches of equal size may come one after another in `images`; each has its own statistics.
        """
        size = images.shape[-1]
        if noise and len(noise) != len(self.noise_channels(size)):
            raise ValueError(
                f"expected {len(self.noise_channels(size))} noise tensors at {size}x{size}, got {len(noise)}"
            )
        left = iter(noise) if noise else None
        x = self.from_rgb[level_name(size)](images)
        faded = fade is None
        while size > 4:
            x = self.blocks[level_name(size)](x, left, noise_strength)
            size //= 2
            if fade is not None and not faded:
                x = fade_in(self.from_rgb[level_name(size)](downscale(images)), x, fade)
                faded = True
        critique: Critique = self.blocks["4x4"](x, images, left, noise_strength, passes)
        return critique

    @property
    def joins_passes(self) -> bool:
        """Whether reals and fakes may be judged in one call: where samples act on each other only in `LastBlock`."""
        last = self.blocks["4x4"]
        known = {*last.stddev.modules(), *last.discrimination.modules()}  # type: ignore[union-attr]  # layers
        return not any(hasattr(module, "sample_groups") for module in self.modules() if module not in known)

    def noise_channels(self, resolution: int) -> Sequence[int]:
        """Channels of each noise layer active at `resolution`, in the order of use."""
        channels: list[int] = []
        for size in reversed([r for r in self.resolutions if r <= resolution]):
            block = self.blocks[level_name(size)]
            assert isinstance(block, ShrinkingBlock | LastBlock)
            channels += block.noise_channels
        return channels

    @torch.no_grad()
    def start_from(self, images: Tensor) -> None:
        """Give layers whose start depends on data (minibatch discrimination) a first minibatch, in order of use."""

        def start(module: Callable[..., None], inputs: tuple[Tensor, ...]) -> None:
            module.start_from(inputs[0])  # type: ignore[attr-defined]  # only modules that have it get this hook

        with ExitStack() as hooks:
            for module in self.modules():
                if module is not self and hasattr(module, "start_from"):
                    hooks.callback(module.register_forward_pre_hook(start).remove)
            self(images)


class ShrinkingBlock(nn.Module):
    """`[N, C, R, R]` -> `[N, C', R/2, R/2]`."""

    recomputed = False
    """Whether activations are worked out again for gradients instead of kept; set from outside."""

    def __init__(
        self, style: Style, config: PgganDiscriminator, channels: int, out_channels: int, resolution: int
    ) -> None:
        super().__init__()
        self.resolution = resolution
        self.fused = config.fused_scale
        self.noise0, width0 = _slot(config.noise, channels)
        self.conv0 = style.convolution(width0, channels)
        self.noise1, width1 = _slot(config.noise, channels)
        self.conv1 = style.convolution(width1, out_channels, resample="down" if self.fused else None, fused=self.fused)
        self.noise_channels = _drawn(self.noise0, channels) + _drawn(self.noise1, channels)

    def forward(self, x: Tensor, noise: Noise, strength: Tensor | None) -> Tensor:
        draws = _draw_for(self.noise0, noise), _draw_for(self.noise1, noise)
        if not self.recomputed:
            return self._maps(x, *draws, strength)
        for layer in (self.conv0, self.conv1):
            layer.current_weight()  # what is held for several passes must be there before one of them is recomputed
        return recomputing(self._maps, x, *draws, strength)

    def _maps(self, x: Tensor, noise0: Tensor | None, noise1: Tensor | None, strength: Tensor | None) -> Tensor:
        x = self.conv0(_noisy(self.noise0, x, noise0, strength))
        x = self.conv1(_noisy(self.noise1, x, noise1, strength))
        return x if self.fused else downscale(x)


class LastBlock(nn.Module):
    """`[N, C, 4, 4]` -> `Critique`."""

    def __init__(self, style: Style, config: PgganDiscriminator, channels: int, images: ImageShape) -> None:
        super().__init__()
        self.stddev_of_images = config.stddev_of == "images"
        self.stddev, width = _slot(config.stddev, images.channels if self.stddev_of_images else channels)
        if self.stddev_of_images:
            if getattr(self.stddev, "averaging", "none") == "none":
                raise GanlabError(
                    "stddev_of = 'images' needs a layer whose statistics are numbers: minibatch-stddev with another "
                    "averaging than 'none'"
                )
            width += channels - images.channels
        self.noise0, width0 = _slot(config.noise, width)
        self.conv = style.convolution(width0, channels)
        self.noise1, width1 = _slot(config.noise, channels)
        self.dense = style.linear(width1 * 16, config.features(0))
        self.discrimination, width = _slot(config.discrimination, config.features(0))
        self.scores = style.head(width, 1)
        self.label_logits = style.head(width, images.label_size) if images.label_size else None
        self.noise_channels = _drawn(self.noise0, width0) + _drawn(self.noise1, channels)

    def forward(self, x: Tensor, images: Tensor, noise: Noise, strength: Tensor | None, passes: int = 1) -> Critique:
        if self.stddev_of_images:
            x = append_features(x, _apart(self.stddev.statistics, images, passes))  # type: ignore[arg-type]  # only a layer with statistics gets here
        else:
            x = _apart(self.stddev, x, passes)
        x = self.conv(_noisy(self.noise0, x, _draw_for(self.noise0, noise), strength))
        x = self.dense(_noisy(self.noise1, x, _draw_for(self.noise1, noise), strength))
        x = _apart(self.discrimination, x, passes)
        scores = self.scores(x).squeeze(1).to(images.dtype)
        return Critique(scores, None if self.label_logits is None else self.label_logits(x).to(images.dtype))


def _slot(layer: Layer, channels: int) -> tuple[nn.Module, int]:
    """The layer for a slot, and the channels that come out of it."""
    module = layer.build(channels)
    return module, int(module.out_channels)  # type: ignore[arg-type]  # the contract of layers says it is an int


def _apart(module: Callable[[Tensor], Tensor], x: Tensor, passes: int) -> Tensor:
    """`module` on each pass by itself, as samples may act on each other in it."""
    return module(x) if passes == 1 else torch.cat([module(part) for part in x.chunk(passes)])


def _drawn(module: nn.Module, channels: int) -> list[int]:
    return [channels] if getattr(module, "draws_noise", False) else []


def _draw_for(module: nn.Module, noise: Noise) -> Tensor | None:
    return next(noise) if noise is not None and getattr(module, "draws_noise", False) else None


def _noisy(module: nn.Module, x: Tensor, draw: Tensor | None, strength: Tensor | None) -> Tensor:
    if not getattr(module, "draws_noise", False):
        result: Tensor = module(x)
    elif draw is None:
        result = x
    else:
        result = module(x, draw, strength)
    return result
