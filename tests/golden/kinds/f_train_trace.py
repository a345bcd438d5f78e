"""Optimizer steps of the TensorFlow program, repeated with the trainer's own step, optimizer and averaging.

The trace shows images at full resolution. Training here works at the level's own resolution, so the reals are averaged
down first, and the penalty is told by how much (`Level.enlargement`).
"""

from __future__ import annotations

import contextlib
import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ganlab.train.average import average_
from ganlab.train.critics import Level
from ganlab.train.draws import Draws
from ganlab.train.outcome import Outcome
from ganlab.train.players import Players, one_pair
from ganlab.train.step import discriminator_step, generator_step
from ganlab_layers.resampling import downscale
from ganlab_losses.wasserstein import WganGp
from ganlab_networks.tf_names import load_tf_variables, tf_variables
from ganlab_optimizers.adam import Adam

from ._tf_networks import build, level

if TYPE_CHECKING:
    from ..golden import Case

WEIGHT_TOLERANCE = 5e-6
BADLY_CONDITIONED = 1e-6
"""Just after a clearing a step is lr * g / (|g| + 1e-7); an entry with a smaller gradient may be off by up to lr."""


def check(case: Case) -> None:
    """Every step of one file."""
    pair = build(case.config["network"], case.under("G.w0/"), case.under("D.w0/"))
    averaged = copy.deepcopy(pair.generator).requires_grad_(False)
    load_tf_variables(averaged, case.under("Gs.w0/"))
    adam = case.config["adam"]
    optimizers = {
        player: Adam(beta1=adam["beta1"], beta2=adam["beta2"], epsilon=adam["epsilon"]).build(network.parameters())
        for player, network in (("G", pair.generator), ("D", pair.discriminator))
    }
    players = one_pair(pair.generator, pair.discriminator, averaged, WganGp().build())
    lods, rates, clearings = case["plan.lod"], case["plan.lrate"], case["plan.reset_before"]
    for number, (lod, rate, clear) in enumerate(zip(lods, rates, clearings, strict=True)):
        _check_step(case, f"step{number}", players, optimizers, float(lod), float(rate), bool(clear))


def _check_step(
    case: Case, step: str, players: Players, optimizers: dict[str, Any], lod: float, rate: float, clear: bool
) -> None:
    for optimizer in optimizers.values():
        if clear:
            optimizer.state.clear()
        for group in optimizer.param_groups:
            group["lr"] = rate
    full = players.generator.resolutions[-1]
    resolution, fade = level(full, lod)
    here = Level(resolution, torch.tensor(fade) if fade < 1 else None, full // resolution)
    reals = downscale(torch.from_numpy(case[f"{step}.in.reals"]), here.enlargement)

    labels, draws = _draws(case, step, "D")
    outcome = discriminator_step(players, reals, labels, draws, here, contextlib.nullcontext)
    case.expect(f"{step}.D_loss_mean_before", outcome.loss)
    _update(players.discriminator, optimizers["D"], outcome)
    average_(players.averaged, players.generator, case.config["G_smoothing"])
    _expect_weights(case, f"{step}.D.w/", players.discriminator, rate, clear)
    _expect_weights(case, f"{step}.Gs.w/", players.averaged, 0.0, clear=False)
    case.expect(f"{step}.Gs.lod", np.float32(lod))

    labels, draws = _draws(case, step, "G")
    outcome = generator_step(players, reals, labels, draws, here, contextlib.nullcontext)
    case.expect(f"{step}.G_loss_mean_before", outcome.loss)
    _update(players.generator, optimizers["G"], outcome)
    _expect_weights(case, f"{step}.G.w/", players.generator, rate, clear)


def _draws(case: Case, step: str, player: str) -> tuple[torch.Tensor | None, Draws]:
    labels = torch.from_numpy(case[f"{step}.in.{player}_labels"])
    draws = Draws(
        latents=torch.from_numpy(case[f"{step}.in.{player}_latents"]),
        noise={"reals": (), "fakes": (), "mixed": ()},
        uniform={"mixing": torch.from_numpy(case[f"{step}.in.mixing_factors"])},
    )
    return labels if labels.shape[1] else None, draws


def _update(network: Any, optimizer: Any, outcome: Outcome) -> None:
    for parameter, gradient in zip(network.parameters(), outcome.gradients, strict=True):
        parameter.grad = gradient
    optimizer.step()


def _expect_weights(case: Case, prefix: str, network: Any, rate: float, clear: bool) -> None:
    """Weights within the tolerance, but for a few entries in a thousand just after a clearing, off by up to `rate`."""
    ours = tf_variables(network)
    assert set(ours) == {key.removeprefix(prefix) for key in case.keys_under(prefix)} - {"lod"}
    off = count = 0
    for name, value in ours.items():
        difference = np.abs(value - case[prefix + name])
        outside = difference > WEIGHT_TOLERANCE
        assert difference.max() <= (rate if clear and rate else 0.0) + WEIGHT_TOLERANCE, (
            f"{case.file_name}: {prefix}{name}"
        )
        off, count = off + int(outside.sum()), count + outside.size
        case.compared += 1
    assert off <= 0.003 * count, f"{case.file_name}: {prefix}: {off} of {count} weights differ"
