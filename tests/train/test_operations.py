"""The operations of a step are those of its convolutions and matrix products, as the algorithm in use does them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from ganlab.interfaces import ImageShape, Stage
from ganlab.recipe import load_recipe
from ganlab.train.rehearsal import Rehearsal
from ganlab.train.spans import spans
from ganlab_layers import wide, winograd
from ganlab_layers.convolution import Convolution

from .tiny import RECIPES, tiny

CPU = torch.device("cpu")


def stage(resolution: int, minibatch: int) -> Stage:
    return Stage(resolution, 1.0, minibatch, 0.001, 0.001, 1000)


def test_a_first_level_takes_what_one_counts_by_hand(tmp_path: Path) -> None:
    """4x4, width w: a generator pass has (16 w^2 + 144 w^2) multiply-adds, a discriminator pass about as many.

    Of the discriminator's update: a generator pass; reals and fakes 3 passes each (forward, two backward); the penalty
    6 (forward, the inner gradient, and both differentiated). Of the generator's: 3 of its own, and 2 of the
    discriminator, whose weights get no gradient. Together 4 and 14.
    """
    width, count = 64, 8
    loaded = tiny(
        tmp_path, "data.resolution=4", f"generator.widths=[{width}]", f"discriminator.widths=[{width}]",
        f"generator.latent_size={width}", "generator.fused_scale=false",
    )  # fmt: skip
    found = Rehearsal(loaded.recipe, ImageShape(3, 4), CPU).step(stage(4, count), faded=False).operations
    one_pass = 2 * count * (16 + 144) * width**2
    assert found == pytest.approx(18 * one_pass, rel=0.04)  # toRGB, fromRGB and the scores are the rest


def test_the_count_of_a_pass_without_inner_gradients_is_pytorch_s_own(tmp_path: Path) -> None:
    loaded = tiny(tmp_path, "loss=lsgan", "discriminator.noise=none")
    found = Rehearsal(loaded.recipe, ImageShape(3, 16), CPU).step(stage(16, 8), faded=False).operations
    images = ImageShape(3, 16)
    generator, discriminator = (loaded.recipe.generator.build(images), loaded.recipe.discriminator.build(images))
    latents, reals = torch.zeros(8, 8), torch.zeros(8, 3, 16, 16)
    with FlopCounterMode(display=False) as counter:
        with torch.no_grad():
            fakes = generator(latents, resolution=16)
        scores = [discriminator(shown).scores.sum() for shown in (reals, fakes)]
        (scores[0] + scores[1]).backward()
        discriminator.requires_grad_(False)
        discriminator(generator(latents, resolution=16)).scores.sum().backward()
    assert found == pytest.approx(
        counter.get_total_flops(), rel=0.01
    )  # a step may work out a weight once for two passes


def test_weight_gradients_take_as_many_in_every_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for ours, products in ((False, False), (True, False), (True, True)):
        monkeypatch.setattr(wide, "worthwhile", lambda x, weight, pixels, chosen=ours: chosen)
        monkeypatch.setattr(wide, "better_as_products", lambda small, chosen=products: chosen)
        monkeypatch.setattr(wide, "ROWS", 100)  # so that the second and later products are added to the first
        found.append(Rehearsal(tiny(tmp_path).recipe, ImageShape(3, 16), CPU).step(stage(16, 8)).operations)
    assert found[1:] == pytest.approx([found[0]] * 2, rel=1e-3)


@pytest.mark.parametrize(("fused", "least", "most"), [("true", 0.4, 0.6), ("false", 0.4, 0.55)])
def test_algorithms_in_use_take_fewer_in_wide_layers(
    fused: str, least: float, most: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    scaling = [f"{player}.fused_scale={fused}" for player in ("generator", "discriminator")]
    widths = [f"{player}.widths=[512, 512, 512]" for player in ("generator", "discriminator")]
    recipe = tiny(tmp_path, "run.precision=float32", *scaling, *widths).recipe
    found = Rehearsal(recipe, ImageShape(3, 16), CPU).step(stage(16, 8)).operations
    monkeypatch.setattr(winograd, "suits", lambda *_: False)
    monkeypatch.setattr(Convolution, "sums_pixels", lambda _: False)
    defined = Rehearsal(recipe, ImageShape(3, 16), CPU).step(stage(16, 8)).operations
    assert least < found / defined < most


def test_a_level_that_fades_in_and_more_discriminator_updates_take_more(tmp_path: Path) -> None:
    images = ImageShape(3, 16)
    once = Rehearsal(tiny(tmp_path).recipe, images, CPU)
    alone, fading = (once.step(stage(16, 8), faded=faded) for faded in (False, True))
    assert alone.operations < fading.operations < 1.2 * alone.operations
    assert alone.parameters < fading.parameters
    twice = Rehearsal(tiny(tmp_path, "updates.discriminator_steps=2").recipe, images, CPU).step(stage(16, 8))
    assert 1.5 * fading.operations < twice.operations < 2 * fading.operations
    assert twice.peak_bytes == fading.peak_bytes


def test_parts_of_a_minibatch_take_as_many_operations_and_less_memory(tmp_path: Path) -> None:
    rehearsal = Rehearsal(tiny(tmp_path).recipe, ImageShape(3, 16), CPU)
    whole, parts = rehearsal.step(stage(16, 64)), rehearsal.step(stage(16, 64), parts=4)
    assert parts.operations == pytest.approx(whole.operations, rel=0.01)
    assert parts.peak_bytes < 0.5 * whole.peak_bytes


@pytest.mark.parametrize(
    ("fused", "expected"), [pytest.param("false", 9.2e18, marks=pytest.mark.slow), ("true", 6.0e18)]
)
def test_the_schedule_for_1024(fused: str, expected: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """To 14 million images, of which 1.2 million at 1024x1024 when it has faded in, as convolutions are defined."""
    monkeypatch.setattr(winograd, "suits", lambda *_: False)
    monkeypatch.setattr(Convolution, "sums_pixels", lambda _: False)
    overrides = ["run.images=14_000_000", f"generator.fused_scale={fused}", f"discriminator.fused_scale={fused}"]
    recipe = load_recipe(RECIPES / "pggan-celebahq-1024.toml", overrides).recipe
    schedule = recipe.schedule.build(resolution=1024, total_images=recipe.run.images, learning_rate=0.001)
    rehearsal = Rehearsal(recipe, ImageShape(3, 1024), CPU)
    total = 0.0
    for span in spans(schedule, recipe.run.images):
        step = rehearsal.step(span.stage, faded=span.faded)
        total += step.operations / span.stage.minibatch * span.images
    assert total == pytest.approx(expected, rel=0.05)
