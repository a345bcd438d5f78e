"""One training step as pure functions of tensors: losses and their gradients, for one player or both.

Nothing here draws random numbers, waits for the device or depends on Python state that changes, so that a step can be
compiled, captured, and compared with the authors' numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ganlab.interfaces import Critic, Critique, DiscriminatorPass, GeneratorPass, LossValue
from ganlab.train.draws import Draws
from ganlab.train.players import Players

Autocast = Callable[[], AbstractContextManager[object]]
Gradients = Sequence[Tensor | None]


class Level(NamedTuple):
    """Where growth stands: the resolution, and the fade as a 0-d tensor, or None where the level is alone."""

    resolution: int
    fade: Tensor | None
    enlargement: int = 1
    """Full resolution over this one."""


class Outcome(NamedTuple):
    """What a pass found: the mean loss, the gradients of the player's parameters, and what to log."""

    loss: Tensor
    gradients: Gradients
    report: Mapping[str, Tensor]
    """0-d tensors."""


def discriminator_step(
    players: Players, reals: Tensor, labels: Tensor | None, draws: Draws, level: Level, autocast: Autocast
) -> Outcome:
    """The discriminator's loss and gradients. `reals` `[N, C, R, R]` in [-1, 1]; fakes get the labels of the reals."""
    with torch.no_grad(), autocast():
        fakes = players.generator(draws.latents, labels, resolution=level.resolution, fade=level.fade)
    batch = _discriminator_pass(players, reals, fakes.float(), labels, draws, level, autocast)
    return _outcome(players.discriminator, _discriminator_value(players, batch), "discriminator")


def generator_step(
    players: Players, reals: Tensor, labels: Tensor | None, draws: Draws, level: Level, autocast: Autocast
) -> Outcome:
    """The generator's loss and gradients; `labels` are those its fakes are made with."""
    with autocast():
        fakes = players.generator(draws.latents, labels, resolution=level.resolution, fade=level.fade)
    value = _generator_value(players, fakes.float(), reals, labels, draws, level, autocast)
    return _outcome(players.generator, value, "generator")


def joint_step(
    players: Players, reals: Tensor, labels: Tensor | None, draws: Draws, level: Level, autocast: Autocast
) -> tuple[Outcome, Outcome]:
    """Both players' losses and gradients from the same fakes, before either is updated (Theano, CIFAR-10)."""
    with autocast():
        fakes = players.generator(draws.latents, labels, resolution=level.resolution, fade=level.fade)
    fakes = fakes.float()
    batch = _discriminator_pass(players, reals, fakes.detach(), labels, draws, level, autocast)
    discriminator = _outcome(players.discriminator, _discriminator_value(players, batch), "discriminator")
    value = _generator_value(players, fakes, reals, labels, draws, level, autocast)
    return discriminator, _outcome(players.generator, value, "generator")


def make_critic(players: Players, noise: Mapping[str, Sequence[Tensor]], level: Level, autocast: Autocast) -> Critic:
    """The discriminator at this level with this pass's noise, as losses call it; scores come back in float32."""
    strength = players.loss.noise_strength()

    def critic(images: Tensor, draw: Literal["reals", "fakes", "mixed"]) -> Critique:
        with autocast():
            critique = players.discriminator(images, fade=level.fade, noise=noise[draw], noise_strength=strength)
        logits = critique.label_logits
        return Critique(critique.scores.float(), None if logits is None else logits.float())

    return critic


def _discriminator_pass(
    players: Players,
    reals: Tensor,
    fakes: Tensor,
    labels: Tensor | None,
    draws: Draws,
    level: Level,
    autocast: Autocast,
) -> DiscriminatorPass:
    critic = make_critic(players, draws.noise, level, autocast)
    return DiscriminatorPass(
        critic=critic,
        reals=reals,
        fakes=fakes,
        real=critic(reals, "reals"),
        fake=critic(fakes, "fakes"),
        mixing_factors=draws.mixing_factors,
        labels=labels,
        fake_labels=labels,
        enlargement=level.enlargement,
    )


def _discriminator_value(players: Players, batch: DiscriminatorPass) -> LossValue:
    terms = [players.loss.discriminator(batch)]
    terms += [value for term in players.regularizers if (value := term.discriminator(batch)) is not None]
    return _sum(terms)


def _generator_value(
    players: Players,
    fakes: Tensor,
    reals: Tensor,
    labels: Tensor | None,
    draws: Draws,
    level: Level,
    autocast: Autocast,
) -> LossValue:
    critic = make_critic(players, draws.noise, level, autocast)
    batch = GeneratorPass(critic=critic, fakes=fakes, fake=critic(fakes, "fakes"), fake_labels=labels, reals=reals)
    terms = [players.loss.generator(batch)]
    terms += [value for term in players.regularizers if (value := term.generator(batch)) is not None]
    return _sum(terms)


def _sum(terms: Sequence[LossValue]) -> LossValue:
    total = terms[0].per_sample.mean()
    for term in terms[1:]:
        total = total + term.per_sample.mean()
    return LossValue(total, {name: value for term in terms for name, value in term.report.items()})


def _outcome(player: torch.nn.Module, value: LossValue, name: str) -> Outcome:
    """Gradients of this player's parameters alone; those that the present level does not use get None."""
    parameters = [parameter for parameter in player.parameters() if parameter.requires_grad]
    found: Sequence[Tensor | None] = torch.autograd.grad(value.per_sample, parameters, allow_unused=True)
    gradients = [None if g is None else _laid_out_as(p, g) for p, g in zip(parameters, found, strict=True)]
    report = {f"loss/{name}": value.per_sample.detach()}
    own = "" if name == "discriminator" else f"{name}/"  # both players report scores of fakes, and mean other ones
    report.update({f"{own}{key}": tensor.detach().float().mean() for key, tensor in value.report.items()})
    return Outcome(value.per_sample.detach(), gradients, report)


def _laid_out_as(parameter: Tensor, gradient: Tensor) -> Tensor:
    """The gradient with the parameter's strides: convolutions may return others, and fused optimizers on the CPU walk
    through both memories side by side without looking at strides.
    """
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)
