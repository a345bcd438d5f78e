"""DiffAugment as a module: colour, translation and cutout of every image (Zhao et al. 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor, nn

from ganlab_augmentations.blit import shifted_with_zeros, without_square
from ganlab_augmentations.draws import Columns, per_image
from ganlab_layers.weighted import full_precision

if TYPE_CHECKING:
    from ganlab_augmentations import components


class DiffAugmentModule(nn.Module):
    """`(images [N, C, R, R], uniform [N, 7])` -> images; see `ganlab.interfaces.BuiltAugmentation`."""

    draws = 7

    def __init__(self, config: components.DiffAugment) -> None:
        super().__init__()
        self.config = config

    def forward(self, images: Tensor, uniform: Tensor) -> Tensor:
        config, columns, size = self.config, Columns(uniform), images.shape[-1]
        with full_precision(images):
            x = images.float() + per_image(columns.centred(config.brightness))
            x = _spread(x, x.mean(1, keepdim=True), columns.centred(config.saturation))
            x = _spread(x, x.mean((1, 2, 3), keepdim=True), columns.centred(config.contrast))
            most = int(size * config.translation + 0.5)
            x = shifted_with_zeros(x, *(columns.whole(2 * most + 1) - most for _ in "xy"))
            side = int(size * config.cutout + 0.5)
            left, top = (columns.whole(size + 1 - side % 2) - side // 2 for _ in "xy")  # the middle lies in the image
            return without_square(x, left, top, side).to(images.dtype)

    def observe(self, report: Mapping[str, Tensor], minibatch: int) -> None:
        """Nothing adapts."""

    def report(self) -> Mapping[str, Tensor]:
        """Nothing to tell."""
        return {}


def _spread(x: Tensor, around: Tensor, more: Tensor) -> Tensor:
    """`x` with 1 + `more` times its distance from `around`; for 0 it is `x`, bit for bit."""
    return x + (x - around) * per_image(more)
