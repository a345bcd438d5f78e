"""R3GAN: the loss counts differences of scores only, the networks start as the paper says, without normalization."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from ganlab.errors import GanlabError
from ganlab.interfaces import ImageShape, Stage
from ganlab.recipe import load_recipe
from ganlab_losses.regularizers import R1, R2
from ganlab_r3gan.blocks import ResidualBlock, doubling, halving
from ganlab_r3gan.components import R3ganDiscriminator, R3ganGenerator, Relativistic

from ..train.tiny import RECIPES, assert_equal_runs, train_all, train_in_pieces
from .networks import build, normal
from .passes import SmallCritic, discriminator_pass, generated, scored


def generator(**changes: Any) -> R3ganGenerator:
    settings: dict[str, Any] = {"widths": (16, 16, 8), "latent_size": 6}
    return R3ganGenerator(**(settings | changes))


def discriminator(**changes: Any) -> R3ganDiscriminator:
    settings: dict[str, Any] = {"widths": (16, 16, 8)}
    return R3ganDiscriminator(**(settings | changes))


def trained(component: Any, **settings: Any) -> Any:
    """A network whose blocks do something: every weight moved away from where it starts."""
    network = build(component, **settings)
    for number, weight in enumerate(network.parameters()):
        weight.data.add_(0.1 * normal(*weight.shape, seed=number))
    return network


# The loss


def test_the_loss_is_softplus_of_the_difference_of_a_pair() -> None:
    batch = scored([1.5, -2.0], [0.5, 3.0])
    loss = Relativistic().build()
    expected = [math.log1p(math.exp(-1.0)), math.log1p(math.exp(5.0))]
    assert loss.discriminator(batch).per_sample.tolist() == pytest.approx(expected, rel=1e-6)
    shifted = scored([101.5, 98.0], [100.5, 103.0])
    assert loss.discriminator(shifted).per_sample.tolist() == pytest.approx(expected, rel=1e-5)


def test_the_generators_loss_is_the_discriminators_with_the_players_exchanged() -> None:
    batch = discriminator_pass(SmallCritic())
    value = Relativistic().build().generator(generated(batch))
    expected = F.softplus(batch.critic(batch.reals, "reals").scores - batch.critic(batch.fakes, "fakes").scores)
    torch.testing.assert_close(value.per_sample, expected)


def test_the_generator_learns_through_its_fakes_alone() -> None:
    batch = discriminator_pass(SmallCritic())
    reals, fakes = batch.reals.clone().requires_grad_(), batch.fakes.clone().requires_grad_()
    judged = batch._replace(reals=reals, fakes=fakes, fake=batch.critic(fakes, "fakes"))
    loss = Relativistic().build().generator(generated(judged)).per_sample.mean()
    of_reals, of_fakes = torch.autograd.grad(loss, (reals, fakes), allow_unused=True)
    assert of_reals is None
    assert of_fakes.abs().max() > 0


def test_the_loss_is_finite_and_in_float32_whatever_the_scores() -> None:
    low = scored([-1e4, 1e4], [1e4, -1e4])
    half = low._replace(
        real=low.real._replace(scores=low.real.scores.bfloat16()),
        fake=low.fake._replace(scores=low.fake.scores.bfloat16()),
    )
    rows = Relativistic().build().discriminator(half).per_sample
    assert rows.dtype == torch.float32
    assert torch.isfinite(rows).all()
    assert rows[1] == 0


# Resampling


def test_doubling_is_bilinear_and_halving_its_transpose() -> None:
    x = normal(2, 3, 6, 6)
    torch.testing.assert_close(doubling(6)(x), F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False))
    torch.testing.assert_close(halving(8)(torch.ones(1, 1, 8, 8)), torch.ones(1, 1, 4, 4))
    torch.testing.assert_close(halving(12).taps[1:-1], doubling(6).taps.T[1:-1] / 2)


# Networks


@pytest.mark.parametrize("label_size", [0, 3])
@pytest.mark.parametrize("resolution", [4, 8, 16])
def test_shapes(resolution: int, label_size: int) -> None:
    g = trained(generator(), resolution=resolution, label_size=label_size)
    d = trained(discriminator(), resolution=resolution, label_size=label_size)
    labels = torch.eye(3)[[0, 1, 2, 0]] if label_size else None
    images = g(normal(4, 6), labels, resolution=resolution)
    assert images.shape == (4, 3, resolution, resolution)
    critique = d(images)
    assert critique.scores.shape == (4,)
    assert critique.label_logits is None if not label_size else critique.label_logits.shape == (4, 3)
    assert list(d.noise_channels(resolution)) == []


def test_labels_change_the_image_and_must_be_given() -> None:
    g = trained(generator(), label_size=3)
    latents = normal(1, 6)
    one, other = (g(latents, torch.eye(3)[[k]], resolution=16) for k in (0, 1))
    assert not torch.allclose(one, other)
    with pytest.raises(ValueError, match=r"needs labels \[N, 3\]"):
        g(latents, resolution=16)


def test_at_the_start_every_residual_block_adds_nothing() -> None:
    for network in (build(generator(), biases=0.0), build(discriminator(), biases=0.0)):
        blocks = [module for module in network.modules() if isinstance(module, ResidualBlock)]
        assert len(blocks) == 6
        for block in blocks:
            x = normal(2, block.expand.weight.shape[1], 4, 4)
            assert torch.equal(block(x), x)


def test_the_other_layers_of_a_block_start_smaller_the_deeper_the_network() -> None:
    for blocks, depth in (((1,), 3), ((2, 3), 8)):
        g = build(R3ganGenerator(widths=(256, 64, 64), blocks=blocks), biases=0.0)
        block = g.levels[0].blocks[0]
        he = math.sqrt(2 / (1 + 0.2**2)) * depth**-0.25
        assert block.expand.weight.std().item() == pytest.approx(he / math.sqrt(256), rel=0.02)
        assert block.mix.weight.std().item() == pytest.approx(he / math.sqrt(16 * 9), rel=0.02)


def test_the_defaults_are_the_published_256_model() -> None:
    with torch.device("meta"):
        networks = [component.build(ImageShape(3, 256)) for component in (R3ganGenerator(), R3ganDiscriminator())]
    for network in networks:
        blocks = [module for module in network.modules() if isinstance(module, ResidualBlock)]
        assert len(blocks) == 14
        assert sorted({block.mix.groups for block in blocks}) == [12, 24, 48, 96]
        assert {tuple(block.mix.weight.shape[1:]) for block in blocks} == {(16, 3, 3)}
        assert 20e6 < sum(weight.numel() for weight in network.parameters()) < 30e6


def test_no_sample_acts_on_another() -> None:
    d = trained(discriminator())
    images = normal(5, 3, 16, 16)
    torch.testing.assert_close(d(images).scores[2:3], d(images[2:3]).scores)


def test_both_penalties_reach_every_weight_of_the_discriminator() -> None:
    d = trained(discriminator(), resolution=8)
    critic = lambda images, draw: d(images)  # noqa: E731 - a critic in one line
    reals, fakes = normal(4, 3, 8, 8), normal(4, 3, 8, 8, seed=1)
    batch = scored([0.0] * 4, [0.0] * 4)._replace(critic=critic, reals=reals, fakes=fakes)
    terms = [term.build().discriminator(batch) for term in (R1(gamma=2.0), R2(gamma=2.0))]
    sum(term.per_sample.mean() for term in terms).backward()  # type: ignore[union-attr]  # each has a value
    for name, weight in d.named_parameters():
        assert weight.grad is not None, name
        assert torch.isfinite(weight.grad).all(), name
        assert name.endswith("bias") or weight.grad.abs().max() > 0, name  # slopes do not change with a bias


def test_second_derivatives_are_right() -> None:
    block = ResidualBlock(4, 2, expansion=2, leaky_slope=0.2, depth=1).double()
    for number, weight in enumerate(block.parameters()):
        weight.data = normal(*weight.shape, seed=number, dtype=torch.float64)
    x = normal(1, 4, 4, 4, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: halving(8).double()(block(doubling(4).double()(x))), (x,))


def test_memory_format_and_half_precision_make_no_great_difference() -> None:
    d, g = trained(discriminator()), trained(generator())
    images = normal(4, 3, 16, 16)
    scores = d(images).scores
    torch.testing.assert_close(d(images.contiguous(memory_format=torch.channels_last)).scores, scores)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert d(images).scores.dtype == torch.float32
        torch.testing.assert_close(d(images).scores, scores, rtol=0.1, atol=0.1)
        assert g(normal(4, 6), resolution=16).dtype == torch.float32


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"widths": (16, 16)}, r"widths: \[16, 16\] ends at 8x8; add one for 16x16"),
        ({"cardinality": (2, 2)}, "cardinality: .* has no number for 16x16"),
        ({"cardinality": (2, 2, 3)}, "cardinality: 3 groups do not divide the 8 x 2 channels"),
        ({"widths": (16, 16, 27)}, "ok"),
        ({"widths": (16, 16, 28), "expansion": 1}, "widths: 3 groups do not divide the 28 x 1 channels"),
    ],
)
def test_widths_and_groups_that_do_not_work_are_refused_at_load(changes: dict[str, Any], says: str) -> None:
    component = discriminator(**changes)
    if says == "ok":
        component.check_run(resolution=16, stages=[])
        return
    with pytest.raises(GanlabError, match=says):
        component.check_run(resolution=16, stages=[])


def test_growth_is_refused() -> None:
    stage = Stage(8, 1.0, 8, 1e-3, 1e-3, 100)
    with pytest.raises(ValueError, match="works at 16x16 only, without growth"):
        generator().check_run(resolution=16, stages=[stage])
    with pytest.raises(GanlabError, match="16x16 only"):
        trained(generator())(normal(1, 6), resolution=8)
    with pytest.raises(GanlabError, match="16x16 only"):
        trained(discriminator())(normal(1, 3, 8, 8))


def test_the_recipe_refuses_a_schedule_that_grows() -> None:
    with pytest.raises(GanlabError, match="set schedule = 'fixed'"):
        load_recipe(RECIPES / "r3gan.toml", ["schedule=progressive"])


def test_a_run_in_pieces_equals_one_without_stops(tmp_path: Path) -> None:
    small = ["generator.widths=[8,8]", "generator.latent_size=8", "discriminator.widths=[8,8]", "data.resolution=8"]
    short = ["run.images=128", "run.threads=1", "run.check_memory=false", "schedule.tick_images=32", "metrics=[]"]
    track = ["track.mlflow=false", "track.samples=4", "track.checkpoint_every_ticks=1"]
    loaded = load_recipe(RECIPES / "r3gan.toml", [*small, *short, *track])
    whole = train_all(loaded, tmp_path / "whole")
    assert_equal_runs(train_in_pieces(loaded, tmp_path / "pieces", [40, 90]), whole)
