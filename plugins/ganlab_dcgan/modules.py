"""The DCGAN networks as modules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganlab.errors import GanlabError
from ganlab.interfaces import Critique, ImageShape, Normalization
from ganlab_layers.linear import Head, LinearToMaps
from ganlab_layers.weighted import WeightedLayer
from ganlab_layers.wide import convolve

if TYPE_CHECKING:
    from ganlab_dcgan.networks import Dcgan, DcganDiscriminator, DcganGenerator


class Generator(nn.Module):
    """`(latents [N, latent_size], labels [N, label_size], resolution=)` -> images `[N, C, R, R]` in (-1, 1)."""

    def __init__(self, config: DcganGenerator, images: ImageShape) -> None:
        super().__init__()
        self.latent_size = config.latent_size
        self.label_size = images.label_size
        self.uniform = config.latents == "uniform"
        self.full_resolution = images.resolution
        widths = config.widths(images.resolution)
        inputs = self.latent_size + self.label_size
        self.project = LinearToMaps(
            inputs,
            widths[0],
            gain=_gain(config, inputs),
            weight_scaling=config.weight_scaling,
            **_hidden(config.normalization, widths[0], leaky_slope=0.0, track_statistics=True),
        )
        self.convolutions = nn.ModuleList(
            TransposedConvolution(
                config,
                channels,
                finer,
                **_hidden(config.normalization, finer, leaky_slope=0.0, track_statistics=True),
            )
            for channels, finer in pairwise(widths)
        )
        self.to_images = TransposedConvolution(config, widths[-1], images.channels)

    def forward(
        self, latents: Tensor, labels: Tensor | None = None, *, resolution: int, fade: Tensor | None = None
    ) -> Tensor:
        """Images. `fade` is ignored: `Dcgan.check_run` lets none but 1 pass.

        Raises `GanlabError` for another level than the full one, `ValueError` where labels are missing.
        """
        _check_level(self.full_resolution, resolution)
        x = torch.erf(latents / math.sqrt(2)) if self.uniform else latents  # 2 Phi(z) - 1 is uniform in [-1, 1]
        if self.label_size:
            if labels is None:
                raise ValueError(f"this generator needs labels [N, {self.label_size}]")
            x = torch.cat([x, labels.to(x.dtype)], 1)
        x = self.project(x)
        for convolution in self.convolutions:
            x = convolution(x)
        return torch.tanh(self.to_images(x).to(latents.dtype))


class Discriminator(nn.Module):
    """Images `[N, C, R, R]` -> `Critique`. It never changes its own state."""

    def __init__(self, config: DcganDiscriminator, images: ImageShape) -> None:
        super().__init__()
        self.label_size = images.label_size
        self.full_resolution = images.resolution
        channels = images.channels
        self.convolutions = nn.ModuleList()
        for number, width in enumerate(reversed(config.widths(images.resolution))):
            finish: dict[str, Any] = {"leaky_slope": config.leaky_slope}
            if number > 0:
                finish = _hidden(config.normalization, width, leaky_slope=config.leaky_slope, track_statistics=False)
            self.convolutions.append(StridedConvolution(config, channels, width, **finish))
            channels = width
        self.stddev = config.stddev.build(channels)
        features = int(self.stddev.out_channels) * 16  # type: ignore[arg-type]  # a layer's is an int
        head: dict[str, Any] = {"gain": _gain(config, features), "weight_scaling": config.weight_scaling}
        self.scores = Head(features, 1, **head)
        self.label_logits = Head(features, images.label_size, **head) if images.label_size else None

    def forward(
        self,
        images: Tensor,
        *,
        fade: Tensor | None = None,
        noise: Sequence[Tensor] = (),
        noise_strength: Tensor | None = None,
        passes: int = 1,
    ) -> Critique:
        """Scores `[N]`; there are no noise layers, and `fade` is ignored. Raises `GanlabError` as the generator does.

        Where `joins_passes` is true no sample acts on another, so that `passes` makes no difference.
        """
        x = self.stddev(self._maps(images))
        scores = self.scores(x).squeeze(1).to(images.dtype)
        return Critique(scores, None if self.label_logits is None else self.label_logits(x).to(images.dtype))

    @property
    def joins_passes(self) -> bool:
        """Whether reals and fakes may be judged in one call: where no layer compares samples."""
        return not any(hasattr(module, "sample_groups") for module in self.modules())

    def noise_channels(self, resolution: int) -> Sequence[int]:
        """None at any resolution."""
        return ()

    @torch.no_grad()
    def start_from(self, images: Tensor) -> None:
        """Give a layer whose start depends on data (minibatch discrimination) a first minibatch."""
        start = getattr(self.stddev, "start_from", None)
        if start is not None:
            start(self._maps(images))

    def _maps(self, images: Tensor) -> Tensor:
        """`[N, width, 4, 4]`."""
        _check_level(self.full_resolution, images.shape[-1])
        x = images
        for convolution in self.convolutions:
            x = convolution(x)
        return x


class StridedConvolution(WeightedLayer):
    """`[N, in, R, R]` -> `[N, out, R/2, R/2]`; the weight is `[out, in, k, k]`."""

    own_derivatives = True

    def __init__(self, config: Dcgan, in_channels: int, out_channels: int, **finish: Any) -> None:
        fan_in = in_channels * config.kernel_size**2
        super().__init__(
            (out_channels, in_channels, config.kernel_size, config.kernel_size),
            fan_in=fan_in,
            gain=_gain(config, fan_in),
            bias_size=out_channels,
            weight_scaling=config.weight_scaling,
            **finish,
        )
        self.padding = (config.kernel_size - 1) // 2

    def forward(self, x: Tensor) -> Tensor:
        return self.finish(convolve(x, self.current_weight(), self.current_bias(), stride=2, padding=self.padding))


class TransposedConvolution(StridedConvolution):
    """`[N, in, R, R]` -> `[N, out, 2R, 2R]`; the weight is `[out, in, k, k]`."""

    own_derivatives = False

    def forward(self, x: Tensor) -> Tensor:
        weight = self.current_weight().transpose(0, 1)
        added = 2 + 2 * self.padding - weight.shape[2]  # a row and a column with an odd kernel, so that sizes double
        return self.finish(
            F.conv_transpose2d(x, weight, self.current_bias(), stride=2, padding=self.padding, output_padding=added)
        )


def _hidden(
    normalization: Normalization, channels: int, *, leaky_slope: float, track_statistics: bool
) -> dict[str, Any]:
    """What follows a hidden layer's linear operation."""
    return {
        "bias": not normalization.replaces_bias,
        "leaky_slope": leaky_slope,
        "normalization": normalization.build(channels, track_statistics=track_statistics),
        "normalize_first": normalization.placement == "before-activation",
    }


def _gain(config: Dcgan, fan_in: int) -> float:
    """The gain with which a weight scaling starts at `init_std`, whatever the fan-in."""
    return config.init_std * math.sqrt(fan_in)


def _check_level(full: int, resolution: int) -> None:
    if resolution != full:
        raise GanlabError(f"this network cannot grow: it works at {full}x{full} only, not at {resolution}x{resolution}")
