"""The Laplacian pyramid: levels that learn alone, on real coarser images, and the chain that samples run through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ganlab.errors import GanlabError, RecipeError
from ganlab.interfaces import ImageShape, Stage
from ganlab.recipe import load_recipe
from ganlab_lapgan.components import LapganBaseGenerator, LapganDiscriminator, LapganRefiner, LaplacianPyramid
from ganlab_layers.resampling import downscale, upscale
from ganlab_normalizations.scaling_components import NoScaling

from ..train.tiny import RECIPES, assert_equal_runs, train_all, train_in_pieces
from .networks import build, initialize, normal

SMALL: dict[str, Any] = {"weight_scaling": NoScaling()}
IMAGES = ImageShape(channels=3, resolution=16)


def base() -> LapganBaseGenerator:
    return LapganBaseGenerator(latent_size=6, width=12, **SMALL)


def refiner() -> LapganRefiner:
    return LapganRefiner(width=5, kernel_size=3, **SMALL)


def discriminator(**changes: Any) -> LapganDiscriminator:
    return LapganDiscriminator(**({"dense_width": 10, "width": 4, "dense_resolution": 4} | SMALL | changes))


def pyramid() -> tuple[Any, Any]:
    """A system 4 -> 8 -> 16 and its generators."""
    system: Any = LaplacianPyramid(base=base(), base_resolution=4).build(IMAGES)
    return system, initialize(system.generators(refiner()), biases=0.1)


def play(system: Any, generators: Any, reals: Tensor, latents: Tensor) -> Any:
    return system.play(generators, latents, None, reals, resolution=16, fade=None, learning=True)


def test_every_level_is_a_pair_named_by_its_resolution() -> None:
    system, generators = pyramid()
    assert tuple(system.pairs) == ("4", "8", "16")
    assert generators.latent_size == 6 + 8 * 8 + 16 * 16
    discriminators = initialize(system.discriminators(discriminator()))
    matches = play(system, generators, normal(3, 3, 16, 16), normal(3, generators.latent_size)).matches
    assert list(matches) == ["4", "8", "16"]
    for pair, match in matches.items():
        size = int(pair)
        assert match.reals.shape == match.fakes.shape == (3, 3, size, size)
        assert system.discriminator(discriminators, pair)(match.fakes).scores.shape == (3,)


def test_reals_are_averaged_down_and_detail_is_added_to_coarser_reals() -> None:
    system, generators = pyramid()
    reals, latents = normal(3, 3, 16, 16), normal(3, generators.latent_size)
    matches = play(system, generators, reals, latents).matches
    torch.testing.assert_close(matches["16"].reals, reals)
    torch.testing.assert_close(matches["4"].reals, downscale(reals, 4))
    coarse = downscale(reals)
    torch.testing.assert_close(matches["8"].reals, coarse)
    doubled = upscale(coarse)
    detail = generators.refiners["16"](doubled, latents[:, 6 + 64 :])
    torch.testing.assert_close(matches["16"].fakes, doubled + detail)
    torch.testing.assert_close(matches["4"].fakes, generators.base(latents[:, :6], resolution=4))


@pytest.mark.parametrize("pair", ["4", "8", "16"])
def test_no_level_has_gradients_to_another(pair: str) -> None:
    system, generators = pyramid()
    match = play(system, generators, normal(3, 3, 16, 16), normal(3, generators.latent_size)).matches[pair]
    names, parameters = zip(*generators.named_parameters(), strict=True)
    gradients = torch.autograd.grad(match.fakes.square().sum(), parameters, allow_unused=True)
    reached = {".".join(name.split(".")[:2]) for name, g in zip(names, gradients, strict=True) if g is not None}
    expected = {"base.hidden", "base.to_images"} if pair == "4" else {f"refiners.{pair}"}
    assert reached == expected


def test_samples_run_through_the_chain_each_level_with_its_own_latents() -> None:
    system, generators = pyramid()
    latents = normal(2, generators.latent_size)
    x = generators.base(latents[:, :6], resolution=4)
    shown = [upscale(x, 4)]
    for size, own in ((8, latents[:, 6:70]), (16, latents[:, 70:])):
        x = upscale(x)
        x = x + generators.refiners[str(size)](x, own)
        shown.append(upscale(x, 16 // size))
    at: dict[str, Any] = {"resolution": 16, "fade": None}
    torch.testing.assert_close(system.sample(generators, latents, None, None, **at), x)
    torch.testing.assert_close(system.show(generators, latents, None, None, **at), torch.stack(shown, 1))


def test_a_refiner_starts_near_the_doubled_image() -> None:
    images = normal(8, 3, 16, 16)
    detail = initialize(refiner().build(IMAGES))(images, normal(8, 256))
    assert 0.01 < detail.std() < 0.3


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("resolution", [4, 8, 32])
@pytest.mark.parametrize("dense_resolution", [4, 8])
def test_discriminators_judge_and_can_be_differentiated_twice(
    channels: int, resolution: int, dense_resolution: int
) -> None:
    network = build(discriminator(dense_resolution=dense_resolution, depth=3), channels=channels, resolution=resolution)
    images = normal(4, channels, resolution, resolution)
    gradient = torch.func.grad(lambda x: network(x).scores.sum())
    penalty = torch.autograd.grad(gradient(images).square().sum(), next(iter(network.parameters())))[0]
    assert torch.isfinite(penalty).all()
    assert penalty.abs().max() > 0
    torch.testing.assert_close(network(images, passes=2).scores, network(images).scores)
    is_dense = any(type(layer).__name__ == "Linear" for layer in network.layers)
    assert is_dense == (resolution <= dense_resolution)


def test_networks_work_under_bfloat16() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        images = build(base(), resolution=8)(normal(2, 6), resolution=8)
        refined = build(refiner(), resolution=8)(images, normal(2, 64))
        scores = build(discriminator(), resolution=8)(refined).scores
    assert (images.dtype, refined.dtype, scores.dtype) == (torch.float32,) * 3
    assert images.abs().max() < 1


def test_what_the_networks_do_not_have_is_refused() -> None:
    for component in (base(), refiner(), discriminator(), LaplacianPyramid(base=base(), base_resolution=4)):
        with pytest.raises(GanlabError, match=r"no labels; set data.labels to false"):
            component.build(ImageShape(channels=3, resolution=16, label_size=2))
    with pytest.raises(GanlabError, match="16x16 only"):
        build(discriminator())(normal(2, 3, 8, 8))
    with pytest.raises(GanlabError, match="16x16 only"):
        build(refiner())(normal(2, 3, 32, 32), normal(2, 1024))
    with pytest.raises(GanlabError, match="16x16 only"):
        build(base())(normal(2, 6), resolution=8)
    with pytest.raises(ValueError, match=r"latents \[N, 256\]"):
        build(refiner())(normal(2, 3, 16, 16))


@pytest.mark.parametrize("kernel_size", [4, 6])
def test_kernels_have_a_middle(kernel_size: int) -> None:
    for component in (LapganRefiner, LapganDiscriminator):
        with pytest.raises(ValueError, match="kernel_size: expected an odd number"):
            component(kernel_size=kernel_size)


def test_a_pyramid_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="base: this network is a discriminator; expected a generator"):
        LaplacianPyramid(base=discriminator())
    with pytest.raises(ValueError, match="power of two"):
        LaplacianPyramid(base=base(), base_resolution=6)
    system = LaplacianPyramid(base=base(), base_resolution=8)
    stage = Stage(16, 1.0, 8, 0.1, 0.1, 100)
    system.check_run(resolution=16, stages=[stage])
    with pytest.raises(ValueError, match="base_resolution: expected less than the run's 8, got 8"):
        system.check_run(resolution=8, stages=[stage])
    for other in (Stage(8, 1.0, 8, 0.1, 0.1, 100), Stage(16, 0.5, 8, 0.1, 0.1, 100)):
        with pytest.raises(ValueError, match='use the schedule "fixed"'):
            system.check_run(resolution=16, stages=[stage, other])


SHORT = (
    "run.images=96",
    "track.mlflow=false",
    "track.samples=4",
    "track.samples_every_ticks=1",
    "track.checkpoint_every_ticks=1",
    "schedule.minibatch=8",
    "schedule.tick_images=32",
    "system.base.width=8",
    "generator.width=4",
    "discriminator={width=4, dense_width=8}",
    "metrics=[{name='swd', count=16, patches_per_image=4}]",
)


def test_the_recipe_trains_and_a_resumed_run_is_the_same(tmp_path: Path) -> None:
    loaded = load_recipe(RECIPES / "lapgan.toml", SHORT)
    whole = train_all(loaded, tmp_path / "whole")
    assert_equal_runs(whole, train_in_pieces(loaded, tmp_path / "pieces", [32, 64]))
    journal = (whole.path / "metrics.jsonl").read_text()
    assert all(f'"{pair}/scores/real"' in journal for pair in (4, 8, 16))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("schedule=progressive", 'use the schedule "fixed"'),
        ("system.base_resolution=16", "base_resolution: expected less than the run's 16"),
        ("system.base=lapgan-refiner", "base: this network is a translator; expected a generator"),
        ("generator=pggan-generator", "this network is a generator; expected a translator"),
    ],
)
def test_a_wrong_recipe_is_refused_before_any_work(change: str, problem: str) -> None:
    with pytest.raises(RecipeError, match=problem):
        load_recipe(RECIPES / "lapgan.toml", [change])
