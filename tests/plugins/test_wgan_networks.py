from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from ganlab.errors import GanlabError
from ganlab.interfaces import ImageShape, Stage
from ganlab_normalizations.components import Batch, Layer, NoNormalization, Pixel
from ganlab_normalizations.scaling_components import Equalized
from ganlab_wgan.networks import WganGpCritic, WganGpGenerator
from ganlab_wgan.residual import Block, FirstBlock
from ganlab_wgan.start import UniformStart

from ..train.tiny import assert_equal_runs, tiny, train_all, train_in_pieces
from .networks import build, initialize, normal

SMALL: dict[str, Any] = {"width": 6, "weight_scaling": UniformStart()}


def generator(**changes: Any) -> WganGpGenerator:
    return WganGpGenerator(**SMALL | {"latent_size": 5, "normalization": Batch()} | changes)


def critic(**changes: Any) -> WganGpCritic:
    return WganGpCritic(**SMALL | {"normalization": NoNormalization()} | changes)


def block(resample: Any = None, normalization: Any = None) -> Any:
    made = Block(
        5,
        5,
        weight_scaling=UniformStart(),
        normalization=normalization or NoNormalization(),
        track_statistics=False,
        resample=resample,
    )
    return initialize(made, biases=0.1)


def convolved(x: torch.Tensor, layer: Any) -> torch.Tensor:
    return F.conv2d(x, layer.weight, layer.bias, padding=layer.weight.shape[2] // 2)


@pytest.mark.parametrize("resolution", [8, 16, 32])
def test_images_are_made_and_judged(resolution: int) -> None:
    g, d = build(generator(), resolution=resolution), build(critic(), resolution=resolution)
    images = g(normal(4, 5), resolution=resolution)
    assert images.shape == (4, 3, resolution, resolution)
    assert images.abs().max() < 1
    assert d(images).scores.shape == (4,)
    assert d(images).label_logits is None
    assert list(d.noise_channels(resolution)) == []


def test_at_32x32_both_are_those_of_the_paper() -> None:
    with torch.device("meta"):
        g = WganGpGenerator(normalization=Batch(), weight_scaling=UniformStart()).build(ImageShape(3, 32))
        d = WganGpCritic(normalization=NoNormalization(), weight_scaling=UniformStart()).build(ImageShape(3, 32))
    assert [b.resample for b in g.blocks] == ["up", "up", "up"]
    assert [b.resample for b in d.blocks] == ["down", None, None]
    assert g.project.weight.shape == (128 * 16, 128)
    assert d.scores.weight.shape == (1, 128)
    assert [b.shortcut is None for b in d.blocks] == [False, True, True]
    convolutions = [m for m in d.modules() if getattr(m, "weight", None) is not None and m.weight.ndim == 4]
    assert len(convolutions) == 8 + 2
    assert len([m for m in g.modules() if type(m).__name__ == "Batch"]) == 2 * 3 + 1


def test_a_block_computes_what_its_equations_say() -> None:
    x = normal(2, 5, 8, 8)
    plain = block()
    inner = convolved(F.relu(convolved(F.relu(x), plain.conv0)), plain.conv1)
    torch.testing.assert_close(plain(x), inner + x, atol=1e-5, rtol=1e-5)

    down = block("down")
    inner = F.avg_pool2d(convolved(F.relu(convolved(F.relu(x), down.conv0)), down.conv1), 2)
    around = F.avg_pool2d(convolved(x, down.shortcut), 2)
    torch.testing.assert_close(down(x), inner + around, atol=1e-5, rtol=1e-5)

    up = block("up")
    doubled = F.interpolate(F.relu(x), scale_factor=2, mode="nearest")
    inner = convolved(F.relu(convolved(doubled, up.conv0)), up.conv1)
    around = convolved(F.interpolate(x, scale_factor=2, mode="nearest"), up.shortcut)
    torch.testing.assert_close(up(x), inner + around, atol=1e-5, rtol=1e-5)

    first = initialize(FirstBlock(3, 5, weight_scaling=UniformStart()), biases=0.1)
    images = normal(2, 3, 8, 8)
    inner = F.avg_pool2d(convolved(F.relu(convolved(images, first.conv0)), first.conv1), 2)
    expected = inner + convolved(F.avg_pool2d(images, 2), first.shortcut)
    torch.testing.assert_close(first(images), expected, atol=1e-5, rtol=1e-5)


def test_normalizations_stand_where_they_ask_to() -> None:
    x = normal(4, 5, 4, 4)
    before = block(normalization=Layer()).before0
    torch.testing.assert_close(before(x), F.relu(before.normalization(x)))
    after = block(normalization=Pixel()).before0
    torch.testing.assert_close(after(x), after.normalization(F.relu(x)))
    assert block(normalization=Batch()).conv0.bias is None
    assert block(normalization=Pixel()).conv0.bias is not None


@pytest.mark.parametrize("scaling", [UniformStart(), Equalized()])
def test_weights_start_with_the_published_spread(scaling: Any) -> None:
    d = initialize(critic(width=48, weight_scaling=scaling).build(ImageShape(3, 16)))
    g = initialize(generator(width=48, latent_size=32, weight_scaling=scaling).build(ImageShape(3, 16)))
    expected = [
        (d.blocks[0].conv0, 4 / (48 * 9 + 48 * 9)),
        (d.first.conv0, 4 / (3 * 9 + 48 * 9)),
        (d.first.shortcut, 2 / (3 + 48)),
        (g.blocks[0].shortcut, 2 / (48 + 48)),
        (g.to_images, 2 / (48 * 9 + 3 * 9)),
        (g.project, 2 / (32 + 48 * 16)),
    ]
    for layer, variance in expected:
        weight = layer.weight * layer.scaling.scale
        assert weight.var().item() == pytest.approx(variance, rel=0.25)


def test_uniform_weights_stay_within_their_limit() -> None:
    scaling = UniformStart().build((100, 100), fan_in=100, gain=1.0)
    weight = scaling.initial(normal(100, 100))
    assert weight.abs().max() <= 3**0.5 / 10
    assert weight.std().item() == pytest.approx(0.1, rel=0.02)
    assert torch.equal(scaling(weight), weight)
    counts = torch.histc(weight, 4)
    assert (counts / counts.sum() - 0.25).abs().max() < 0.02


@pytest.mark.parametrize("normalization", [NoNormalization(), Layer()])
def test_the_critic_judges_each_sample_by_itself_and_is_twice_differentiable(normalization: Any) -> None:
    d = build(critic(normalization=normalization))
    assert d.joins_passes
    images = normal(4, 3, 16, 16)
    together = d(images, passes=2).scores
    torch.testing.assert_close(together, torch.cat([d(image[None]).scores for image in images]))
    gradient = torch.func.grad(lambda x: d(x).scores.sum())(images)
    penalty = (gradient.square().sum((1, 2, 3)).sqrt() - 1).square().sum()
    found = torch.autograd.grad(penalty, [p for n, p in d.named_parameters() if n.endswith("weight")])
    assert all(torch.isfinite(g).all() and g.abs().max() > 0 for g in found)


def test_batch_normalization_in_the_critic_keeps_passes_apart() -> None:
    assert not build(critic(normalization=Batch())).joins_passes


def test_labels_condition_both() -> None:
    g, d = build(generator(), label_size=3), build(critic(), label_size=3)
    images = g(normal(1, 5).repeat(3, 1), torch.eye(3), resolution=16)
    assert not torch.allclose(images[0], images[1])
    assert d(images).label_logits.shape == (3, 3)
    with pytest.raises(ValueError, match="needs labels"):
        g(normal(3, 5), resolution=16)


def test_bfloat16_gives_back_what_it_was_given() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        images = build(generator())(normal(8, 5), resolution=16)
        scores = build(critic())(images).scores
    assert images.dtype == scores.dtype == torch.float32
    torch.testing.assert_close(images, build(generator())(normal(8, 5), resolution=16), atol=0.1, rtol=0)


def test_growth_and_small_images_are_refused() -> None:
    for component in (generator(), critic()):
        component.check_run(resolution=16, stages=[Stage(16, 1.0, 8, 0.1, 0.1, 100)])
        with pytest.raises(ValueError, match=r'trains 8x8; set schedule to "fixed"'):
            component.check_run(resolution=16, stages=[Stage(8, 1.0, 8, 0.1, 0.1, 100)])
        with pytest.raises(ValueError, match="trains 16x16 fading in"):
            component.check_run(resolution=16, stages=[Stage(16, 0.5, 8, 0.1, 0.1, 100)])
        with pytest.raises(GanlabError, match="8x8 or more, not 4x4"):
            component.check_run(resolution=4, stages=[])
        with pytest.raises(GanlabError, match="8x8 or more"):
            build(component, resolution=4)
    with pytest.raises(GanlabError, match="16x16 only"):
        build(generator())(normal(4, 5), resolution=8)
    with pytest.raises(GanlabError, match="16x16 only"):
        build(critic())(normal(4, 3, 8, 8))


def test_training_resumes_bit_for_bit(tmp_path: Path) -> None:
    loaded = tiny(
        tmp_path,
        "run.images=160",
        "loss={name='wgan-gp', drift=0.0, norm_of='level'}",
        "updates.discriminator_steps=2",
        "generator={name='wgan-gp-generator', width=4, latent_size=8}",
        "discriminator={name='wgan-gp-critic', width=4}",
        "schedule={name='fixed', minibatch=8, tick_images=40, rampdown_images=160}",
    )
    whole = train_all(loaded, tmp_path / "whole")
    assert_equal_runs(whole, train_in_pieces(loaded, tmp_path / "pieces", [64, 120]))


def test_both_networks_are_traced_without_a_break() -> None:
    """As `run.compile` does it, which hands in a fade."""
    g, d = build(generator()), build(critic())

    def judge(latents: torch.Tensor) -> torch.Tensor:
        one = torch.ones(())
        scores: torch.Tensor = d(g(latents, resolution=16, fade=one), fade=one).scores
        return scores

    traced = torch.compile(judge, backend="eager", fullgraph=True)
    torch.testing.assert_close(traced(normal(4, 5)), judge(normal(4, 5)))
