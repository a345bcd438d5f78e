"""Statistics of a minibatch as extra features: how a discriminator sees that a generator repeats itself."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ganlab.errors import GanlabError
from ganlab.interfaces import Exchange


class GroupSizeError(GanlabError, ValueError):
    """Samples or channels cannot be divided into groups as asked."""


class MinibatchStddev(nn.Module):
    """`[N, C, H, W]` -> `[N, C + F, H, W]` (also `[N, C]`); see `ganlab_layers.components.MinibatchStddev`."""

    exchange: Exchange | None = None
    """Set where the samples of a group are on several ranks."""

    def __init__(
        self, channels: int, *, averaging: str, group_size: int, epsilon: float, unbiased: bool, grouping: str
    ) -> None:
        super().__init__()
        self.averaging = averaging
        self.group_size = group_size
        self.epsilon = epsilon
        self.unbiased = unbiased
        self.grouping = grouping
        self.statistics_channels = statistics_channels(averaging, channels)
        self.out_channels = channels + self.statistics_channels

    def statistics(self, x: Tensor) -> Tensor:
        """The features alone: `[N, F]`, or with averaging "none" as large as `x`. Float32 or wider."""
        whole = x if self.exchange is None else self.exchange.gather(_wide(x))
        statistics = minibatch_statistics(
            whole,
            averaging=self.averaging,
            group_size=self.group_size,
            epsilon=self.epsilon,
            unbiased=self.unbiased,
            grouping=self.grouping,
        )
        return statistics if self.exchange is None else self.exchange.own(statistics)

    def sample_groups(self, count: int) -> npt.NDArray[np.int64]:
        """Which group each of `count` samples is in."""
        group = min(self.group_size, count) if self.group_size else count
        samples = np.arange(count)
        return samples % max(count // group, 1) if self.grouping == "strided" else samples // group

    def forward(self, x: Tensor) -> Tensor:
        return append_features(x, self.statistics(x))

    def extra_repr(self) -> str:
        return f"averaging={self.averaging}, group_size={self.group_size}, grouping={self.grouping}"


def statistics_channels(averaging: str, channels: int) -> int:
    """Features that `averaging` gives for so many channels. Raises `GroupSizeError` if its blocks are uneven."""
    if averaging in ("all", "flat"):
        return 1
    if averaging.startswith("group"):
        blocks = int(averaging.removeprefix("group"))
        if channels % blocks:
            raise GroupSizeError(f"averaging '{averaging}' needs a multiple of {blocks} channels; there are {channels}")
        return blocks
    return channels


def append_features(x: Tensor, features: Tensor) -> Tensor:
    """`x` with `features` after its channels; `[N, F]` features become constant maps where `x` has pixels."""
    if features.ndim < x.ndim:
        features = features.reshape(*features.shape, 1, 1).expand(-1, -1, *x.shape[2:])
        if x.is_contiguous(memory_format=torch.channels_last):  # else the result is not, and what follows copies it
            features = features.contiguous(memory_format=torch.channels_last)
    return torch.cat([x, features.to(x.dtype)], dim=1)


def minibatch_statistics(
    x: Tensor, *, averaging: str, group_size: int, epsilon: float, unbiased: bool = False, grouping: str = "strided"
) -> Tensor:
    """Standard deviation over each group of samples, averaged; every sample gets its group's.

    `group_size` 0 means the whole minibatch; a minibatch smaller than the group is one group. Raises `GroupSizeError`
    if the minibatch is larger than the group and not a multiple of it.
    """
    count = x.shape[0]
    group = min(group_size, count) if group_size else count
    if count % group:
        raise GroupSizeError(
            f"a minibatch of {count} cannot be divided into groups of {group}; choose a minibatch that is a multiple "
            f"of {group}, or group_size = 0 to compare the whole minibatch"
        )
    values = _wide(x)
    if grouping == "strided":
        values = values.reshape(group, count // group, *x.shape[1:])
    else:
        values = values.reshape(count // group, group, *x.shape[1:]).transpose(0, 1)

    pixels = tuple(range(3, values.ndim))
    if averaging == "gpool":
        statistics = _stddev(values, (0, *pixels), epsilon, unbiased)
    elif averaging == "flat":
        statistics = _stddev(values, (0, 2, *pixels), epsilon, unbiased).unsqueeze(1)
    else:
        deviation = _stddev(values, (0,), epsilon, unbiased)
        if averaging == "none":
            statistics = deviation
        else:
            statistics = deviation.reshape(
                deviation.shape[0], statistics_channels(averaging, deviation.shape[1]), -1
            ).mean(2)

    if grouping == "strided":
        return statistics.repeat(group, *[1] * (statistics.ndim - 1))
    return statistics.repeat_interleave(group, dim=0)


def _wide(x: Tensor) -> Tensor:
    """Sums of squares need float32, whatever the activations are in."""
    return x if x.dtype == torch.float64 else x.float()


def _stddev(values: Tensor, dims: tuple[int, ...], epsilon: float, unbiased: bool) -> Tensor:
    samples = 1
    for dim in dims:
        samples *= values.shape[dim]
    # Written out: torch's own variance over leading dimensions takes ten times as long on the CPU.
    variance = (values - values.mean(dims, keepdim=True)).square().mean(dims)
    if unbiased and samples > 1:
        variance = variance * (samples / (samples - 1))
    if epsilon:
        return (variance + epsilon).sqrt()
    # The root's slope at 0 is infinite; a value that does not vary at all (a dead unit) gets slope 0 instead of NaN.
    varies = variance > 0
    return torch.where(varies, torch.where(varies, variance, 1.0).sqrt(), 0.0)
