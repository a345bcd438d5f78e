from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from ganlab.errors import GanlabError
from ganlab.interfaces import ImageShape
from ganlab_layers.components import Empty, MinibatchDiscrimination, MinibatchStddev, MultiplicativeNoise
from ganlab_layers.resampling import downscale, upscale
from ganlab_normalizations.components import Batch, Instance, Layer, NoNormalization, Pixel
from ganlab_normalizations.scaling_components import Equalized, NoScaling, Spectral

from .networks import build, discriminator, generator, normal

RESOLUTIONS = (4, 8, 16)
HALF = torch.tensor(0.5)


def penalty(network: Any, images: torch.Tensor, **settings: Any) -> torch.Tensor:
    """What a gradient penalty differentiates again."""
    gradient = torch.func.grad(lambda x: network(x, **settings).scores.sum())(images)
    return (gradient.square().sum((1, 2, 3)).sqrt() - 1).square().mean()


# -- shapes and growth ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("label_size", [0, 5])
@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_shapes(resolution: int, label_size: int, channels: int) -> None:
    g = build(generator(), channels=channels, label_size=label_size)
    d = build(discriminator(), channels=channels, label_size=label_size)
    labels = torch.eye(5)[:4] if label_size else None
    images = g(normal(4, g.latent_size), labels, resolution=resolution, fade=HALF)
    assert images.shape == (4, channels, resolution, resolution)
    critique = d(images, fade=HALF)
    assert critique.scores.shape == (4,)
    assert critique.label_logits is None if not label_size else critique.label_logits.shape == (4, 5)


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_a_fade_of_one_equals_no_fade(resolution: int) -> None:
    g, d = build(generator()), build(discriminator())
    latents = normal(4, g.latent_size)
    one = torch.tensor(1.0)
    images = g(latents, resolution=resolution)
    torch.testing.assert_close(g(latents, resolution=resolution, fade=one), images, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(d(images, fade=one).scores, d(images).scores, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("resolution", [8, 16])
def test_a_fade_of_zero_equals_the_level_below(resolution: int) -> None:
    g, d = build(generator()), build(discriminator())
    latents = normal(4, g.latent_size)
    zero = torch.tensor(0.0)
    images = g(latents, resolution=resolution, fade=zero)
    torch.testing.assert_close(images, upscale(g(latents, resolution=resolution // 2)))
    torch.testing.assert_close(d(images, fade=zero).scores, d(downscale(images)).scores)


def test_levels_that_are_not_in_use_get_no_gradient() -> None:
    g = build(generator())
    g(normal(2, g.latent_size), resolution=8).sum().backward()
    used = {name for name, parameter in g.named_parameters() if parameter.grad is not None}
    assert not any("16x16" in name or name.startswith("to_rgb.4x4") for name in used)
    assert {"to_rgb.8x8.weight", "blocks.8x8.conv1.weight", "blocks.4x4.dense.weight"} <= used


@pytest.mark.parametrize("resolution", [4 << k for k in range(9)])
def test_every_size_up_to_1024_can_be_built(resolution: int) -> None:
    with torch.device("meta"):
        g = generator(fmap_max=512).build(ImageShape(3, resolution))
        d = discriminator(fmap_max=512).build(ImageShape(3, resolution))
        images = g(torch.zeros(2, 512), resolution=resolution, fade=torch.tensor(0.5))
        assert images.shape == (2, 3, resolution, resolution)
        assert d(images, fade=torch.tensor(0.5)).scores.shape == (2,)
    if resolution == 1024:  # Karras et al. 2018, table 2
        assert sum(p.numel() for p in g.parameters()) == 23_079_115
        assert sum(p.numel() for p in d.parameters()) == 23_087_249


# -- widths -----------------------------------------------------------------------------------------------------------


def test_widths_are_the_features_of_each_level() -> None:
    g, d = build(generator(widths=(12, 10, 6))), build(discriminator(widths=(12, 10, 6)))
    assert g.latent_size == 12
    assert g.blocks["8x8"].conv0.weight.shape == (10, 12, 3, 3)
    assert g.to_rgb["16x16"].weight.shape == (3, 6, 1, 1)
    assert d.blocks["16x16"].conv1.weight.shape == (10, 6, 3, 3)
    assert d.blocks["4x4"].dense.weight.shape == (12, 12 * 16)


def test_too_few_widths_say_what_to_add() -> None:
    with pytest.raises(GanlabError, match=r"widths: \[12, 10\] ends at 8x8; add one for 16x16"):
        build(generator(widths=(12, 10)))


def test_surplus_widths_are_for_resolutions_to_come() -> None:
    assert build(generator(widths=(12, 10, 6, 4))).resolutions == RESOLUTIONS


@pytest.mark.parametrize("widths", [(), (4, 0)])
def test_bad_widths_are_refused(widths: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="numbers from 1 to 65536"):
        generator(widths=widths)


def test_a_feature_base_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(GanlabError, match="leaves no features for stage 3"):
        build(generator(fmap_base=4))


# -- switches ---------------------------------------------------------------------------------------------------------


def test_fused_generators_are_the_same_function_of_the_same_weights() -> None:
    fused, separate = build(generator()), build(generator(fused_scale=False))
    separate.load_state_dict(fused.state_dict())
    latents = normal(3, fused.latent_size)
    torch.testing.assert_close(
        fused(latents, resolution=16, fade=HALF), separate(latents, resolution=16, fade=HALF), atol=1e-5, rtol=1e-4
    )


def test_fused_discriminators_average_before_the_activation() -> None:
    fused, separate = build(discriminator()), build(discriminator(fused_scale=False))
    separate.load_state_dict(fused.state_dict())
    flat, images = torch.full((4, 3, 16, 16), 0.3), normal(4, 3, 16, 16)
    x_fused, x_separate = (d.blocks["16x16"].conv0(d.from_rgb["16x16"](flat)) for d in (fused, separate))
    torch.testing.assert_close(
        fused.blocks["16x16"].conv1(x_fused)[..., 2:-2, 2:-2],
        downscale(separate.blocks["16x16"].conv1(x_separate))[..., 2:-2, 2:-2],
        msg="where nothing varies the order does not matter",
    )
    assert (fused(images).scores - separate(images).scores).abs().max() > 1e-4


def test_labels_are_normalized_with_the_latents_or_left_as_they_are() -> None:
    latents, labels = normal(2, 8), torch.eye(5)[:2]
    before = build(generator(), label_size=5).condition(latents, labels)
    after = build(generator(label_position="after-normalization"), label_size=5).condition(latents, labels)
    bare = build(generator(latent_normalization=NoNormalization()), label_size=5).condition(latents, labels)
    torch.testing.assert_close(before.square().mean(1), torch.ones(2))
    torch.testing.assert_close(after[:, :8].square().mean(1), torch.ones(2))
    torch.testing.assert_close(after[:, 8:], labels)
    torch.testing.assert_close(bare, torch.cat([latents, labels], 1))


def test_a_generator_with_labels_asks_for_them() -> None:
    with pytest.raises(ValueError, match="needs labels"):
        build(generator(), label_size=5)(normal(2, 8), resolution=4)


def test_tanh_at_the_end_bounds_the_images_after_the_fade() -> None:
    latents = 5 * normal(4, 8)
    linear = build(generator())(latents, resolution=16, fade=HALF)
    bounded = build(generator(tanh_at_end=0.8))(latents, resolution=16, fade=HALF)
    torch.testing.assert_close(bounded, 0.8 * torch.tanh(linear))


def test_pixel_normalization_may_come_before_the_activation() -> None:
    after = build(generator(), biases=0.0).blocks["4x4"].conv
    before = build(generator(normalization=Pixel(placement="before-activation")), biases=0.0).blocks["4x4"].conv
    x = normal(2, 8, 4, 4)
    torch.testing.assert_close(after(x).square().mean(1), torch.ones(2, 4, 4))
    assert (before(x).square().mean(1) < 1).all()


def test_a_slope_of_zero_is_a_plain_rectifier() -> None:
    g = build(generator(leaky_slope=0.0, normalization=NoNormalization()))
    assert (g.blocks["4x4"](normal(4, 8)) >= 0).all()
    assert (g.blocks["4x4"](normal(4, 8)) == 0).any()


def test_layers_that_meet_images_may_have_a_weight_scaling_of_their_own() -> None:
    g = build(generator(edge_weight_scaling=NoScaling(init="default")))
    d = build(discriminator(edge_weight_scaling=NoScaling(init="default")), label_size=2)
    last = d.blocks["4x4"]
    for layer in (g.to_rgb["8x8"], d.from_rgb["8x8"], last.scores, last.label_logits):
        assert layer.scaling(layer.weight) is layer.weight
    for layer in (g.blocks["4x4"].dense, g.blocks["8x8"].conv0, last.conv, last.dense):
        assert layer.scaling.scale < 1


@pytest.mark.parametrize(
    "normalization", [Pixel(), Pixel(placement="before-activation"), Layer(), Batch(), Instance(), NoNormalization()]
)
@pytest.mark.parametrize("scaling", [Equalized(), Equalized(scale="measured"), Spectral(), NoScaling()])
def test_any_normalization_goes_with_any_weight_scaling(normalization: Any, scaling: Any) -> None:
    g = build(generator(normalization=normalization, weight_scaling=scaling), resolution=8)
    d = build(discriminator(normalization=normalization, weight_scaling=scaling), resolution=8)
    images = g(normal(4, 8), resolution=8)
    loss = d(images).scores.mean() + penalty(d, images.detach())
    loss.backward()
    for network in (g, d):
        for name, parameter in network.named_parameters():
            if parameter.grad is not None:
                assert torch.isfinite(parameter.grad).all(), name
    if normalization.replaces_bias:
        assert g.blocks["4x4"].conv.bias is None
        assert d.blocks["4x4"].dense.bias is None


# -- the slots of the discriminator -----------------------------------------------------------------------------------


@pytest.mark.parametrize("averaging", ["all", "spatial", "gpool", "flat", "none", "group2"])
def test_every_averaging_fits_the_stddev_slot(averaging: str) -> None:
    d = build(discriminator(stddev=MinibatchStddev(averaging=averaging)))
    assert torch.isfinite(d(normal(4, 3, 16, 16)).scores).all()
    assert d.blocks["4x4"].conv.in_channels == 8 + {"all": 1, "flat": 1, "group2": 2}.get(averaging, 8)


def test_statistics_may_be_of_the_images() -> None:
    port = MinibatchStddev(group_size=0, unbiased=True, epsilon=0.0)
    d = build(discriminator(stddev=port, stddev_of="images"))
    seen = []
    d.blocks["4x4"].conv.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    images = normal(6, 3, 16, 16)
    d(images)
    torch.testing.assert_close(seen[0][:, -1, 2, 2], images.std(0).mean().expand(6))
    assert seen[0].shape[1] == 9
    assert torch.isfinite(penalty(d, images))


@pytest.mark.parametrize("layer", [MinibatchStddev(averaging="none"), MinibatchDiscrimination(), Empty()])
def test_layers_without_such_statistics_cannot_be_of_the_images(layer: Any) -> None:
    with pytest.raises(GanlabError, match="stddev_of = 'images' needs"):
        build(discriminator(stddev=layer, stddev_of="images"))


def test_minibatch_discrimination_fits_both_slots() -> None:
    layer = MinibatchDiscrimination(kernels=3)
    d = build(discriminator(stddev=layer, discrimination=layer))
    assert d.blocks["4x4"].conv.in_channels == d.blocks["4x4"].scores.in_features == 8 + 3
    assert torch.isfinite(penalty(d, normal(4, 3, 16, 16), fade=HALF))


def test_noise_comes_before_every_convolution_of_the_active_levels() -> None:
    d = build(discriminator(noise=MultiplicativeNoise(), widths=(12, 10, 6)))
    assert [list(d.noise_channels(r)) for r in RESOLUTIONS] == [[13, 12], [10, 10, 13, 12], [6, 6, 10, 10, 13, 12]]
    images = normal(4, 3, 8, 8)
    noise = [normal(4, channels, seed=k) for k, channels in enumerate(d.noise_channels(8))]
    quiet = d(images).scores
    torch.testing.assert_close(d(images, noise=noise).scores, quiet, msg="the layers' own strength is 0")
    loud = d(images, noise=noise, noise_strength=torch.tensor(0.2)).scores
    assert (loud - quiet).abs().max() > 1e-3
    for k in range(4):
        changed = [*noise[:k], noise[k] + 1, *noise[k + 1 :]]
        again = d(images, noise=changed, noise_strength=torch.tensor(0.2)).scores
        assert (again - loud).abs().max() > 1e-6, f"layer {k} takes its own noise"
    with pytest.raises(ValueError, match="expected 4 noise tensors at 8x8, got 3"):
        d(images, noise=noise[:3])


def test_a_layer_without_noise_in_the_noise_slot_is_simply_applied() -> None:
    d = build(discriminator(noise=MinibatchStddev()))
    assert list(d.noise_channels(16)) == []
    assert d.blocks["16x16"].conv0.in_channels == 9
    assert torch.isfinite(d(normal(4, 3, 16, 16)).scores).all()


# -- purity, precision, saving ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_penalties_have_finite_gradients_and_change_nothing(resolution: int) -> None:
    d = build(discriminator(normalization=Batch(), weight_scaling=Spectral()))
    before = {name: value.clone() for name, value in d.state_dict().items()}
    images = normal(4, 3, resolution, resolution)
    penalty(d, images, fade=HALF).backward()
    assert all(torch.equal(value, before[name]) for name, value in d.state_dict().items())
    gradients = [p.grad for p in d.parameters() if p.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert sum(gradient.abs().sum() for gradient in gradients) > 0


def test_penalty_gradients_equal_numerical_ones() -> None:
    d = build(discriminator(), resolution=8).double()
    images = normal(4, 3, 8, 8, dtype=torch.float64)
    half = HALF.double()
    for name in ("blocks.4x4.conv.weight", "blocks.8x8.conv1.weight", "from_rgb.4x4.weight"):
        parameter = d.get_parameter(name)
        (gradient,) = torch.autograd.grad(penalty(d, images, fade=half), parameter)
        direction = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        values = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                parameter.add_(direction, alpha=step)
            values.append(penalty(d, images, fade=half).item())
            with torch.no_grad():
                parameter.add_(direction, alpha=-step)
        assert (gradient * direction).sum().item() == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-4)


def test_torch_func_grad_equals_autograd() -> None:
    d = build(discriminator())
    images = normal(4, 3, 16, 16).requires_grad_()
    (expected,) = torch.autograd.grad(d(images).scores.sum(), images)
    torch.testing.assert_close(torch.func.grad(lambda x: d(x).scores.sum())(images.detach()), expected)


def test_bfloat16_autocast_runs_and_stays_near() -> None:
    g, d = build(generator()), build(discriminator(stddev=MinibatchStddev(averaging="gpool")))
    latents = normal(4, 8)
    images = g(latents, resolution=16, fade=HALF)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = g(latents, resolution=16, fade=HALF)
        scores = d(images, fade=HALF).scores
        penalty(d, images.detach(), fade=HALF).backward()
    assert low.dtype == scores.dtype == torch.float32
    torch.testing.assert_close(low, images, atol=0.2, rtol=0.1)
    torch.testing.assert_close(scores, d(images, fade=HALF).scores, atol=0.2, rtol=0.1)
    assert all(torch.isfinite(p.grad).all() for p in d.parameters() if p.grad is not None)


def test_channels_last_gives_the_same_numbers() -> None:
    g, d = build(generator()), build(discriminator())
    latents = normal(4, 8)
    images = g(latents, resolution=16, fade=HALF)
    scores = d(images, fade=HALF).scores
    g.to(memory_format=torch.channels_last)
    d.to(memory_format=torch.channels_last)
    again = g(latents, resolution=16, fade=HALF)
    torch.testing.assert_close(again, images, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(d(again, fade=HALF).scores, scores, atol=1e-5, rtol=1e-4)


def test_one_graph_holds_a_penalty_step() -> None:
    d = build(discriminator(noise=MultiplicativeNoise(strength=0.1)), resolution=8)
    noise = [normal(4, channels) for channels in d.noise_channels(8)]

    def step(images: torch.Tensor, fade: torch.Tensor) -> torch.Tensor:
        return penalty(d, images, fade=fade, noise=noise)

    images = normal(4, 3, 8, 8)
    compiled = torch.compile(step, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(images, HALF), step(images, HALF))


@pytest.mark.parametrize("scaling", [Equalized(scale="measured"), Spectral()])
def test_a_state_dict_restores_everything(scaling: Any) -> None:
    for make, inputs in (
        (generator(normalization=Batch(), weight_scaling=scaling), (normal(4, 8), {"resolution": 16})),
        (discriminator(weight_scaling=scaling), (normal(4, 3, 16, 16), {})),
    ):
        first, second = build(make), build(make, seed=1)
        second.load_state_dict(first.state_dict())
        outputs = [network.eval()(inputs[0], **inputs[1]) for network in (first, second)]
        tensors = [output if isinstance(output, torch.Tensor) else output.scores for output in outputs]
        assert torch.equal(*tensors)


def test_weights_start_as_published() -> None:
    g = build(generator(fmap_max=64, weight_scaling=NoScaling()), resolution=8, biases=0.0)
    for name, fan_in, gain in (
        ("blocks.4x4.dense", 64, math.sqrt(2) / 4),
        ("blocks.4x4.conv", 64 * 9, math.sqrt(2)),
        ("blocks.8x8.conv0", 64 * 9, math.sqrt(2)),
        ("to_rgb.8x8", 64, 1.0),
    ):
        layer = g.get_submodule(name)
        assert layer.weight.std().item() == pytest.approx(gain / math.sqrt(fan_in), rel=0.15), name
        assert (layer.bias == 0).all()
