"""The modules that turn a stored weight into the one that is used, and standard normal draws into a stored weight."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence


class ConstantScale(nn.Module):
    """Multiplies by a constant; the stored weight starts as the standard normal draw."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def initial(self, normal: Tensor) -> Tensor:
        """The draw itself."""
        return normal

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.scale

    def extra_repr(self) -> str:
        return f"scale={self.scale:.6g}"


class MeasuredScale(nn.Module):
    """Multiplies by the root mean square that the initial weight had; the stored weight starts with RMS exactly 1."""

    scale: Tensor

    def __init__(self, standard_deviation: float) -> None:
        super().__init__()
        self.standard_deviation = standard_deviation
        self.register_buffer("scale", torch.tensor(standard_deviation))

    @torch.no_grad()
    def initial(self, normal: Tensor) -> Tensor:
        """The draw divided by its RMS, which is remembered times the theoretical standard deviation."""
        root_mean_square = normal.square().mean().sqrt()
        self.scale.copy_(root_mean_square * self.standard_deviation)
        return normal / root_mean_square

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.scale


class SpectralScale(nn.Module):
    """Divides by the largest singular value of the weight as an `[out, rest]` matrix, estimated by power iteration."""

    left: Tensor
    right: Tensor

    def __init__(self, shape: Sequence[int], *, standard_deviation: float, iterations: int) -> None:
        super().__init__()
        self.standard_deviation = standard_deviation
        self.iterations = iterations
        rows, columns = shape[0], math.prod(shape[1:])
        self.register_buffer("left", torch.full((rows,), rows**-0.5))
        self.register_buffer("right", torch.full((columns,), columns**-0.5))

    def initial(self, normal: Tensor) -> Tensor:
        """A draw of the usual standard deviation; its singular vectors are found at once."""
        weight = normal * self.standard_deviation
        for _ in range(15):
            self.refresh(weight.to(self.left))
        return weight

    @torch.no_grad()
    def refresh(self, weight: Tensor) -> None:
        """Follow the singular vectors of a weight that has changed."""
        matrix = weight.flatten(1)
        for _ in range(self.iterations):
            self.right.copy_(F.normalize(matrix.t() @ self.left, dim=0))
            self.left.copy_(F.normalize(matrix @ self.right, dim=0))

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            largest = (self.left.unsqueeze(1) * weight.flatten(1) * self.right).sum()
            return weight / largest


class NormalStart(nn.Module):
    """Uses the stored weight, which starts normal with a given standard deviation."""

    scale = 1.0

    def __init__(self, standard_deviation: float) -> None:
        super().__init__()
        self.standard_deviation = standard_deviation

    def initial(self, normal: Tensor) -> Tensor:
        """The draw times the standard deviation."""
        return normal * self.standard_deviation

    def forward(self, weight: Tensor) -> Tensor:
        return weight


class UniformStart(nn.Module):
    """Uses the stored weight; it and the bias start uniform within `limit`, as torch starts its layers."""

    scale = 1.0

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit

    def initial(self, normal: Tensor) -> Tensor:
        """Normal draws made uniform through their distribution function: 2 Phi(z) - 1 = erf(z / sqrt 2)."""
        return self.limit * torch.erf(normal / math.sqrt(2))

    def initial_bias(self, normal: Tensor) -> Tensor:
        """The same for the bias."""
        return self.initial(normal)

    def forward(self, weight: Tensor) -> Tensor:
        return weight
