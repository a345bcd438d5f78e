"""The memory of every level is known before training, and what cannot fit is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ganlab.errors import TrainingFailed
from ganlab.interfaces import ImageShape
from ganlab.recipe import LoadedRecipe, load_recipe
from ganlab.train import memory

from .tiny import RECIPES, tiny


def levels_of(loaded: LoadedRecipe) -> list[memory.LevelMemory]:
    recipe = loaded.recipe
    schedule = recipe.schedule.build(
        resolution=recipe.data.resolution, total_images=recipe.run.images, learning_rate=0.001
    )
    return memory.level_memory(recipe, schedule, ImageShape(3, recipe.data.resolution), torch.device("cpu"))


def test_every_level_is_estimated_and_a_larger_minibatch_needs_more(tmp_path: Path) -> None:
    small = levels_of(tiny(tmp_path))
    large = levels_of(tiny(tmp_path, "schedule.minibatch=32"))
    assert [level.stage.resolution for level in small] == [4, 8, 16]
    for one, other in zip(small, large, strict=True):
        assert other.peak_bytes > one.peak_bytes


def test_the_estimate_holds_what_must_be_there(tmp_path: Path) -> None:
    loaded = tiny(tmp_path)
    images = ImageShape(3, 16)
    sizes = [
        sum(parameter.numel() * 4 for parameter in network.build(images).parameters())
        for network in (loaded.recipe.generator, loaded.recipe.discriminator)
    ]
    # Generator, its average, discriminator, and two moments for every parameter.
    least = 2 * sizes[0] + sizes[1] + 2 * sum(sizes)
    finest = levels_of(loaded)[-1].peak_bytes
    assert least <= finest < 50 * least


def test_the_paper_s_network_is_estimated_without_allocating_it() -> None:
    # Only the finest levels: the estimate of all nine takes a while.
    loaded = load_recipe(RECIPES / "pggan-celebahq-1024.toml", ["schedule={name='fixed', minibatch=3}"])
    levels = levels_of(loaded)
    assert [str(level).split(":")[0] for level in levels] == ["1024x1024 minibatch 3"]
    assert 2 * 2**30 < levels[0].peak_bytes < 20 * 2**30


def test_bfloat16_needs_less(tmp_path: Path) -> None:
    full, half = levels_of(tiny(tmp_path)), levels_of(tiny(tmp_path, "run.precision=bfloat16"))
    assert half[-1].peak_bytes < full[-1].peak_bytes


@pytest.mark.parametrize(
    "override",
    [
        "discriminator.weight_scaling=spectral",
        "discriminator.stddev=minibatch-discrimination",
        "discriminator.weight_scaling={name='equalized', scale='measured'}",
        "discriminator.noise=multiplicative-noise",
        "generator.normalization=batch",
        "regularizers=['r1']",
        "loss=lsgan",
    ],
)
def test_every_kind_of_component_can_be_estimated(tmp_path: Path, override: str) -> None:
    assert len(levels_of(tiny(tmp_path, override))) == 3


def test_a_level_that_cannot_fit_is_refused_with_what_to_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels = levels_of(tiny(tmp_path))
    monkeypatch.setattr(memory, "free_bytes", lambda device: levels[-1].peak_bytes)
    with pytest.raises(TrainingFailed, match=r"16x16 minibatch 8: .* set schedule\.minibatches\.16 lower"):
        memory.refuse_what_cannot_fit(levels, torch.device("cpu"))
    monkeypatch.setattr(memory, "free_bytes", lambda device: None)
    memory.refuse_what_cannot_fit(levels, torch.device("cpu"))


def test_free_memory_of_this_machine_is_known() -> None:
    free = memory.free_bytes(torch.device("cpu"))
    assert free is None or 2**20 < free < 2**50
