"""Initial weights depend on the seed and on a module's own name only, so that variants share what they can."""

from __future__ import annotations

from pathlib import Path

import torch

from ganlab.interfaces import ImageShape
from ganlab.train.players import Players, build_players

from .tiny import tiny

IMAGES = ImageShape(3, 16)


def players(folder: Path, *overrides: str) -> Players:
    return build_players(tiny(folder, *overrides).recipe, IMAGES, "cpu")


def test_equal_seeds_give_equal_weights_and_others_give_others(tmp_path: Path) -> None:
    one, same = players(tmp_path), players(tmp_path)
    other = players(tmp_path, "run.seed=4")
    for name, value in one.generator.state_dict().items():
        assert torch.equal(value, same.generator.state_dict()[name])
    assert not torch.equal(one.generator.blocks["4x4"].conv.weight, other.generator.blocks["4x4"].conv.weight)


def test_a_variant_shares_every_weight_of_equal_name_and_shape(tmp_path: Path) -> None:
    one = players(tmp_path).discriminator.state_dict()
    other = players(tmp_path, "discriminator.stddev=none", "loss=lsgan").discriminator.state_dict()
    shared = [name for name in one if name in other and one[name].shape == other[name].shape]
    assert len(shared) >= len(one) - 1
    for name in shared:
        assert torch.equal(one[name], other[name]), name


def test_the_average_starts_as_the_generator_and_is_not_trained(tmp_path: Path) -> None:
    built = players(tmp_path)
    for name, value in built.generator.state_dict().items():
        assert torch.equal(value, built.averaged.state_dict()[name])
    assert not any(parameter.requires_grad for parameter in built.averaged.parameters())
    assert not built.averaged.training


def test_building_does_not_touch_torch_s_own_generator(tmp_path: Path) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    players(tmp_path)
    assert torch.equal(before, torch.get_rng_state())
