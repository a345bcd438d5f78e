"""The pyramid as a system: what each level's discriminator sees, and the chain that samples run through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from ganlab.interfaces import ImageShape, Match, Network, Play
from ganlab.modules import SystemBase
from ganlab_layers.resampling import downscale, upscale

if TYPE_CHECKING:
    from ganlab_lapgan import components


class Pyramid(nn.Module):
    """All generators: `base`, and `refiners` by resolution. Latents are those of the base, then of each finer level."""

    base: Any
    """A `ganlab.interfaces.Generator`."""

    def __init__(self, base: nn.Module, refiners: dict[str, nn.Module]) -> None:
        super().__init__()
        self.base = base
        self.refiners = nn.ModuleDict(refiners)
        self.latent_sizes = [int(cast("Any", each).latent_size) for each in (base, *refiners.values())]
        self.latent_size = sum(self.latent_sizes)
        self.label_size = 0

    def parts(self, latents: Tensor) -> Sequence[Tensor]:
        """`[N, latent_size]` -> those of each level."""
        return torch.split(latents, self.latent_sizes, dim=1)


class PyramidSystem(SystemBase):
    """See `components.LaplacianPyramid`. Coarser images are averages of 2x2 pixels; doubling repeats pixels."""

    def __init__(self, config: components.LaplacianPyramid, images: ImageShape) -> None:
        super().__init__(images)
        self.config = config
        self.resolutions = [each for each in images.resolutions if each >= config.base_resolution]
        self.pairs = tuple(map(str, self.resolutions))

    def generators(self, network: Network) -> nn.Module:
        """The system's own base, and the recipe's generator once for every finer level."""
        coarsest, *finer = self.resolutions
        refiners = {str(resolution): network.build(self._shape(resolution)) for resolution in finer}
        return Pyramid(self.config.base.build(self._shape(coarsest)), refiners)

    def discriminators(self, network: Network) -> nn.Module:
        """The recipe's discriminator once for every level."""
        return nn.ModuleDict({str(each): network.build(self._shape(each)) for each in self.resolutions})

    def discriminator(self, discriminators: nn.Module, pair: str) -> nn.Module:
        """The one of a level."""
        return cast("nn.ModuleDict", discriminators)[pair]

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
        """Each level for itself: its images against coarser reals, doubled, with the detail its generator adds."""
        pyramid = cast("Pyramid", generators)
        first, *rest = pyramid.parts(latents)
        coarsest, *finer = self.resolutions
        coarse = downscale(reals, resolution // coarsest)
        matches = {str(coarsest): Match(coarse, pyramid.base(first, None, resolution=coarsest))}
        for level, own in zip(finer, rest, strict=True):
            images = downscale(reals, resolution // level)
            matches[str(level)] = Match(images, _refined(pyramid, level, coarse, own))
            coarse = images
        return Play(matches)

    def sample(
        self,
        generators: nn.Module,
        latents: Tensor,
        labels: Tensor | None,
        reals: Tensor | None,
        *,
        resolution: int,
        fade: Tensor | None,
    ) -> Tensor:
        """The last images of the chain."""
        return self._chain(generators, latents)[-1]

    def show(
        self,
        generators: nn.Module,
        latents: Tensor,
        labels: Tensor | None,
        reals: Tensor | None,
        *,
        resolution: int,
        fade: Tensor | None,
    ) -> Tensor:
        """`[N, levels, C, R, R]`: the chain of every sample, coarser images with repeated pixels."""
        chain = self._chain(generators, latents)
        return torch.stack([upscale(images, resolution // images.shape[-1]) for images in chain], dim=1)

    def _chain(self, generators: nn.Module, latents: Tensor) -> list[Tensor]:
        """Images of every level, each made from the one before."""
        pyramid = cast("Pyramid", generators)
        first, *rest = pyramid.parts(latents)
        coarsest, *finer = self.resolutions
        chain: list[Tensor] = [pyramid.base(first, None, resolution=coarsest)]
        for level, own in zip(finer, rest, strict=True):
            chain.append(_refined(pyramid, level, chain[-1], own))
        return chain

    def _shape(self, resolution: int) -> ImageShape:
        return ImageShape(self.images.channels, resolution)


def _refined(pyramid: Pyramid, level: int, coarse: Tensor, latents: Tensor) -> Tensor:
    """Images of a level from those of half its resolution."""
    doubled = upscale(coarse)
    detail: Tensor = pyramid.refiners[str(level)](doubled, latents)
    return doubled + detail
