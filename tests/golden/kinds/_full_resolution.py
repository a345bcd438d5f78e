"""Our networks seen as the authors' programs present them: images always at full resolution, whatever the level.

Their generators repeat pixels up to it and their discriminators average down from it, so gradients with respect to
images, and the penalty made of them, are those at full resolution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import attrs
import torch

from ganlab_layers.resampling import downscale, upscale

from ._tf_networks import level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from ganlab.interfaces import Critique


@attrs.frozen
class AtLod:
    """A pair of networks at one level of detail. Called as a critic, it scores images of full resolution."""

    generator: Any
    discriminator: Any
    full_resolution: int
    lod: float
    noise: Sequence[Tensor] = ()

    @property
    def resolution(self) -> int:
        return level(self.full_resolution, self.lod)[0]

    @property
    def fade(self) -> Tensor:
        return torch.tensor(level(self.full_resolution, self.lod)[1])

    def fakes(self, latents: Tensor, labels: Tensor) -> Tensor:
        images = self.generator(latents, labels, resolution=self.resolution, fade=self.fade)
        return upscale(images, self.full_resolution // self.resolution)

    def __call__(self, images: Tensor, draw: Literal["reals", "fakes", "mixed"]) -> Critique:
        smaller = downscale(images, self.full_resolution // self.resolution)
        critique: Critique = self.discriminator(smaller, fade=self.fade, noise=self.noise)
        return critique
