"""The parameters of each layer that a recipe can name. Torch is imported only when a layer is built."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import attrs

from ganlab.interfaces import Stage
from ganlab.parameters import parameter

if TYPE_CHECKING:
    from torch import nn

AVERAGINGS = ("all", "spatial", "gpool", "flat", "none", "group<n>")
"""What `averaging` of the minibatch statistics may be; `group<n>` with a number, such as `group4`."""


def _check_averaging(value: str) -> None:
    if value not in AVERAGINGS[:-1] and not re.fullmatch(r"group[1-9][0-9]{0,5}", value):
        raise ValueError(f"{value!r} is not one of {', '.join(AVERAGINGS)} (n a number, for example group4)")


@attrs.frozen
class MinibatchStddev:
    """Appends the standard deviation over the minibatch as extra feature maps.

    Karras et al. 2018, section 3. The defaults are the TensorFlow program's; the Theano program's whole minibatch is
    `group_size = 0`. A minibatch must be divisible by the group size, or smaller than it.
    """

    draws_noise: ClassVar[bool] = False
    examples: ClassVar[Sequence[Mapping[str, Any]]] = (
        {},
        {"averaging": "spatial", "group_size": 0, "epsilon": 0.0},
        {"averaging": "group2", "unbiased": True, "grouping": "consecutive"},
    )

    averaging: str = parameter(
        "all",
        check=_check_averaging,
        help="what is averaged: 'all' (one map), 'spatial' (a constant map per channel), 'none' (a map per channel), "
        "'group<n>' (n blocks of channels, one constant map each); or, with the statistic taken over the pixels too, "
        "'gpool' (a constant map per channel) and 'flat' (over everything, one map)",
    )
    group_size: int = parameter(4, ge=0, unit="samples", help="samples that are compared; 0 for the whole minibatch")
    epsilon: float = parameter(1e-8, ge=0, help="added to the variance under the root; 0 as in some ports")
    unbiased: bool = parameter(False, help="divide by n - 1 instead of n, as some ports do")
    grouping: Literal["strided", "consecutive"] = parameter(
        "strided",
        choices=("strided", "consecutive"),
        help="with m groups, sample i belongs to group i mod m ('strided', the authors'), or group i // group_size",
    )

    def check_run(self, *, resolution: int, stages: Sequence[Stage]) -> None:
        """Raises `ValueError` for a minibatch that cannot be divided into groups."""
        for stage in stages:
            group = min(self.group_size or stage.minibatch, stage.minibatch)
            if stage.minibatch % group:
                where = f"{stage.minibatch} at {stage.resolution}x{stage.resolution}"
                raise ValueError(
                    f"group_size: the minibatch of {where} cannot be divided into groups of {group}; "
                    "expected a divisor, or 0 for the whole minibatch"
                )

    def check_channels(self, channels: int) -> None:
        """Raises `ValueError` if `group<n>` does not divide the channels."""
        blocks = int(self.averaging.removeprefix("group")) if self.averaging.startswith("group") else 1
        if channels % blocks:
            raise ValueError(
                f"averaging: {self.averaging!r} needs a multiple of {blocks} channels; there are {channels}"
            )

    def build(self, channels: int) -> nn.Module:
        """Raises a `GanlabError` if `group<n>` does not divide the channels."""
        from ganlab_layers.stddev import MinibatchStddev as Module

        return Module(
            channels,
            averaging=self.averaging,
            group_size=self.group_size,
            epsilon=self.epsilon,
            unbiased=self.unbiased,
            grouping=self.grouping,
        )


@attrs.frozen
class MinibatchDiscrimination:
    """Appends, per kernel, how many other samples of the minibatch are close.

    Salimans et al. 2016, section 3.2. Maps are averaged over their pixels first, and the features are then appended as
    constant maps, so that it fits wherever minibatch-stddev does.
    """

    draws_noise: ClassVar[bool] = False
    examples: ClassVar[Sequence[Mapping[str, Any]]] = ({"kernels": 4, "dim_per_kernel": 3},)

    kernels: int = parameter(100, ge=1, le=65536, help="features that are appended")
    dim_per_kernel: int = parameter(5, ge=1, le=65536, help="dimensions in which each kernel measures distance")

    def build(self, channels: int) -> nn.Module:
        from ganlab_layers.discrimination import MinibatchDiscrimination as Module

        return Module(channels, kernels=self.kernels, dim_per_kernel=self.dim_per_kernel)


@attrs.frozen
class MultiplicativeNoise:
    """Multiplies activations by noise while training; a loss may set the strength.

    Karras et al. 2018, appendix B: N(1, strength * sqrt(channels)) is mode 'prop'. Without noise handed in (when images
    are only judged) the layer does nothing.
    """

    draws_noise: ClassVar[bool] = True
    examples: ClassVar[Sequence[Mapping[str, Any]]] = ({}, {"mode": "mul", "normalize": True, "axes": "samples"})

    mode: Literal["prop", "mul", "drop"] = parameter(
        "prop",
        choices=("prop", "mul", "drop"),
        help="'prop' 1 + n * strength * sqrt(channels), 'mul' (1 + strength) ** n, n standard normal; "
        "'drop' zero with probability strength, else 1 / (1 - strength)",
    )
    strength: float = parameter(0.0, ge=0, lt=1, help="used while the loss sets none")
    normalize: bool = parameter(False, help="divide each sample's noise by its root mean square over channels")
    axes: Literal["channels", "samples"] = parameter(
        "channels", choices=("channels", "samples"), help="one draw per sample and channel, or one per sample"
    )

    def build(self, channels: int) -> nn.Module:
        from ganlab_layers.noise import MultiplicativeNoise as Module

        return Module(channels, mode=self.mode, strength=self.strength, normalize=self.normalize, axes=self.axes)


@attrs.frozen
class Empty:
    """A slot left empty: the built module returns what it is given."""

    draws_noise: ClassVar[bool] = False

    def build(self, channels: int) -> nn.Module:
        from ganlab_layers.empty import Empty as Module

        return Module(channels)
