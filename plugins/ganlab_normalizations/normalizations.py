"""The modules that normalize activations `[N, C, H, W]` (also `[N, C]`) by statistics, which are taken in float32."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ganlab.interfaces import Exchange


class Layer(nn.Module):
    """Per sample: (x - mean) / sqrt(variance + epsilon) * gain + bias; the gain is one number."""

    def __init__(self, channels: int, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.gain = nn.Parameter(torch.ones(()))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        normalized = _standardized(_wide(x), tuple(range(1, x.ndim)), self.epsilon)
        return (normalized * self.gain + _per_channel(self.bias, x)).to(x.dtype)


class Batch(nn.Module):
    """Per channel: (x - mean) / sqrt(variance + epsilon) * gain + bias, statistics of the minibatch.

    With a `momentum`, running statistics are kept while training and used in evaluation mode; without, nothing is ever
    changed in place and the minibatch's own statistics are always used.
    """

    running_mean: Tensor
    running_variance: Tensor
    exchange: Exchange | None = None
    """Set where the minibatch is on several ranks."""

    def __init__(self, channels: int, epsilon: float, *, momentum: float | None) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.momentum = momentum
        self.gain = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        if momentum is not None:
            self.register_buffer("running_mean", torch.zeros(channels))
            self.register_buffer("running_variance", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        wide = _wide(x)
        if self.momentum is not None and not self.training:
            mean, variance = self.running_mean, self.running_variance
        else:
            variance, mean = self._statistics(wide)
            if self.momentum is not None:
                with torch.no_grad():
                    self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
                    self.running_variance.lerp_(variance.to(self.running_variance.dtype), self.momentum)
        factor = self.gain * torch.rsqrt(variance + self.epsilon)
        return ((wide - _per_channel(mean, x)) * _per_channel(factor, x) + _per_channel(self.bias, x)).to(x.dtype)

    @property
    def changes_in_forward(self) -> bool:
        """Whether each call counts, so that none may be repeated."""
        return self.momentum is not None

    def _statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Variance and mean of each channel over the minibatch, wherever its samples are."""
        variance, mean = torch.var_mean(x, (0, *range(2, x.ndim)), correction=0)
        if self.exchange is None:
            return variance, mean
        variances, means = self.exchange.gather(torch.stack([variance, mean]).unsqueeze(0)).unbind(1)
        between, mean = torch.var_mean(means, 0, correction=0)  # ranks have equally many samples
        return variances.mean(0) + between, mean

    def sample_groups(self, count: int) -> npt.NDArray[np.int64]:
        """Every sample is normalized by all."""
        return np.zeros(count, np.int64)


class Instance(nn.Module):
    """Per sample and channel: (x - mean) / sqrt(variance + epsilon) * gain + bias, statistics over the pixels."""

    def __init__(self, channels: int, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.gain = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        normalized = _standardized(_wide(x), tuple(range(2, x.ndim)), self.epsilon) if x.ndim > 2 else x
        return (normalized * _per_channel(self.gain, x) + _per_channel(self.bias, x)).to(x.dtype)


def _wide(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def _standardized(x: Tensor, dims: tuple[int, ...], epsilon: float) -> Tensor:
    variance, mean = torch.var_mean(x, dims, correction=0, keepdim=True)
    return (x - mean) * torch.rsqrt(variance + epsilon)


def _per_channel(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.ndim - 2))
