"""What the components of `acme_gan.players` build."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import ganlab
from ganlab.interfaces import Critique, Match, Network, Play, WeightScaling

if TYPE_CHECKING:
    from acme_gan.players import FlatDiscriminator, FlatGenerator


class Flat(nn.Module):
    """A fully connected layer with a scaled weight."""

    def __init__(self, inputs: int, outputs: int, scaling: WeightScaling) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scaling: Any = scaling.build((outputs, inputs), fan_in=inputs, gain=1.0)

    @torch.no_grad()
    def initialize(self, draw: Callable[[str, tuple[int, ...]], Tensor]) -> None:
        """From ganlab's draws."""
        self.weight.copy_(self.scaling.initial(draw("weight", tuple(self.weight.shape))))

    def forward(self, x: Tensor) -> Tensor:
        """`[N, inputs]` -> `[N, outputs]`."""
        return F.linear(x, self.scaling(self.weight), self.bias)


class Maker(nn.Module):
    """See `acme_gan.players.FlatGenerator`."""

    def __init__(self, config: FlatGenerator, images: ganlab.ImageShape) -> None:
        super().__init__()
        self.latent_size, self.label_size = config.latent_size, images.label_size
        self.shape = (images.channels, images.resolution, images.resolution)
        self.first = Flat(config.latent_size + images.label_size, config.width, config.weight_scaling)
        self.normalization = config.normalization.build(config.width, track_statistics=True) or nn.Identity()
        self.last = Flat(config.width, images.channels * images.resolution**2, config.weight_scaling)

    def forward(
        self, latents: Tensor, labels: Tensor | None = None, *, resolution: int, fade: Tensor | None = None
    ) -> Tensor:
        """Coarser levels are averages."""
        x = latents if labels is None else torch.cat([latents, labels], dim=1)
        x = self.last(self.normalization(F.leaky_relu(self.first(x), 0.2)))
        images = torch.tanh(x).to(latents.dtype).reshape(-1, *self.shape)
        return blend(F.avg_pool2d(images, self.shape[1] // resolution), fade)


class Critic(nn.Module):
    """See `acme_gan.players.FlatDiscriminator`."""

    def __init__(self, config: FlatDiscriminator, images: ganlab.ImageShape) -> None:
        super().__init__()
        self.label_size, self.full = images.label_size, images.resolution
        self.first = Flat(images.channels * images.resolution**2, config.width, config.weight_scaling)
        self.last = Flat(config.width, 1 + images.label_size, config.weight_scaling)

    def forward(
        self,
        images: Tensor,
        *,
        fade: Tensor | None = None,
        noise: Sequence[Tensor] = (),
        noise_strength: Tensor | None = None,
    ) -> Critique:
        """Coarser levels are enlarged."""
        x = F.interpolate(blend(images, fade), size=(self.full, self.full))
        out = self.last(F.leaky_relu(self.first(x.flatten(1)), 0.2)).to(images.dtype)
        return Critique(out[:, 0], out[:, 1:] if self.label_size else None)

    def noise_channels(self, resolution: int) -> Sequence[int]:
        """None."""
        return ()


def blend(images: Tensor, fade: Tensor | None) -> Tensor:
    """The finest level with the weight `fade`."""
    if fade is None or images.shape[-1] == 4:
        return images
    coarse = F.interpolate(F.avg_pool2d(images, 2), scale_factor=2)
    return torch.lerp(coarse, images, fade.to(images.dtype))


class MirroredSystem(ganlab.SystemBase):
    """See `acme_gan.players.Mirrored`."""

    pairs = ("upright", "mirrored")

    def discriminators(self, network: Network) -> nn.Module:
        """Two of them."""
        return nn.ModuleDict({pair: network.build(self.images) for pair in self.pairs})

    def discriminator(self, discriminators: nn.Module, pair: str) -> nn.Module:
        """By name."""
        return discriminators.get_submodule(pair)

    def play(
        self,
        generators: nn.Module,
        latents: Tensor,
        labels: Tensor | None,
        reals: Tensor,
        *,
        resolution: int,
        fade: Tensor | None,
        learning: bool,
    ) -> Play:
        """The same twice."""
        fakes = generators(latents, labels, resolution=resolution, fade=fade)
        return Play({"upright": Match(reals, fakes), "mirrored": Match(reals.flip(3), fakes.flip(3))})


class DimModule(nn.Module):
    """See `acme_gan.players.Dim`."""

    draws = 1

    def __init__(self, strength: float) -> None:
        super().__init__()
        self.strength = strength

    def forward(self, images: Tensor, uniform: Tensor) -> Tensor:
        """Multiply."""
        return images * (1 - self.strength * uniform)[:, :, None, None].to(images.dtype)

    def observe(self, report: Mapping[str, Tensor], minibatch: int) -> None:
        """Nothing adapts."""

    def report(self) -> Mapping[str, Tensor]:
        """Nothing."""
        return {}
