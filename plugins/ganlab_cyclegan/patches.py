"""The discriminator of patches as a module."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from ganlab.interfaces import Critique, ImageShape
from ganlab_cyclegan.convolution import Convolution

if TYPE_CHECKING:
    from ganlab_cyclegan.networks import PatchDiscriminator as Config

MOST_DOUBLINGS = 3


class PatchDiscriminator(nn.Module):
    """`images [N, C, R, R]` -> `Critique` with scores `[N, patches]`."""

    label_size = 0

    def __init__(self, config: Config, images: ImageShape) -> None:
        super().__init__()
        outer: dict[str, Any] = {"padding": 1, "deviation": config.deviation}
        active = outer | {"leaky_slope": config.leaky_slope}
        hidden = active | {"normalization": config.normalization}
        width = config.features
        layers = [Convolution(images.channels, width, 4, resample="down", **active)]
        for layer in range(1, config.halvings + 1):
            wider = config.features << min(layer, MOST_DOUBLINGS)
            layers.append(Convolution(width, wider, 4, resample="down" if layer < config.halvings else None, **hidden))
            width = wider
        self.layers = nn.Sequential(*layers)
        self.scores = Convolution(width, 1, 4, **outer)

    def forward(
        self,
        images: Tensor,
        *,
        fade: Tensor | None = None,
        noise: Sequence[Tensor] = (),
        noise_strength: Tensor | None = None,
    ) -> Critique:
        """Scores `[N, patches]`. No noise layers, no levels to fade between; `check_run` refuses a run with fades."""
        return Critique(self.scores(self.layers(images)).flatten(1).to(images.dtype), None)

    def noise_channels(self, resolution: int) -> Sequence[int]:
        """None at any resolution."""
        return ()
