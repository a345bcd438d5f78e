from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from ganlab.errors import GanlabError
from ganlab.interfaces import ImageShape, Stage
from ganlab_dcgan.networks import DcganDiscriminator, DcganGenerator
from ganlab_layers.components import Empty, MinibatchDiscrimination, MinibatchStddev, MultiplicativeNoise
from ganlab_normalizations.components import Batch, NoNormalization
from ganlab_normalizations.scaling_components import Equalized, NoScaling

from ..train.tiny import assert_equal_runs, tiny, train_all, train_in_pieces
from .networks import build, initialize, normal

SMALL: dict[str, Any] = {"width": 6, "normalization": Batch(), "weight_scaling": NoScaling()}


def generator(**changes: Any) -> DcganGenerator:
    return DcganGenerator(**SMALL | {"latent_size": 5} | changes)


def discriminator(**changes: Any) -> DcganDiscriminator:
    return DcganDiscriminator(**SMALL | {"stddev": Empty()} | changes)


def stage(resolution: int = 16, fade: float = 1.0) -> Stage:
    return Stage(resolution, fade, 8, 0.1, 0.1, 100)


@pytest.mark.parametrize("kernel_size", [4, 5])
@pytest.mark.parametrize("resolution", [8, 16, 64])
def test_images_are_made_and_judged(resolution: int, kernel_size: int) -> None:
    g = build(generator(kernel_size=kernel_size), resolution=resolution)
    d = build(discriminator(kernel_size=kernel_size), resolution=resolution)
    images = g(normal(4, 5), resolution=resolution)
    assert images.shape == (4, 3, resolution, resolution)
    assert images.abs().max() < 1
    critique = d(images)
    assert critique.scores.shape == (4,)
    assert critique.label_logits is None
    assert list(d.noise_channels(resolution)) == []


def test_features_are_those_of_the_paper_at_64x64() -> None:
    with torch.device("meta"):
        g = DcganGenerator(normalization=Batch(), weight_scaling=NoScaling()).build(ImageShape(3, 64))
        d = DcganDiscriminator(normalization=Batch(), weight_scaling=NoScaling(), stddev=Empty()).build(
            ImageShape(3, 64)
        )
    assert g.project.weight.shape == (1024 * 16, 100)
    assert [c.weight.shape[:2] for c in g.convolutions] == [(512, 1024), (256, 512), (128, 256)]
    assert g.to_images.weight.shape == (3, 128, 4, 4)
    assert [c.weight.shape[:2] for c in d.convolutions] == [(128, 3), (256, 128), (512, 256), (1024, 512)]
    assert d.scores.weight.shape == (1, 1024 * 16)
    assert DcganGenerator(normalization=Batch(), weight_scaling=NoScaling()).widths(256)[:3] == (1024, 1024, 1024)


def test_only_inner_layers_are_normalized_and_have_no_bias_of_their_own() -> None:
    g, d = build(generator(), resolution=32), build(discriminator(), resolution=32)
    inner = [g.project, *g.convolutions, *d.convolutions[1:]]
    assert all(layer.normalization is not None and layer.bias is None for layer in inner)
    edges = [g.to_images, d.convolutions[0], d.scores]
    assert all(layer.normalization is None and layer.bias is not None for layer in edges)
    plain = build(discriminator(normalization=NoNormalization()), resolution=32)
    assert all(layer.normalization is None and layer.bias is not None for layer in plain.convolutions)


@pytest.mark.parametrize("scaling", [NoScaling(), Equalized()])
def test_used_weights_start_with_the_papers_spread(scaling: Any) -> None:
    for component in (generator(width=64, weight_scaling=scaling), discriminator(width=64, weight_scaling=scaling)):
        network = initialize(component.build(ImageShape(3, 16)))
        for layer in (m for m in network.modules() if hasattr(m, "used_weight") and m.weight.numel() > 2000):
            assert layer.used_weight().std().item() == pytest.approx(0.02, rel=0.05)
            assert abs(layer.used_weight().mean().item()) < 0.001


def test_latents_become_uniform_by_their_distribution_function() -> None:
    g = build(generator(), resolution=8)
    seen: list[torch.Tensor] = []
    g.project.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    z = torch.tensor([[-30.0, -1.0, 0.0, 0.6744898, 30.0]])
    g(z.repeat(4, 1), resolution=8)
    expected = torch.tensor([-1.0, 2 * 0.15865525 - 1, 0.0, 0.5, 1.0])
    torch.testing.assert_close(seen[0][0], expected)
    draws = torch.erf(normal(20_000, 1) / math.sqrt(2))
    assert draws.var().item() == pytest.approx(1 / 3, rel=0.02)
    as_drawn = build(generator(latents="normal"), resolution=8)
    as_drawn.project.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    as_drawn(z.repeat(4, 1), resolution=8)
    assert torch.equal(seen[1][0], z[0])


def test_transposed_convolution_mirrors_the_strided_one() -> None:
    """<G x, y> = <x, D y> for the same weight: each is the other's transpose."""
    for size in (4, 5):
        g = build(generator(kernel_size=size, normalization=NoNormalization(), width=3), resolution=8, biases=0.0)
        d = build(discriminator(kernel_size=size, width=3), resolution=8, biases=0.0)
        up, down = g.to_images, d.convolutions[0]
        down.leaky_slope = None
        with torch.no_grad():
            down.weight.copy_(up.weight.transpose(0, 1))
        x, y = normal(1, 3, 4, 4), normal(1, 3, 8, 8, seed=1)
        torch.testing.assert_close((up(x) * y).sum(), (x * down(y)).sum())


def test_the_discriminator_is_twice_differentiable_and_changes_nothing() -> None:
    d = build(discriminator(stddev=MinibatchStddev()), resolution=16)
    before = {name: value.clone() for name, value in d.state_dict().items()}
    images = normal(4, 3, 16, 16)
    gradient = torch.func.grad(lambda x: d(x).scores.sum())(images)
    norm = gradient.square().sum()
    found = torch.autograd.grad(norm, list(d.parameters()), allow_unused=True)
    assert all(torch.isfinite(g).all() for g in found if g is not None)
    assert sum(g is not None and bool(g.abs().max() > 0) for g in found) > 2
    assert all(torch.equal(value, before[name]) for name, value in d.state_dict().items())


def test_the_generator_keeps_running_statistics_for_single_samples() -> None:
    g = build(generator(), resolution=16)
    latents = normal(64, 5)
    for _ in range(200):  # the weight of the first statistics, 1, is 1e-9 then
        together = g(latents, resolution=16)
    g.eval()
    with torch.no_grad():
        torch.testing.assert_close(g(latents[:1], resolution=16), together[:1], atol=1e-3, rtol=0)


def test_passes_are_joined_only_where_no_layer_compares_samples() -> None:
    assert not build(discriminator()).joins_passes
    assert not build(discriminator(normalization=NoNormalization(), stddev=MinibatchStddev())).joins_passes
    d = build(discriminator(normalization=NoNormalization()))
    assert d.joins_passes
    reals, fakes = normal(4, 3, 16, 16), normal(4, 3, 16, 16, seed=1)
    together = d(torch.cat([reals, fakes]), passes=2).scores
    torch.testing.assert_close(together, torch.cat([d(reals).scores, d(fakes).scores]))


def test_reals_and_fakes_are_normalized_each_on_their_own() -> None:
    d = build(discriminator())
    reals, fakes = normal(4, 3, 16, 16), 3 * normal(4, 3, 16, 16, seed=1)
    together = d(torch.cat([reals, fakes])).scores
    assert not torch.allclose(together, torch.cat([d(reals).scores, d(fakes).scores]), atol=1e-3)


def test_a_slot_takes_minibatch_discrimination_and_starts_it_from_data() -> None:
    d = build(discriminator(stddev=MinibatchDiscrimination(kernels=4)))
    before = d.stddev.bias.clone()
    d.start_from(normal(16, 3, 16, 16))
    assert not torch.equal(before, d.stddev.bias)
    assert d(normal(16, 3, 16, 16)).scores.shape == (16,)
    build(discriminator()).start_from(normal(16, 3, 16, 16))


def test_labels_condition_both() -> None:
    g, d = build(generator(), label_size=3), build(discriminator(), label_size=3)
    labels = torch.eye(3)
    images = g(normal(1, 5).repeat(3, 1), labels, resolution=16)
    assert not torch.allclose(images[0], images[1])
    assert d(images).label_logits.shape == (3, 3)
    with pytest.raises(ValueError, match="needs labels"):
        g(normal(3, 5), resolution=16)


def test_bfloat16_gives_back_what_it_was_given() -> None:
    g, d = build(generator()), build(discriminator())
    with torch.autocast("cpu", torch.bfloat16):
        images = g(normal(8, 5), resolution=16)
        critique = d(images)
    assert images.dtype == critique.scores.dtype == torch.float32
    torch.testing.assert_close(images, build(generator())(normal(8, 5), resolution=16), atol=0.05, rtol=0)


def test_a_fade_that_is_over_may_be_handed_in() -> None:
    """Compiled steps and the look at memory do so."""
    g, d = build(generator()), build(discriminator())
    images = g(normal(4, 5), resolution=16)
    assert torch.equal(g(normal(4, 5), resolution=16, fade=torch.tensor(1.0)), images)
    assert torch.equal(d(images, fade=torch.tensor(1.0)).scores, d(images).scores)


def test_growth_small_images_and_misfits_are_refused() -> None:
    for component in (generator(), discriminator()):
        component.check_run(resolution=16, stages=[stage()])
        with pytest.raises(ValueError, match=r'trains 8x8; set schedule to "fixed"'):
            component.check_run(resolution=16, stages=[stage(8), stage()])
        with pytest.raises(ValueError, match="trains 16x16 fading in"):
            component.check_run(resolution=16, stages=[stage(fade=0.5)])
        with pytest.raises(GanlabError, match="8x8 or more, not 4x4"):
            component.check_run(resolution=4, stages=[stage(4)])
        with pytest.raises(GanlabError, match="8x8 or more"):
            build(component, resolution=4)
    with pytest.raises(GanlabError, match="16x16 only"):
        build(generator())(normal(4, 5), resolution=8)
    with pytest.raises(GanlabError, match="16x16 only"):
        build(discriminator())(normal(4, 3, 8, 8))
    with pytest.raises(ValueError, match="stddev: a noise layer"):
        discriminator(stddev=MultiplicativeNoise()).check_run(resolution=16, stages=[stage()])
    with pytest.raises(ValueError, match=r"stddev\.averaging: 'group5' needs a multiple of 5 channels"):
        discriminator(stddev=MinibatchStddev(averaging="group5")).check_run(resolution=16, stages=[stage()])


def test_training_resumes_bit_for_bit(tmp_path: Path) -> None:
    loaded = tiny(
        tmp_path,
        "run.images=160",
        "loss=non-saturating",
        "generator={name='dcgan-generator', width=4, latent_size=8}",
        "discriminator={name='dcgan-discriminator', width=4, stddev={name='minibatch-discrimination', kernels=4}}",
        "schedule={name='fixed', minibatch=8, tick_images=40}",
    )
    whole = train_all(loaded, tmp_path / "whole")
    assert_equal_runs(whole, train_in_pieces(loaded, tmp_path / "pieces", [64, 120]))


def test_both_networks_are_traced_without_a_break() -> None:
    """As `run.compile` does it, which hands in a fade."""
    g, d = build(generator()), build(discriminator())

    def judge(latents: torch.Tensor) -> torch.Tensor:
        one = torch.ones(())
        scores: torch.Tensor = d(g(latents, resolution=16, fade=one), fade=one).scores
        return scores

    traced = torch.compile(judge, backend="eager", fullgraph=True)
    torch.testing.assert_close(traced(normal(4, 5)), judge(normal(4, 5)))
