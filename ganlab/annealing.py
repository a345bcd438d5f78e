"""Settings that change smoothly as images are shown: one curve for losses, schedules, optimizers and the average."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from torch import Tensor


@overload
def half_cosine(images_shown: int, *, start: float, end: float, images: int) -> float: ...


@overload
def half_cosine(images_shown: Tensor, *, start: float, end: float, images: int) -> Tensor: ...


@overload
def half_cosine(images_shown: Tensor | int, *, start: float, end: float, images: int) -> Tensor | float: ...


def half_cosine(images_shown: Tensor | int, *, start: float, end: float, images: int) -> Tensor | float:
    """From `start` to `end` along half a cosine over the first `images` images, and `end` after them.

    With `images_shown` a 0-d tensor, as losses are given it, the value is one too (float32) and nothing waits for the
    device. Source: Loshchilov & Hutter 2017 (arXiv 1608.03983), equation 5.
    """
    if isinstance(images_shown, int):
        return end + (start - end) * (1 + math.cos(math.pi * min(images_shown / images, 1.0))) / 2
    return end + (start - end) * (1 + (images_shown / images).clamp(max=1).mul(math.pi).cos()) / 2
