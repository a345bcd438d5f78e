"""The parameters of each normalization that a recipe can name. Torch is imported only when one is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

from ganlab.parameters import parameter

if TYPE_CHECKING:
    from torch import nn

Placement = Literal["before-activation", "after-activation"]
PLACEMENTS = ("before-activation", "after-activation")


@attrs.frozen
class Pixel:
    """Divides the feature vector of each pixel by its root mean square (Karras et al. 2018, section 4.2)."""

    epsilon: float = parameter(1e-8, ge=0, help="added to the mean square under the root")
    placement: Placement = parameter(
        "after-activation", choices=PLACEMENTS, help="the authors normalize after the activation, some ports before"
    )

    @property
    def replaces_bias(self) -> bool:
        """False: the layer below keeps its bias."""
        return False

    def build(self, channels: int, *, track_statistics: bool) -> nn.Module:
        from ganlab_normalizations.pixel import Pixel as Module

        return Module(self.epsilon)


@attrs.frozen
class Layer:
    """Each sample to mean 0 and variance 1 over all its values, one learned gain, one learned bias a channel.

    Ba et al. 2016, in the form of the PGGAN authors' Theano program.
    """

    epsilon: float = parameter(1e-4, ge=0, help="added to the variance under the root")
    placement: Placement = parameter("before-activation", choices=PLACEMENTS, help="where it stands in a layer")

    @property
    def replaces_bias(self) -> bool:
        """True: it has a bias of its own."""
        return True

    def build(self, channels: int, *, track_statistics: bool) -> nn.Module:
        from ganlab_normalizations.normalizations import Layer as Module

        return Module(channels, self.epsilon)


@attrs.frozen
class Batch:
    """Each channel to mean 0 and variance 1 over the minibatch, with a learned gain and bias (Ioffe & Szegedy 2015).

    Generators also keep running statistics, which are used in evaluation mode; discriminators never do.
    """

    epsilon: float = parameter(1e-4, ge=0, help="added to the population variance under the root")
    momentum: float = parameter(0.1, gt=0, le=1, help="weight of each new minibatch in the running statistics")
    placement: Placement = parameter("before-activation", choices=PLACEMENTS, help="where it stands in a layer")

    @property
    def replaces_bias(self) -> bool:
        """True: it has a bias of its own."""
        return True

    def build(self, channels: int, *, track_statistics: bool) -> nn.Module:
        from ganlab_normalizations.normalizations import Batch as Module

        return Module(channels, self.epsilon, momentum=self.momentum if track_statistics else None)


@attrs.frozen
class Instance:
    """Each channel of each sample to mean 0 and variance 1 over its pixels, with a learned gain and bias.

    Ulyanov et al. 2016. Activations without pixels only get the gain and bias.
    """

    epsilon: float = parameter(1e-5, ge=0, help="added to the population variance under the root")
    placement: Placement = parameter("before-activation", choices=PLACEMENTS, help="where it stands in a layer")

    @property
    def replaces_bias(self) -> bool:
        """True: it has a bias of its own."""
        return True

    def build(self, channels: int, *, track_statistics: bool) -> nn.Module:
        from ganlab_normalizations.normalizations import Instance as Module

        return Module(channels, self.epsilon)


@attrs.frozen
class NoNormalization:
    """No normalization: nothing is built."""

    @property
    def placement(self) -> Placement:
        """Of no consequence."""
        return "after-activation"

    @property
    def replaces_bias(self) -> bool:
        """False: the layer below keeps its bias."""
        return False

    def build(self, channels: int, *, track_statistics: bool) -> None:
        return None
