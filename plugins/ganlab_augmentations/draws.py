"""Uniform draws turned into what the changes need: chances, amounts, normal and whole numbers, all without a branch."""

from __future__ import annotations

import math

import torch
from torch import Tensor

NEAR_ONE = 1 - 1e-6
"""Normal draws stay within 4.9 standard deviations."""


class Columns:
    """Hands out the columns of uniform draws `[N, draws]` in [0, 1), each `[N]` and once, in float32."""

    def __init__(self, uniform: Tensor) -> None:
        self._columns = iter(uniform.float().unbind(1))

    def uniform(self) -> Tensor:
        """In [0, 1)."""
        return next(self._columns)

    def centred(self, limit: float = 1.0) -> Tensor:
        """Uniform in [-limit, limit)."""
        return (next(self._columns) * 2 - 1) * limit

    def normal(self, deviation: float) -> Tensor:
        """Normal around 0."""
        return torch.erfinv(self.centred().clamp(-NEAR_ONE, NEAR_ONE)) * (math.sqrt(2) * deviation)

    def power_of_two(self, deviation: float) -> Tensor:
        """Log-normal around 1; its logarithm, base 2, has this standard deviation."""
        return torch.exp2(self.normal(deviation))

    def whole(self, count: Tensor | int) -> Tensor:
        """int64, each of 0, 1, ... `count` - 1 as often."""
        drawn = (next(self._columns) * count).long()
        return drawn.clamp(max=count - 1)  # for draws so near 1 that the product is rounded up

    def happens(self, probability: Tensor | float) -> Tensor:
        """bool, true with this probability: never at 0, always at 1."""
        return next(self._columns) < probability


def per_image(values: Tensor) -> Tensor:
    """`[N]` -> `[N, 1, 1, 1]`."""
    return values.reshape(-1, 1, 1, 1)
