"""Adaptive discriminator augmentation as a module: the chances of all changes, and the probability that adapts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ganlab_augmentations.blit import blit
from ganlab_augmentations.colour import Colour, recoloured
from ganlab_augmentations.draws import Columns, per_image
from ganlab_augmentations.geometry import Affine, transformed
from ganlab_layers.weighted import full_precision

if TYPE_CHECKING:
    from ganlab_augmentations import components


class AdaModule(nn.Module):
    """`(images [N, C, R, R], uniform [N, 28])` -> images; see `ganlab.interfaces.BuiltAugmentation`.

    An image for which no change of a group happens leaves that group bit for bit as it came.
    """

    draws = 28

    probability: Tensor
    """p, 0-d, in [0, limit]."""
    overfitting: Tensor
    """r_t, 0-d, in [-1, 1], of the last whole interval."""
    signs: Tensor
    """Sum of the signs of the interval's scores of reals."""
    seen: Tensor
    """Images of the interval, so far."""
    updates: Tensor
    """Updates of the interval, so far."""

    def __init__(self, config: components.Ada) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("probability", torch.tensor(config.probability or 0.0))
        self.register_buffer("overfitting", torch.tensor(0.0))
        self.register_buffer("signs", torch.tensor(0.0))
        self.register_buffer("seen", torch.tensor(0))
        self.register_buffer("updates", torch.tensor(0))

    def forward(self, images: Tensor, uniform: Tensor) -> Tensor:
        columns = Columns(uniform)
        with full_precision(images):
            changed = self._blitted(images, columns)
            exact = changed.float()
            exact = self._transformed(exact, columns)
            exact = self._recoloured(exact, columns)
            return exact.to(images.dtype)

    @torch.no_grad()
    def observe(self, report: Mapping[str, Tensor], minibatch: int) -> None:
        """Count one update, and at the end of an interval adapt p."""
        self.signs += report["signs/real"] * minibatch
        self.seen += minibatch
        self.updates += 1
        due = self.updates >= self.config.interval
        overfitting = self.signs / self.seen
        self.overfitting.copy_(torch.where(due, overfitting, self.overfitting))
        if self.config.adapts:
            step = torch.sign(overfitting - self.config.target) * (self.seen / self.config.adjust_images)
            adapted = (self.probability + step).clamp(0, self.config.limit)
            self.probability.copy_(torch.where(due, adapted, self.probability))
        for count in (self.signs, self.seen, self.updates):
            count.copy_(torch.where(due, torch.zeros_like(count), count))

    def report(self) -> Mapping[str, Tensor]:
        """The probability and r_t as they are now."""
        return {"augment/probability": self.probability.clone(), "augment/overfitting": self.overfitting.clone()}

    def _blitted(self, images: Tensor, columns: Columns) -> Tensor:
        config, p, size = self.config, self.probability, images.shape[-1]
        flip = columns.happens(p * config.flip) & columns.happens(0.5)
        turned, turns = columns.happens(p * config.turn), columns.whole(4)
        shifted = columns.happens(p * config.shift)
        shifts = [(columns.centred(config.shift_limit) * size).round().long() * shifted for _ in "xy"]
        return blit(images, flip, turns * turned, *shifts)

    def _transformed(self, images: Tensor, columns: Columns) -> Tensor:
        config, p, size = self.config, self.probability, images.shape[-1]
        either = 1 - (1 - p * config.rotation).sqrt()  # so that at least one of both rotations happens with p
        turn = config.rotation_limit * math.pi
        changes = Changes()
        affine = Affine(
            changes.amount(columns.happens(p * config.scale), columns.power_of_two(config.scale_spread), 1.0),
            changes.amount(columns.happens(either), columns.centred(turn), 0.0),
            changes.amount(columns.happens(p * config.stretch), columns.power_of_two(config.stretch_spread), 1.0),
            changes.amount(columns.happens(either), columns.centred(turn), 0.0),
            *changes.amount(
                columns.happens(p * config.drift),
                torch.stack([columns.normal(config.drift_spread * size) for _ in "xy"]),
                0.0,
            ),
        )
        return changes.where_any(transformed(images, affine, config.interpolation), images)

    def _recoloured(self, images: Tensor, columns: Columns) -> Tensor:
        config, p = self.config, self.probability
        changes = Changes()
        colour = Colour(
            changes.amount(columns.happens(p * config.brightness), columns.normal(config.brightness_spread), 0.0),
            changes.amount(columns.happens(p * config.contrast), columns.power_of_two(config.contrast_spread), 1.0),
            changes.amount(columns.happens(p * config.luma_flip) & columns.happens(0.5), -1.0, 1.0),
            changes.amount(columns.happens(p * config.hue), columns.centred(config.hue_limit * math.pi), 0.0),
            changes.amount(columns.happens(p * config.saturation), columns.power_of_two(config.saturation_spread), 1.0),
        )
        return changes.where_any(recoloured(images, colour), images)


class Changes:
    """The changes of one group, and for which images any of them happens."""

    def __init__(self) -> None:
        self._happens: list[Tensor] = []

    def amount(self, happens: Tensor, amount: Tensor | float, nothing: float) -> Tensor:
        """`amount` (`[N]` or `[K, N]`) where this one happens, else `nothing`."""
        self._happens.append(happens)
        return torch.where(happens, amount, nothing)

    def where_any(self, changed: Tensor, images: Tensor) -> Tensor:
        """The changed images where something happened, the others bit for bit."""
        return torch.where(per_image(torch.stack(self._happens).any(0)), changed, images)
