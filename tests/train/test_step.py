"""A step takes the gradients it should, in the layout optimizers need, however it is worked out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
import torch

from ganlab.errors import GanlabError
from ganlab.interfaces import DiscriminatorPass, GeneratorPass, ImageShape, LossValue
from ganlab.modules import AdversarialLossBase
from ganlab.randomness import Streams
from ganlab.train.critics import Level
from ganlab.train.devices import autocast
from ganlab.train.draws import draw_pass
from ganlab.train.memory import level_memory
from ganlab.train.outcome import Outcome
from ganlab.train.players import Players, build_players
from ganlab.train.step import (
    Passes,
    compiled_passes,
    discriminator_step,
    generator_step,
    joint_step,
)

from .tiny import tiny

IMAGES = ImageShape(3, 16)
CPU = torch.device("cpu")


def setup(folder: Path, *overrides: str) -> tuple[Players, torch.Tensor, object, Level]:
    players = build_players(tiny(folder, *overrides).recipe, IMAGES, "cpu")
    reals = torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    draws = draw_pass(Streams(1), "discriminator", 0, minibatch=8, latent_size=8, noise_channels=(), device=CPU)
    return players, reals, draws, Level(8, torch.tensor(0.5), 2)


@pytest.mark.parametrize("step", [discriminator_step, generator_step])
@pytest.mark.parametrize("regularizing", [False, True])
def test_a_term_that_is_no_loss_value_is_named_with_whose_it_is(
    tmp_path: Path, regularizing: bool, step: Callable[..., Outcome]
) -> None:
    class Bare(AdversarialLossBase):
        def discriminator(self, batch: DiscriminatorPass) -> LossValue:
            return batch.fake.scores.mean()  # type: ignore[return-value]  # the mistake

        def generator(self, batch: GeneratorPass) -> LossValue:
            return batch.fake.scores.mean()  # type: ignore[return-value]  # the mistake

    players, reals, draws, level = setup(tmp_path)
    wrong = {"regularizers": (Bare(),)} if regularizing else {"loss": Bare()}
    players = attrs.evolve(players, pairs=(attrs.evolve(players.pairs[0], **wrong),))
    with pytest.raises(GanlabError, match=r"Bare in .*test_step\.py returned Tensor; expected ganlab"):
        step(players, reals, None, draws, level, autocast(CPU, "float32"))


def test_gradients_have_their_parameters_layout(tmp_path: Path) -> None:
    players, reals, draws, level = setup(tmp_path)
    for step, network in ((discriminator_step, players.discriminator), (generator_step, players.generator)):
        outcome = step(players, reals, None, draws, level, autocast(torch.device("cpu"), "float32"))  # type: ignore[arg-type]  # a Draws
        found = 0
        for parameter, gradient in zip(network.parameters(), outcome.gradients, strict=True):
            if gradient is not None:
                assert gradient.stride() == parameter.stride()
                found += 1
        assert found > 6


def test_a_level_that_is_not_used_gets_no_gradient(tmp_path: Path) -> None:
    players, reals, draws, level = setup(tmp_path)
    outcome = generator_step(players, reals, None, draws, level, autocast(torch.device("cpu"), "float32"))  # type: ignore[arg-type]  # a Draws
    names = [name for name, _ in players.generator.named_parameters()]
    without = {name for name, gradient in zip(names, outcome.gradients, strict=True) if gradient is None}
    assert without == {name for name in names if "16x16" in name}


def test_updating_together_takes_both_gradients_before_either_update(tmp_path: Path) -> None:
    players, reals, draws, level = setup(tmp_path)
    plain = autocast(torch.device("cpu"), "float32")
    ours, theirs = joint_step(players, reals, None, draws, level, plain)  # type: ignore[arg-type]  # a Draws
    alone = discriminator_step(players, reals, None, draws, level, plain)  # type: ignore[arg-type]  # a Draws
    other = generator_step(players, reals, None, draws, level, plain)  # type: ignore[arg-type]  # a Draws
    for one, same in ((ours, alone), (theirs, other)):
        assert torch.equal(one.loss, same.loss)
        for a, b in zip(one.gradients, same.gradients, strict=True):
            assert (a is None and b is None) or torch.allclose(a, b, atol=1e-6)  # type: ignore[arg-type]  # both are tensors here


VARIANTS = {
    "wgan-gp": (),
    "groups": ("discriminator.stddev={name='minibatch-stddev', averaging='spatial', group_size=2}",),
    "noise": ("loss=lsgan", "discriminator.noise='multiplicative-noise'"),
    "of-images": ("discriminator.stddev_of='images'",),
    "discrimination": ("discriminator.discrimination='minibatch-discrimination'",),
    "r1": ("loss=non-saturating", "regularizers=['r1']"),
    "separate": ("generator.fused_scale=false", "discriminator.fused_scale=false"),
}
"""Overrides that change what a discriminator pass has to keep apart or share."""


def outcomes(players: Players, reals: torch.Tensor, level: Level, passes: Passes | None = None) -> list[Outcome]:
    """Of a step of each player, noise included."""
    noise = players.discriminator.noise_channels(8)
    draws = draw_pass(Streams(1), "discriminator", 0, minibatch=8, latent_size=8, noise_channels=noise, device=CPU)
    arguments = (players, reals, None, draws, level, autocast(CPU, "float32"), None, passes)
    return [discriminator_step(*arguments), generator_step(*arguments)]


def assert_same(ours: list[Outcome], theirs: list[Outcome], tolerance: float = 2e-5) -> None:
    """Losses, reports and gradients agree to rounding; a gradient of None counts as zeros."""
    for one, other in zip(ours, theirs, strict=True):
        assert one.report.keys() == other.report.keys()
        for name, value in one.report.items():
            torch.testing.assert_close(value, other.report[name], rtol=tolerance, atol=tolerance)
        for a, b in zip(one.gradients, other.gradients, strict=True):
            given = a if a is not None else b
            if given is not None:
                a, b = (torch.zeros_like(given) if g is None else g for g in (a, b))  # noqa: PLW2901 - both as tensors
                torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance * (1 + float(b.abs().max())))


def with_strength(players: Players) -> Players:
    """So that noise, where there is any, does something."""
    loss = players.pairs[0].loss
    if hasattr(loss, "noise"):
        loss.noise.strength.fill_(0.3)
    return players


@pytest.mark.parametrize("variant", VARIANTS)
def test_reals_and_fakes_in_one_pass_give_what_two_passes_give(tmp_path: Path, variant: str) -> None:
    players, reals, _, level = setup(tmp_path, *VARIANTS[variant])
    with_strength(players)
    (pair,) = players.pairs
    assert pair.joins_passes
    apart = attrs.evolve(players, pairs=(attrs.evolve(pair, joins_passes=False),))
    assert_same(outcomes(players, reals, level), outcomes(apart, reals, level))


def test_batch_normalization_keeps_passes_apart(tmp_path: Path) -> None:
    players, *_ = setup(tmp_path, "discriminator.normalization=batch")
    assert not players.pairs[0].joins_passes


@pytest.mark.parametrize("variant", VARIANTS)
def test_weights_held_for_a_step_give_what_weights_worked_out_each_time_give(tmp_path: Path, variant: str) -> None:
    players, reals, _, level = setup(tmp_path, *VARIANTS[variant])
    with_strength(players)
    lists = {name: attrs.evolve(found, holders=()) for name, found in players.lists.items()}
    assert players.lists["discriminator"].holders
    assert_same(outcomes(players, reals, level), outcomes(attrs.evolve(players, lists=lists), reals, level))


def test_weights_are_not_held_beyond_a_step(tmp_path: Path) -> None:
    players, reals, _, level = setup(tmp_path)
    before = outcomes(players, reals, level)
    with torch.no_grad():
        for parameter in players.discriminator.parameters():
            parameter.mul_(1.1)
    after = outcomes(players, reals, level)
    assert not torch.equal(before[0].loss, after[0].loss)
    assert not torch.equal(before[1].loss, after[1].loss)


@pytest.mark.parametrize("variant", VARIANTS)
def test_recomputed_activations_give_the_same_bits(tmp_path: Path, variant: str) -> None:
    players, reals, _, level = setup(tmp_path / "a", *VARIANTS[variant])
    again, *_ = setup(tmp_path / "b", *VARIANTS[variant], "run.recompute_from=8")
    recomputed = [m for m in again.discriminator.modules() if getattr(m, "recomputed", False)]
    assert [m.resolution for m in recomputed] == [16, 8]
    for one, other in zip(
        outcomes(with_strength(players), reals, level), outcomes(with_strength(again), reals, level), strict=True
    ):
        assert torch.equal(one.loss, other.loss)
        for a, b in zip(one.gradients, other.gradients, strict=True):
            assert (a is None and b is None) or torch.equal(a, b)  # type: ignore[arg-type]  # both are tensors here


def test_recomputing_needs_less_memory_by_the_estimate_too(tmp_path: Path) -> None:
    peaks = []
    for start in (0, 8):
        recipe = tiny(tmp_path, f"run.recompute_from={start}").recipe
        schedule = recipe.schedule.build(resolution=16, total_images=400, learning_rate=0.001)
        peaks.append(max(level.peak_bytes for level in level_memory(recipe, schedule, IMAGES, CPU)))
    assert peaks[1] < 0.9 * peaks[0]


def test_recomputing_is_refused_where_a_pass_would_count_twice(tmp_path: Path) -> None:
    with pytest.raises(GanlabError, match=r"run\.recompute_from: the generator has layers that follow statistics"):
        setup(tmp_path, "generator.normalization=batch", "run.recompute_from=8")


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["wgan-gp", "noise"])
def test_a_compiled_step_gives_the_same_numbers_in_one_graph_for_any_fade(tmp_path: Path, variant: str) -> None:
    torch._dynamo.reset()
    players, reals, _, _ = setup(tmp_path, *VARIANTS[variant])
    with_strength(players)
    passes, counts = compiled_passes(), []
    for fade in (0.25, 0.75, 1.0):
        level = Level(8, torch.tensor(fade), 2)
        assert_same(outcomes(players, reals, level, passes), outcomes(players, reals, level))
        counts.append(torch._dynamo.utils.counters["stats"]["unique_graphs"])
    assert counts[0] >= 3
    assert counts == [counts[0]] * 3
