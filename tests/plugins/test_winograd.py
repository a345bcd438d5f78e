"""Winograd's algorithm gives what the definition of a convolution does, and rounds about as little."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from ganlab_layers import wide, winograd

Maps = tuple[Tensor, Tensor, Tensor]


def by_definition(x: Tensor, gradient: Tensor, weight: Tensor, bias: Tensor) -> Maps:
    """A convolution, that back to images, and the gradient for the weight."""
    y = F.conv2d(x, weight, bias, padding=1)
    back = F.conv_transpose2d(gradient, weight, padding=1)
    wanted = weight.detach().clone().requires_grad_()
    (to_weight,) = torch.autograd.grad(F.conv2d(x, wanted, padding=1), wanted, gradient)
    return y, back, to_weight


def by_tiles(x: Tensor, gradient: Tensor, weight: Tensor, bias: Tensor) -> Maps:
    taps = winograd.to_taps(weight)
    back = winograd.convolve(gradient, taps, back=True)
    return winograd.convolve(x, taps, bias), back, winograd.to_weight(x, gradient)


def drawn(
    images: int, channels: tuple[int, int], size: tuple[int, int], seed: int = 0, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, ...]:
    draw = torch.Generator().manual_seed(seed)
    into, out = channels
    shapes = [(images, into, *size), (images, out, *size), (out, into, 3, 3)]
    made = [torch.randn(shape, generator=draw, dtype=dtype) for shape in shapes]
    bias = torch.randn(out, generator=draw, dtype=dtype)
    return (*(tensor.to(memory_format=torch.channels_last) for tensor in made), bias)


@settings(max_examples=40)
@given(
    images=st.integers(1, 5),
    channels=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    size=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    tiles=st.sampled_from([1, 10, 1000]),
    seed=st.integers(0, 1000),
)
def test_all_three_maps_are_those_of_the_definition(
    images: int, channels: tuple[int, int], size: tuple[int, int], tiles: int, seed: int
) -> None:
    given_tensors = drawn(images, channels, (2 * size[0], 2 * size[1]), seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "TILES", tiles)
        found = by_tiles(*given_tensors)
    for ours, theirs in zip(found, by_definition(*given_tensors), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
        assert ours.is_contiguous(memory_format=torch.channels_last)


def test_it_rounds_about_as_little_as_the_definition() -> None:
    """The library's kernels lie between 2e-7 and 1.2e-6 of what they work out, by map and processor."""
    exact = drawn(8, (256, 256), (16, 16))
    rounded = tuple(tensor.float() for tensor in exact)
    expected = by_definition(*(tensor.double() for tensor in rounded))

    for found, wanted in zip(by_tiles(*rounded), expected, strict=True):
        assert float((found - wanted).square().mean() / wanted.square().mean()) ** 0.5 < 8e-7


def test_images_do_not_depend_on_where_they_stand_in_a_minibatch() -> None:
    """Not to the bit, as libraries choose kernels by size, but to rounding."""
    x, _, weight, bias = drawn(6, (8, 8), (4, 4), dtype=torch.float32)
    taps = winograd.to_taps(weight)
    whole = winograd.convolve(x, taps, bias)
    torch.testing.assert_close(winograd.convolve(x[2:5], taps, bias), whole[2:5])


class TestWhere:
    """Where it is chosen."""

    def chosen(self, channels: int, size: tuple[int, int], images: int = 8, dtype: torch.dtype = torch.float32) -> bool:
        return winograd.suits(torch.empty(images, channels, *size, dtype=dtype), channels, 3, 1, 1)

    @pytest.mark.parametrize(("kind", "enough"), [("AVX2", 128), ("AVX512", 256)])
    def test_in_wide_layers(self, kind: str, enough: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: kind)
        assert self.chosen(enough, (4, 4))
        assert self.chosen(2 * enough, (64, 32), images=1)
        assert not self.chosen(enough - 1, (64, 64))

    def test_not_for_a_few_pixels(self) -> None:
        assert not self.chosen(512, (4, 4), images=7)

    def test_not_where_tiles_do_not_fit(self) -> None:
        assert not self.chosen(512, (17, 16))
        assert not self.chosen(512, (16, 17))

    def test_in_float32_alone(self) -> None:
        assert not self.chosen(512, (16, 16), dtype=torch.bfloat16)
        assert not self.chosen(512, (16, 16), dtype=torch.float64)

    @pytest.mark.parametrize("geometry", [(3, 2, 1), (3, 1, 0), (3, 1, 2), (4, 1, 1), (1, 1, 1)])
    def test_for_kernels_of_3x3_alone(self, geometry: tuple[int, int, int]) -> None:
        assert not winograd.suits(torch.empty(8, 512, 16, 16), 512, *geometry)

    def test_by_wide_layers_in_both_directions(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A forward pass, the gradient for images and that for weights: taps are worked out once."""
        used = []

        def watched(name: str) -> None:
            plain = getattr(winograd, name)
            monkeypatch.setattr(winograd, name, lambda *args, **named: used.append(name) or plain(*args, **named))

        for name in ("to_taps", "convolve", "to_weight"):
            watched(name)
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
        x, weight = torch.randn(2, 256, 8, 8).requires_grad_(), torch.randn(256, 256, 3, 3).requires_grad_()
        torch.autograd.grad(wide.convolve(x, weight, None, padding=1).square().sum(), [x, weight])
        assert sorted(used) == ["convolve", "convolve", "to_taps", "to_weight"]
