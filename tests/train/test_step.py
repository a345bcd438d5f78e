"""A step takes the gradients it should, in the layout optimizers need, in either precision."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ganlab.interfaces import ImageShape
from ganlab.train.devices import autocast
from ganlab.train.draws import draw_pass
from ganlab.train.players import Players, build_players
from ganlab.train.step import Level, discriminator_step, generator_step, joint_step

from .tiny import tiny

IMAGES = ImageShape(3, 16)


def setup(folder: Path, *overrides: str) -> tuple[Players, torch.Tensor, object, Level]:
    players = build_players(tiny(folder, *overrides).recipe, IMAGES, "cpu")
    reals = torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    draws = draw_pass(1, "discriminator", 0, minibatch=8, latent_size=8, noise_channels=(), device=torch.device("cpu"))
    return players, reals, draws, Level(8, torch.tensor(0.5), 2)


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


@pytest.mark.parametrize("loss", ["wgan-gp", "lsgan", "hinge"])
def test_bfloat16_finds_nearly_the_same_losses_in_float32(tmp_path: Path, loss: str) -> None:
    players, reals, draws, level = setup(tmp_path, f"loss={loss}")
    device = torch.device("cpu")
    full = discriminator_step(players, reals, None, draws, level, autocast(device, "float32"))  # type: ignore[arg-type]  # a Draws
    half = discriminator_step(players, reals, None, draws, level, autocast(device, "bfloat16"))  # type: ignore[arg-type]  # a Draws
    assert half.loss.dtype == torch.float32
    assert torch.isfinite(half.loss)
    assert half.loss == pytest.approx(full.loss.item(), rel=0.05, abs=0.05)
    assert all(g is None or g.dtype == torch.float32 for g in half.gradients)
