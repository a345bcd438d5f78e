"""Where the time of a step goes: ganlab's own pieces, one after another, each waited for."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from benchmarks.machine import wait_for
from benchmarks.subjects import GanlabSubject

DATA = "data (feed and reals)"
DRAWS = "draws"
GENERATOR_FOR_D = "G forward for D"
D_FORWARD = "D forward, reals and fakes"
PENALTY = "loss of D, penalty's inner gradient"
D_BACKWARD = "D backward"
GENERATOR_FORWARD = "G forward, D forward"
GENERATOR_BACKWARD = "G backward"
OPTIMIZERS = "optimizers"
EMA = "EMA"
LOGGING = "logging (tally, its check)"
WHOLE = "whole step"


def part_seconds(subject: GanlabSubject, count: int) -> dict[str, float]:
    """Seconds of each part, medians of `count` steps, and of as many whole steps in between."""
    taken: dict[str, list[float]] = {}
    for _ in range(count):
        with _timed(taken, WHOLE, subject.device):
            subject.step()
        _one_step(subject, taken)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


@contextmanager
def _timed(taken: dict[str, list[float]], name: str, device: torch.device, *, again: bool = False) -> Iterator[None]:
    wait_for(device)
    start = time.perf_counter()
    yield
    wait_for(device)
    seconds = time.perf_counter() - start
    if again:  # the second half of a part that a step has twice
        taken[name][-1] += seconds
    else:
        taken.setdefault(name, []).append(seconds)


def _one_step(subject: GanlabSubject, taken: dict[str, list[float]]) -> None:
    """A step put together from the public pieces, as `ganlab.train.step` and the trainer do it."""
    from ganlab.interfaces import DiscriminatorPass, GeneratorPass
    from ganlab.train.average import average_
    from ganlab.train.critics import Level, make_critic
    from ganlab.train.devices import autocast

    trainer, stage, device = subject.trainer, subject.stage, subject.device
    players, recipe, shown = trainer.players, trainer.recipe, subject.images_shown
    fade = torch.full((), stage.fade, device=device) if stage.fade < 1 else None
    level = Level(stage.resolution, fade, trainer.images.resolution // stage.resolution, shown)
    context = autocast(device, recipe.run.precision)

    with _timed(taken, DATA, device):
        reals, labels = trainer.supply.next(stage, shown)
    subject.images_shown += stage.minibatch
    with _timed(taken, DRAWS, device):
        draws = _draws(trainer, "discriminator", stage, shown)
    critic = make_critic(players.pairs[0], draws.noise, level, context)
    with _timed(taken, GENERATOR_FOR_D, device), torch.no_grad(), context():
        fakes = players.generator(draws.latents, labels, resolution=stage.resolution, fade=fade).float()
    with _timed(taken, D_FORWARD, device):
        real, fake = critic(reals, "reals"), critic(fakes, "fakes")
    with _timed(taken, PENALTY, device):
        batch = DiscriminatorPass(
            critic, reals, fakes, real, fake, draws.uniform["mixing"], labels, labels, level.enlargement, shown
        )
        pair = players.pairs[0]
        values = [pair.loss.discriminator(batch), *(term.discriminator(batch) for term in pair.regularizers)]
        found = [value for value in values if value is not None]
        loss = torch.stack([value.per_sample.mean() for value in found]).sum()
    _update(trainer, "discriminator", loss, taken, D_BACKWARD, again=False)
    with _timed(taken, EMA, device):
        average_(players.averaged, players.generator, recipe.ema.keeps(shown, stage.minibatch))
    with _timed(taken, LOGGING, device):
        _log(trainer, "discriminator", loss, found, shown)

    with _timed(taken, DRAWS, device, again=True):
        draws = _draws(trainer, "generator", stage, subject.images_shown)
    critic = make_critic(players.pairs[0], draws.noise, level, context)
    with _timed(taken, GENERATOR_FORWARD, device):
        with context():
            fakes = players.generator(draws.latents, labels, resolution=stage.resolution, fade=fade).float()
        passed = GeneratorPass(critic, fakes, critic(fakes, "fakes"), labels, reals, subject.images_shown)
        values = [pair.loss.generator(passed), *(term.generator(passed) for term in pair.regularizers)]
        found = [value for value in values if value is not None]
        loss = torch.stack([value.per_sample.mean() for value in found]).sum()
    _update(trainer, "generator", loss, taken, GENERATOR_BACKWARD, again=True)
    with _timed(taken, LOGGING, device, again=True):
        _log(trainer, "generator", loss, found, shown)


def _update(
    trainer: Any, player: str, loss: torch.Tensor, taken: dict[str, list[float]], backward: str, *, again: bool
) -> None:
    parameters = [p for p in getattr(trainer.players, player).parameters() if p.requires_grad]
    with _timed(taken, backward, trainer.device):
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    with _timed(taken, OPTIMIZERS, trainer.device, again=again):
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if gradient is not None and gradient.stride() != parameter.stride():  # type: ignore[redundant-expr]  # torch's stub: unused ones are None
                gradient = torch.empty_like(parameter).copy_(gradient)  # noqa: PLW2901 - as the step does
            parameter.grad = gradient
        trainer.optimizers[player].step()
        for parameter in parameters:
            parameter.grad = None


def _log(trainer: Any, player: str, loss: torch.Tensor, values: list[Any], shown: int) -> None:
    report = {f"loss/{player}": loss.detach()}
    report.update({name: tensor.detach().float().mean() for value in values for name, tensor in value.report.items()})
    trainer.tally.add(report, shown)
    if trainer.device.type == "cpu":
        trainer.tally.check_finite()


def _draws(trainer: Any, purpose: str, stage: Any, shown: int) -> Any:
    from ganlab.randomness import Streams
    from ganlab.train.draws import draw_pass

    return draw_pass(
        getattr(trainer, "_streams", None) or Streams(trainer.recipe.run.seed),  # older commits keep none
        purpose,
        shown,
        minibatch=stage.minibatch,
        latent_size=trainer.players.generator.latent_size,
        noise_channels=trainer.players.discriminator.noise_channels(stage.resolution),
        device=trainer.device,
    )
