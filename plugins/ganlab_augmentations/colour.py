"""Changes of colour: an image is its grey part, the mean of the channels, and the rest, which lies across grey.

Brightness, contrast and luma flip act on the one, contrast, hue and saturation on the other, which is what the
published chain of 4x4 matrices comes to.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor

from ganlab_augmentations.draws import per_image


class Colour(NamedTuple):
    """What is done to each image. All `[N]`, float32."""

    brightness: Tensor
    """Added to all channels, before the rest."""
    contrast: Tensor
    """Factor of all values."""
    luma: Tensor
    """1, or -1 to exchange light and dark and keep the colours."""
    hue: Tensor
    """Radians about grey, from red towards green."""
    saturation: Tensor
    """Factor of the distance from grey."""


def recoloured(images: Tensor, colour: Colour) -> Tensor:
    """`[N, C, R, R]`, C 1 or 3, float32 -> the same in other colours; grey images have no hue and no saturation."""
    brightness, contrast, luma, hue, saturation = (per_image(values) for values in colour)
    grey = images.mean(1, keepdim=True)
    changed = (grey + brightness) * (contrast * luma)
    if images.shape[1] == 1:
        return changed
    rest = images - grey
    across = (rest.roll(1, 1) - rest.roll(-1, 1)) / math.sqrt(3)  # the rest turned by a right angle about grey
    return changed + (hue.cos() * rest + hue.sin() * across) * (contrast * saturation)
