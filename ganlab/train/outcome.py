"""What a pass found for one player: its loss, gradients that lie in memory as parameters do, and what to log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ganlab.interfaces import LossValue
from ganlab.train.players import Players
from ganlab.train.terms import means

Gradients = Sequence[Tensor | None]


class Outcome(NamedTuple):
    """What a pass found: the mean loss, the gradients of the player's parameters, and what to log."""

    loss: Tensor
    gradients: Gradients
    """Times the loss scale, where the step was given one."""
    report: Mapping[str, Tensor]
    """0-d tensors."""


def outcome_of_loss(players: Players, value: LossValue, name: str, loss_scale: Tensor | None) -> Outcome:
    """Gradients of this player's parameters alone; those that the present level does not use get None."""
    parameters = players.lists[name].parameters
    found = torch.autograd.grad(value.per_sample, parameters, loss_scale, allow_unused=True)
    return outcome_of(players, value, name, found)


def outcome_of(players: Players, value: LossValue, name: str, found: Gradients) -> Outcome:
    """The outcome of a player by name, where the gradients `found` are known."""
    parameters = players.lists[name].parameters
    gradients = [None if g is None else _laid_out_as(p, g) for p, g in zip(parameters, found, strict=True)]
    report = {f"loss/{name}": value.per_sample.detach()}
    own = "" if name == "discriminator" else f"{name}/"  # both players report scores of fakes, and mean other ones
    report.update({f"{own}{key}": mean for key, mean in means(value.report).items()})
    return Outcome(value.per_sample.detach(), gradients, report)


def _laid_out_as(parameter: Tensor, gradient: Tensor) -> Tensor:
    """The gradient with the parameter's strides: convolutions may return others, and fused optimizers on the CPU walk
    through both memories side by side without looking at strides.
    """
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)
