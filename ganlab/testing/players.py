"""Networks of a few numbers that work at any resolution, for the suites of what only holds networks together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import attrs
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganlab.interfaces import Critique, ImageShape


@attrs.frozen
class SmallNetwork:
    """A `ganlab.interfaces.Network` of any role."""

    role: Literal["generator", "translator", "discriminator"]
    latent_size: int = 0

    def build(self, images: ImageShape) -> nn.Module:
        if self.role == "discriminator":
            return SmallDiscriminator(images)
        return (SmallGenerator if self.role == "generator" else SmallTranslator)(images, self.latent_size)


class SmallGenerator(nn.Module):
    """Latents to 4x4 colours, repeated."""

    def __init__(self, images: ImageShape, latent_size: int) -> None:
        super().__init__()
        self.latent_size = latent_size
        self.label_size = images.label_size
        self.channels = images.channels
        self.linear = nn.Linear(latent_size + images.label_size, images.channels * 16)

    def forward(
        self, latents: Tensor, labels: Tensor | None = None, *, resolution: int, fade: Tensor | None = None
    ) -> Tensor:
        given = latents if labels is None else torch.cat([latents, labels], dim=1)
        coarse = torch.tanh(self.linear(given)).reshape(-1, self.channels, 4, 4)
        return F.interpolate(coarse, scale_factor=resolution // 4)


class SmallTranslator(nn.Module):
    """Other colours for each pixel, shifted by the latents."""

    label_size = 0

    def __init__(self, images: ImageShape, latent_size: int) -> None:
        super().__init__()
        self.latent_size = latent_size
        self.colours = nn.Conv2d(images.channels, images.channels, 1)
        self.shift = nn.Linear(latent_size, images.channels) if latent_size else None

    def forward(self, images: Tensor, latents: Tensor | None = None, *, fade: Tensor | None = None) -> Tensor:
        shift = 0 if latents is None or self.shift is None else self.shift(latents)[:, :, None, None]
        return torch.tanh(self.colours(images) + shift)


class SmallDiscriminator(nn.Module):
    """A score of each image's mean colour, and of its square."""

    def __init__(self, images: ImageShape) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * images.channels, 1 + images.label_size)

    def forward(
        self,
        images: Tensor,
        *,
        fade: Tensor | None = None,
        noise: Sequence[Tensor] = (),
        noise_strength: Tensor | None = None,
    ) -> Critique:
        means = torch.cat([images.mean((2, 3)), images.square().mean((2, 3))], dim=1)
        out = self.linear(means)
        return Critique(out[:, 0], out[:, 1:] if out.shape[1] > 1 else None)

    def noise_channels(self, resolution: int) -> Sequence[int]:
        return ()
