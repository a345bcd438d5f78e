"""One training step as pure functions of tensors: losses and their gradients, for one player or both.

Nothing here draws random numbers, waits for the device or depends on Python state that changes, so that a step can be
compiled, captured, and compared with the authors' numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from ganlab.interfaces import Critic, Critique, DiscriminatorPass, GeneratorPass, LossValue, Match, Play
from ganlab.train.critics import Autocast, Level, augmented, judge_together, make_critic, with_signs
from ganlab.train.draws import Draws
from ganlab.train.lanes import Awaited, AwaitedPass, Lane, gradients_in_two
from ganlab.train.outcome import Outcome, outcome_of, outcome_of_loss
from ganlab.train.players import Players
from ganlab.train.terms import of_discriminator, of_generator, summed

AnyPass = TypeVar("AnyPass", bound=DiscriminatorPass)


class Passes(NamedTuple):
    """The three computations that steps are made of, as they stand here or compiled."""

    generate: Callable[..., Play]
    judge: Callable[..., LossValue]
    """The discriminators' loss."""
    persuade: Callable[..., LossValue]
    """The generators' loss."""
    compiled: bool = False
    lane: Lane | None = None
    """A thread for half of what the discriminators' learning takes."""
    meanwhile: Callable[[], None] | None = None
    """Called when the discriminators' loss is known and its gradients are not: those take no Python, which others may
    then have."""


def discriminator_step(
    players: Players,
    reals: Tensor,
    labels: Tensor | None,
    draws: Draws,
    level: Level,
    autocast: Autocast,
    loss_scale: Tensor | None = None,
    passes: Passes | None = None,
) -> Outcome:
    """The discriminator's loss and gradients. `reals` `[N, C, R, R]` in [-1, 1]; fakes get the labels of the reals."""
    do = passes or plain_passes()
    with torch.no_grad():
        play = do.generate(players, reals, labels, draws, level, autocast, False)
    return _judged(do, players, play.matches, labels, draws, level, autocast, loss_scale)


def generator_step(
    players: Players,
    reals: Tensor,
    labels: Tensor | None,
    draws: Draws,
    level: Level,
    autocast: Autocast,
    loss_scale: Tensor | None = None,
    passes: Passes | None = None,
) -> Outcome:
    """The generator's loss and gradients; `labels` are those its fakes are made with."""
    do = passes or plain_passes()
    play = do.generate(players, reals, labels, draws, level, autocast, True)
    value = do.persuade(players, play, labels, draws, level, autocast, loss_scale)
    return outcome_of_loss(players, value, "generator", loss_scale)


def joint_step(
    players: Players,
    reals: Tensor,
    labels: Tensor | None,
    draws: Draws,
    level: Level,
    autocast: Autocast,
    loss_scales: tuple[Tensor | None, Tensor | None] = (None, None),
    passes: Passes | None = None,
) -> tuple[Outcome, Outcome]:
    """Both players' losses and gradients from the same fakes, before either is updated (Theano, CIFAR-10)."""
    do = passes or plain_passes()
    ours, theirs = loss_scales
    play = do.generate(players, reals, labels, draws, level, autocast, True)
    matches = {name: Match(match.reals, match.fakes.detach()) for name, match in play.matches.items()}
    discriminator = _judged(do, players, matches, labels, draws, level, autocast, ours)
    value = do.persuade(players, play, labels, draws, level, autocast, theirs)
    return discriminator, outcome_of_loss(players, value, "generator", theirs)


def plain_passes() -> Passes:
    """As written."""
    return Passes(_generate, _judge, _persuade)


def compiled_passes() -> Passes:
    """By torch.compile: one graph a level and minibatch for each, good for every fade."""
    # Every level is a graph of its own; torch gives up after eight, which is meant for shapes that never settle.
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 64)
    return Passes(
        torch.compile(_generate, dynamic=False),
        torch.compile(_judge, dynamic=False),
        torch.compile(_persuade, dynamic=False),
        compiled=True,
    )


def _generate(
    players: Players,
    reals: Tensor,
    labels: Tensor | None,
    draws: Draws,
    level: Level,
    autocast: Autocast,
    learning: bool,
) -> Play:
    """What each pair is to be shown, float32; `learning` where it is the generators that learn from it."""
    with autocast():
        play = players.system.play(
            players.generator,
            draws.latents,
            labels,
            reals,
            resolution=level.resolution,
            fade=level.fade,
            learning=learning,
        )
    return Play({name: Match(match.reals, match.fakes.float()) for name, match in play.matches.items()}, play.terms)


def _judged(
    do: Passes,
    players: Players,
    matches: Mapping[str, Match],
    labels: Tensor | None,
    draws: Draws,
    level: Level,
    autocast: Autocast,
    loss_scale: Tensor | None,
) -> Outcome:
    if players.system.chances:
        with torch.no_grad():
            matches = players.system.remember(matches, draws.uniform["chances"])  # type: ignore[attr-defined]  # there, as `chances` says
    lists, awaited = players.lists["discriminator"], None
    with held(() if do.compiled else lists.holders):  # a compiler shares what is equal anyway
        if do.lane is None:
            value = do.judge(players, matches, labels, draws, level, autocast, loss_scale)
        else:
            assert loss_scale is None, "losses are scaled in one lane only"
            value, awaited = _judge_beside(do.lane, players, matches, labels, draws, level, autocast)
        if do.meanwhile is not None:
            do.meanwhile()
        if do.lane is None or awaited is None:
            return outcome_of_loss(players, value, "discriminator", loss_scale)
        found = gradients_in_two(do.lane, value.per_sample, awaited, lists.parameters)
        return outcome_of(players, value, "discriminator", found)


@contextmanager
def held(layers: Sequence[Any]) -> Iterator[None]:
    """What these layers derive from their weights alone is worked out once for all passes within."""
    for layer in layers:
        layer.hold()
    try:
        yield
    finally:
        for layer in layers:
            layer.release()


def _judge(
    players: Players,
    matches: Mapping[str, Match],
    labels: Tensor | None,
    draws: Draws,
    level: Level,
    autocast: Autocast,
    loss_scale: Tensor | None,
) -> LossValue:
    """The discriminators' loss, 0-d, and its report."""
    values = []
    for pair in players.pairs:
        own = draws.of(pair.name)
        reals, fakes = augmented(pair, matches[pair.name], own)
        critic = make_critic(pair, own.noise, level, autocast, loss_scale)
        if pair.joins_passes:
            real, fake = judge_together(pair, reals, fakes, own, level, autocast)
        else:
            real, fake = critic(reals, "reals"), critic(fakes, "fakes")
        batch = _pass(DiscriminatorPass, critic, reals, fakes, own, labels, level, real, fake)
        values.append(with_signs(pair, of_discriminator(pair, batch), real))
    return _of_all(players, values)


def _judge_beside(
    lane: Lane,
    players: Players,
    matches: Mapping[str, Match],
    labels: Tensor | None,
    draws: Draws,
    level: Level,
    autocast: Autocast,
) -> tuple[LossValue, Awaited]:
    """What `_judge` comes to for a single pair, with reals and fakes judged on a thread beside this."""
    (pair,) = players.pairs
    own = draws.of(pair.name)
    reals, fakes = augmented(pair, matches[pair.name], own)
    critic = make_critic(pair, own.noise, level, autocast)
    awaited = Awaited(lane.begin(judge_together, pair, reals, fakes, own, level, autocast))
    batch = _pass(AwaitedPass, critic, reals, fakes, own, labels, level)
    batch.awaited = awaited
    return with_signs(pair, of_discriminator(pair, batch), batch.real), awaited


def _pass(
    kind: type[AnyPass],
    critic: Critic,
    reals: Tensor,
    fakes: Tensor,
    draws: Draws,
    labels: Tensor | None,
    level: Level,
    real: Critique | None = None,
    fake: Critique | None = None,
) -> AnyPass:
    return kind(
        critic=critic,
        reals=reals,
        fakes=fakes,
        real=real,  # type: ignore[arg-type]  # None where it is awaited
        fake=fake,  # type: ignore[arg-type]  # None where it is awaited
        mixing_factors=draws.uniform["mixing"],
        labels=labels,
        fake_labels=labels,
        enlargement=level.enlargement_of(reals),
        images_shown=level.images_shown,
    )


def _persuade(
    players: Players,
    play: Play,
    labels: Tensor | None,
    draws: Draws,
    level: Level,
    autocast: Autocast,
    loss_scale: Tensor | None,
) -> LossValue:
    """The generators' loss, 0-d, and its report."""
    values = []
    for pair in players.pairs:
        own = draws.of(pair.name)
        reals, fakes = augmented(pair, play.matches[pair.name], own)
        critic = make_critic(pair, own.noise, level, autocast, loss_scale, penalized=False)
        batch = GeneratorPass(
            critic=critic,
            fakes=fakes,
            fake=critic(fakes, "fakes"),
            fake_labels=labels,
            reals=reals,
            images_shown=level.images_shown,
        )
        values.append(of_generator(pair, batch))
    value = _of_all(players, values)
    return value if play.terms is None else summed([value, play.terms])


def _of_all(players: Players, values: Sequence[LossValue]) -> LossValue:
    """The sum of the pairs' losses, each pair's report under its name."""
    if not players.pairs[0].name:
        return values[0]
    report = {}
    for pair, value in zip(players.pairs, values, strict=True):
        report[pair.named("loss")] = value.per_sample
        report.update({pair.named(name): tensor for name, tensor in value.report.items()})
    return LossValue(summed(values).per_sample, report)
