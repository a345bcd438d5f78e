from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from ganlab_layers.convolution import Convolution
from ganlab_layers.fade import fade_in, select_lod
from ganlab_layers.resampling import downscale, sum_pixels, upscale
from ganlab_normalizations.scaling_components import Equalized

from .networks import initialize, normal


@contextmanager
def summing(chosen: bool) -> Iterator[None]:
    """Fused layers sum pixels whatever their width, or never."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Convolution, "sums_pixels", lambda _: chosen)
        yield


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_halving_undoes_doubling_and_keeps_the_mean(factor: int) -> None:
    x = normal(2, 3, 4, 4)
    torch.testing.assert_close(downscale(upscale(x, factor), factor), x)
    torch.testing.assert_close(downscale(x, factor).mean(), x.mean())
    assert upscale(x, factor).shape == (2, 3, 4 * factor, 4 * factor)


@pytest.mark.parametrize(("padding", "divisor"), [(0, 1), (1, 4)])
def test_sums_of_pixels_and_their_derivatives(padding: int, divisor: int) -> None:
    x = normal(2, 3, 4, 6, dtype=torch.float64).requires_grad_()

    def run(x: torch.Tensor) -> torch.Tensor:
        return sum_pixels(x, padding=padding, divisor=divisor)

    expected = F.conv2d(x.flatten(0, 1)[:, None], torch.ones(1, 1, 2, 2, dtype=x.dtype), padding=padding) / divisor
    torch.testing.assert_close(run(x), expected.unflatten(0, (2, 3))[:, :, 0])
    assert torch.autograd.gradcheck(run, (x,))
    assert torch.autograd.gradgradcheck(run, (x,))
    (plain,) = torch.autograd.grad(run(x).square().sum(), x)
    torch.testing.assert_close(torch.func.grad(lambda x: run(x).square().sum())(x.detach()), plain)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 1000),
    size=st.sampled_from([1, 3, 5]),
    resample=st.sampled_from(["up", "down"]),
    channels=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    height=st.sampled_from([2, 4, 6]),
    sums=st.booleans(),
)
def test_fused_and_separate_convolutions_are_one_function(
    seed: int, size: int, resample: str, channels: tuple[int, int], height: int, sums: bool
) -> None:
    pair = [
        initialize(
            Convolution(*channels, size, weight_scaling=Equalized(), resample=resample, fused=fused, leaky_slope=0.2),
            seed,
            biases=1.0,
        )
        for fused in (False, True)
    ]
    x = normal(2, channels[0], height, height, seed=seed)
    with summing(sums and size > 1):
        separate, fused = (module(x) for module in pair)
    assert separate.shape[2] == (height * 2 if resample == "up" else height // 2)
    torch.testing.assert_close(fused, separate, atol=1e-4, rtol=1e-4)


def test_a_fused_kernel_and_its_gradient_lie_in_memory_as_the_convolution_and_the_weight_do() -> None:
    for resample in ("up", "down"):
        module = initialize(Convolution(6, 5, 3, weight_scaling=Equalized(), resample=resample, fused=True), 1)
        before, x = module.weight.detach().clone(), normal(2, 6, 4, 4)
        expected = module(x)
        moved = module.to(memory_format=torch.channels_last)
        assert torch.equal(moved.weight, before)
        torch.testing.assert_close(moved(x.to(memory_format=torch.channels_last)), expected)
        assert moved.used_weight().is_contiguous(memory_format=torch.channels_last)
        (gradient,) = torch.autograd.grad(moved.used_weight().square().sum(), moved.weight)
        assert gradient.stride() == moved.weight.stride()


@pytest.mark.parametrize("sums", [False, True], ids=["larger kernel", "sums of pixels"])
@pytest.mark.parametrize("resample", ["up", "down"])
def test_fused_gradients_are_right_to_second_order(resample: str, sums: bool) -> None:
    module = Convolution(2, 3, 3, weight_scaling=Equalized(), resample=resample, fused=True).double()
    weight = normal(3, 2, 3, 3, dtype=torch.float64).requires_grad_()

    def run(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(module, {"weight": w}, (x,))

    x = normal(1, 2, 4, 4, dtype=torch.float64).requires_grad_()
    with summing(sums):
        assert torch.autograd.gradcheck(run, (x, weight))
        assert torch.autograd.gradgradcheck(run, (x, weight))


def fused_layer(channels: int, size: int = 3) -> Convolution:
    return Convolution(channels, channels, size, weight_scaling=Equalized(), resample="up", fused=True)


def test_pixels_are_summed_in_wide_layers() -> None:
    assert fused_layer(128).sums_pixels()
    assert not fused_layer(127).sums_pixels()
    with torch.autocast("cpu", torch.bfloat16):
        assert fused_layer(256).sums_pixels()
        assert not fused_layer(255).sums_pixels()


def test_pixels_are_not_summed_on_other_devices_and_for_kernels_of_one_pixel() -> None:
    assert not fused_layer(512).to("meta").sums_pixels()
    assert not fused_layer(512, size=1).sums_pixels()


@pytest.mark.parametrize("resample", ["up", "down"])
def test_a_layer_that_holds_its_weight_stays_with_the_kernel_it_holds(resample: str) -> None:
    """Passes of an update may differ in precision, and so in what costs less."""
    layer = initialize(Convolution(4, 5, 3, weight_scaling=Equalized(), resample=resample, fused=True), 1, biases=1.0)
    x = normal(2, 4, 8, 8)
    expected = layer(x)
    for first in (True, False):
        layer.hold()
        with summing(first):
            layer.current_weight()
        with summing(not first):
            torch.testing.assert_close(layer(x), expected)
        layer.release()


@pytest.mark.parametrize(("padding", "size"), [("same", 4), ("valid", 2), ("full", 6)])
def test_padding(padding: str, size: int) -> None:
    assert Convolution(2, 3, 3, weight_scaling=Equalized(), padding=padding)(normal(1, 2, 4, 4)).shape[2] == size


def test_resampling_needs_an_odd_kernel() -> None:
    with pytest.raises(ValueError, match="odd kernel"):
        Convolution(2, 3, 4, weight_scaling=Equalized(), resample="up")


def test_a_fade_runs_from_coarse_to_fine() -> None:
    coarse, fine = normal(2, 3, 4, 4), normal(2, 3, 4, 4, seed=1)
    for weight in (0.0, 0.25, 1.0):
        expected = (1 - weight) * coarse + weight * fine
        torch.testing.assert_close(fade_in(coarse, fine, torch.tensor(weight)), expected)
    assert fade_in(coarse.bfloat16(), fine.bfloat16(), torch.tensor(0.5)).dtype == torch.bfloat16


def test_selection_between_two_levels_is_the_fade() -> None:
    fine, coarse = normal(2, 3, 8, 8), normal(2, 3, 4, 4, seed=1)
    for lod in (-1.0, 0.0, 0.3, 1.0, 2.0):
        fade = torch.tensor(1 - min(max(lod, 0), 1))
        selected = select_lod([fine, coarse], torch.tensor(lod))
        torch.testing.assert_close(selected, fade_in(upscale(coarse), fine, fade))


def test_selection_differentiates_with_respect_to_its_candidates() -> None:
    fine, coarse = normal(2, 3, 8, 8).requires_grad_(), normal(2, 4, 4, 4).requires_grad_()
    select_lod([fine, coarse], torch.tensor(0.25)).sum().backward()
    assert fine.grad.unique().tolist() == [0.75]
    assert coarse.grad[:, :3].unique().tolist() == [1.0]  # 0.25 of each of four pixels
    assert (coarse.grad[:, 3] == 0).all(), "surplus channels are cut off"
