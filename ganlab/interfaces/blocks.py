"""Building blocks of networks: layers, normalizations, weight scalings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from torch import Tensor, nn


class Layer(Protocol):
    """Kind `layer`: something a network has a slot for (minibatch stddev, multiplicative noise, ...).

    The component may say at load what its module will say when built: `draws_noise`, a class variable, and
    `check_channels(channels)`, which raises `ValueError` for a number of channels it cannot work with.

    Any module, here or elsewhere in a network or loss, whose output for one sample depends on others says so by a
    method `sample_groups(count)`: a NumPy integer array `[count]` with the group of each sample of a minibatch of so
    many (all zeros: each depends on all). Groups then stay together when a minibatch is divided into micro-batches or
    among ranks. Where they cannot, micro-batches are refused, and several ranks set the module's attribute `exchange`,
    which it must have (None at first), to an `Exchange`.
    """

    def build(self, channels: int) -> nn.Module:
        """A module for `[N, channels, H, W]` or `[N, channels]`; its attribute `out_channels` tells what it returns.

        A noise layer has the attribute `draws_noise = True` and is called as `module(x, noise, strength)` with
        `noise` `[N, channels]` standard normal and `strength` a 0-d tensor; every other layer as `module(x)`.
        """
        ...


class Exchange(Protocol):
    """What a module that compares samples asks other ranks by; all ranks call it in the same order.

    It can be differentiated any number of times; gradients are those of the sum of all ranks' losses.
    """

    def gather(self, x: Tensor) -> Tensor:
        """`[n, ...]`, of this rank's samples -> `[N, ...]`, of the whole minibatch's."""
        ...

    def own(self, whole: Tensor) -> Tensor:
        """`[N, ...]` -> `[n, ...]`, those of this rank."""
        ...


class Normalization(Protocol):
    """Kind `normalization`: keeps activations in range, after every layer of a network that has it.

    It has two properties. `placement` is "before-activation" or "after-activation". `replaces_bias` is true where the
    module brings its own offset, so that the layer below must have no bias.
    """

    @property
    def placement(self) -> Literal["before-activation", "after-activation"]: ...
    @property
    def replaces_bias(self) -> bool: ...

    def build(self, channels: int, *, track_statistics: bool) -> nn.Module | None:
        """A module `[N, channels, H, W]` -> same shape (also `[N, channels]`), or None where there is nothing to do.

        `track_statistics` is true in generators, which are later evaluated one sample at a time; in discriminators it
        is false: they always use the minibatch's own statistics, and nothing is changed in place.
        """
        ...


class WeightScaling(Protocol):
    """Kind `weight-scaling`: how a stored weight becomes the one that is used (equalized, spectral, none)."""

    def build(self, shape: Sequence[int], *, fan_in: int, gain: float) -> nn.Module:
        """A module `weight -> weight` for a stored weight of `shape` (`[out, in, k, k]` or `[out, in]`).

        It also has `initial(normal: Tensor) -> Tensor`, which turns standard normal draws of `shape` into the stored
        initial weight (and may remember a scale), and may have `refresh(weight)`, called without gradients once
        before each update (power iteration).
        """
        ...
