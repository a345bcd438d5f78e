"""The residual networks of WGAN-GP as modules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganlab.errors import GanlabError
from ganlab.interfaces import Critique, ImageShape
from ganlab_layers.convolution import Convolution
from ganlab_layers.linear import Head, Linear
from ganlab_wgan.residual import Block, FirstBlock, Rectifier, start_gain

if TYPE_CHECKING:
    from ganlab_wgan.networks import WganGpCritic, WganGpGenerator


class Generator(nn.Module):
    """`(latents [N, latent_size], labels [N, label_size], resolution=)` -> images `[N, C, R, R]` in (-1, 1)."""

    def __init__(self, config: WganGpGenerator, images: ImageShape) -> None:
        super().__init__()
        self.latent_size = config.latent_size
        self.label_size = images.label_size
        self.full_resolution = images.resolution
        width, inputs = config.width, config.latent_size + images.label_size
        self.project = Linear(
            inputs,
            width * 16,
            weight_scaling=config.weight_scaling,
            gain=start_gain(inputs, width * 16, rectified=False),
        )
        self.blocks = nn.ModuleList(
            Block(
                width,
                width,
                weight_scaling=config.weight_scaling,
                normalization=config.normalization,
                track_statistics=True,
                resample="up",
            )
            for _ in images.resolutions[1:]
        )
        self.before_images = Rectifier(width, config.normalization, track_statistics=True)
        self.to_images = Convolution(
            width,
            images.channels,
            3,
            weight_scaling=config.weight_scaling,
            gain=start_gain(width, images.channels, rectified=False),
        )

    def forward(
        self, latents: Tensor, labels: Tensor | None = None, *, resolution: int, fade: Tensor | None = None
    ) -> Tensor:
        """Images. `fade` is ignored: `WganGpNetwork.check_run` lets none but 1 pass.

        Raises `GanlabError` for another level than the full one, `ValueError` where labels are missing.
        """
        _check_level(self.full_resolution, resolution)
        x = latents
        if self.label_size:
            if labels is None:
                raise ValueError(f"this generator needs labels [N, {self.label_size}]")
            x = torch.cat([x, labels.to(x.dtype)], 1)
        x = self.project(x).unflatten(1, (-1, 4, 4)).contiguous(memory_format=torch.channels_last)
        for block in self.blocks:
            x = block(x)
        return torch.tanh(self.to_images(self.before_images(x)).to(latents.dtype))


class Critic(nn.Module):
    """Images `[N, C, R, R]` -> `Critique`. It never changes its own state."""

    def __init__(self, config: WganGpCritic, images: ImageShape) -> None:
        super().__init__()
        self.label_size = images.label_size
        self.full_resolution = images.resolution
        width = config.width
        inner: dict[str, Any] = {
            "weight_scaling": config.weight_scaling,
            "normalization": config.normalization,
            "track_statistics": False,
        }
        self.first = FirstBlock(images.channels, width, weight_scaling=config.weight_scaling)
        self.blocks = nn.ModuleList(
            Block(width, width, resample="down", **inner) for _ in range(config.halvings(images.resolution) - 1)
        )
        self.blocks.extend(Block(width, width, **inner) for _ in range(config.plain_blocks))
        self.scores = _head(config, 1)
        self.label_logits = _head(config, images.label_size) if images.label_size else None

    def forward(
        self,
        images: Tensor,
        *,
        fade: Tensor | None = None,
        noise: Sequence[Tensor] = (),
        noise_strength: Tensor | None = None,
        passes: int = 1,
    ) -> Critique:
        """Scores `[N]`; there are no noise layers, and `fade` is ignored. Raises `GanlabError` as the generator does.

        Where `joins_passes` is true no sample acts on another, so that `passes` makes no difference.
        """
        _check_level(self.full_resolution, images.shape[-1])
        x = self.first(images)
        for block in self.blocks:
            x = block(x)
        x = F.relu(x).to(torch.promote_types(x.dtype, torch.float32)).mean((2, 3))
        scores = self.scores(x).squeeze(1).to(images.dtype)
        return Critique(scores, None if self.label_logits is None else self.label_logits(x).to(images.dtype))

    @property
    def joins_passes(self) -> bool:
        """Whether reals and fakes may be judged in one call: where no layer compares samples."""
        return not any(hasattr(module, "sample_groups") for module in self.modules())

    def noise_channels(self, resolution: int) -> Sequence[int]:
        """None at any resolution."""
        return ()


def _head(config: WganGpCritic, outputs: int) -> Head:
    gain = start_gain(config.width, outputs, rectified=False)
    return Head(config.width, outputs, weight_scaling=config.weight_scaling, gain=gain)


def _check_level(full: int, resolution: int) -> None:
    if resolution != full:
        raise GanlabError(f"this network cannot grow: it works at {full}x{full} only, not at {resolution}x{resolution}")
