"""What all layers of a network have in common, so that its structure can be read without it."""

from __future__ import annotations

from typing import Any, Literal

import attrs

from ganlab.interfaces import Normalization, WeightScaling
from ganlab_layers.convolution import Convolution
from ganlab_layers.linear import Head, Linear, LinearToMaps


@attrs.frozen
class Style:
    """Makes the layers of one network."""

    weight_scaling: WeightScaling
    edge_weight_scaling: WeightScaling | None
    normalization: Normalization
    leaky_slope: float
    track_statistics: bool

    def convolution(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int = 3,
        resample: Literal["up", "down"] | None = None,
        fused: bool = False,
    ) -> Convolution:
        """A hidden convolution: weight scaling, bias, activation, normalization."""
        return Convolution(
            in_channels,
            out_channels,
            kernel_size,
            weight_scaling=self.weight_scaling,
            resample=resample,
            fused=fused,
            **self._hidden(out_channels),
        )

    def linear(self, in_features: int, out_features: int) -> Linear:
        """A hidden fully connected layer."""
        return Linear(in_features, out_features, weight_scaling=self.weight_scaling, **self._hidden(out_features))

    def linear_to_maps(self, in_features: int, channels: int) -> LinearToMaps:
        """The first layer of a generator, to 4x4 maps."""
        return LinearToMaps(in_features, channels, weight_scaling=self.weight_scaling, **self._hidden(channels))

    def from_images(self, image_channels: int, out_channels: int) -> Convolution:
        """fromRGB: 1x1, with bias and activation, never normalized."""
        return Convolution(
            image_channels, out_channels, 1, weight_scaling=self._edge_scaling(), leaky_slope=self.leaky_slope
        )

    def to_images(self, in_channels: int, image_channels: int, *, kernel_size: int = 1) -> Convolution:
        """toRGB: with bias, linear, gain 1."""
        return Convolution(in_channels, image_channels, kernel_size, weight_scaling=self._edge_scaling(), gain=1.0)

    def head(self, in_features: int, out_features: int) -> Head:
        """The last layer of a discriminator: with bias, linear, gain 1."""
        return Head(in_features, out_features, weight_scaling=self._edge_scaling(), gain=1.0)

    def _hidden(self, channels: int) -> dict[str, Any]:
        return {
            "bias": not self.normalization.replaces_bias,
            "leaky_slope": self.leaky_slope,
            "normalization": self.normalization.build(channels, track_statistics=self.track_statistics),
            "normalize_first": self.normalization.placement == "before-activation",
        }

    def _edge_scaling(self) -> WeightScaling:
        return self.weight_scaling if self.edge_weight_scaling is None else self.edge_weight_scaling
