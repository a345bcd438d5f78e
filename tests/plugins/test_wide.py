"""Convolutions with weight gradients of our own are PyTorch's in every derivative, and do only what is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from ganlab_layers import wide, winograd

Convolve = Callable[..., Tensor]

MAPS = {False: (wide.convolve, F.conv2d), True: (wide.convolve_transposed, F.conv_transpose2d)}
"""Ours and PyTorch's, by whether they are transposed."""


@pytest.fixture(autouse=True, params=["products", "the library's", "winograd"])
def always(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """As where it pays, for networks of any width, in each of the ways to work them out."""
    monkeypatch.setattr(wide, "worthwhile", lambda x, weight, pixels: True)
    tiled = request.param == "winograd"
    monkeypatch.setattr(winograd, "suits", lambda images, _, *geometry: tiled and winograd.fits(images, *geometry))
    monkeypatch.setattr(winograd, "TILES", 20)  # one or a few images at a time
    monkeypatch.setattr(wide, "better_as_products", lambda small: request.param == "products")
    monkeypatch.setattr(wide, "ROWS", 40)  # several products for a place in the kernel


def tensors(channels: tuple[int, int], size: tuple[int, int], kernel_size: int, transposed: bool) -> list[Tensor]:
    """Images, a weight and a bias in float64, channels-last, that want gradients."""
    draw = torch.Generator().manual_seed(7)
    shapes = [(3, channels[0], *size), (*(channels if transposed else channels[::-1]), kernel_size, kernel_size)]
    made = [torch.randn(shape, generator=draw, dtype=torch.float64) for shape in shapes]
    made = [tensor.to(memory_format=torch.channels_last) for tensor in made]
    made.append(torch.randn(channels[1], generator=draw, dtype=torch.float64))
    return [tensor.requires_grad_() for tensor in made]


def derivatives(convolve: Convolve, x: Tensor, weight: Tensor, bias: Tensor, **how: int) -> list[Tensor]:
    """The result, overwritten by an activation, and derivatives of the first three orders."""
    y = F.leaky_relu(convolve(x, weight, bias, **how), 0.2, inplace=True)
    first = y.square().sum() + y.sum()
    (inner,) = torch.autograd.grad(first, x, create_graph=True)
    second = torch.autograd.grad(inner.square().sum() + first, [x, weight, bias], create_graph=True)
    third = torch.autograd.grad(sum(tensor.square().sum() for tensor in second), [x, weight, bias])
    return [y, inner, *second, *third]


@settings(max_examples=40, deadline=None)
@given(
    transposed=st.booleans(),
    channels=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    size=st.tuples(st.integers(3, 9), st.integers(3, 9)),
    form=st.sampled_from([(3, 1, 1), (3, 1, 0), (3, 2, 1), (4, 2, 1), (5, 1, 2), (4, 1, 2), (1, 1, 0)]),
)
def test_every_derivative_is_that_of_pytorch(
    transposed: bool, channels: tuple[int, int], size: tuple[int, int], form: tuple[int, int, int]
) -> None:
    kernel_size, stride, padding = form
    given_tensors = tensors(channels, size, kernel_size, transposed)
    ours, theirs = (
        derivatives(convolve, *given_tensors, stride=stride, padding=padding) for convolve in MAPS[transposed]
    )
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9 * float(other.detach().abs().max()))


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """The shape of every weight gradient that is worked out."""
    found: list[torch.Size] = []
    plain = wide.to_weight

    def to_weight(*arguments: Any) -> Tensor:
        result = plain(*arguments)
        found.append(result.shape)
        return result

    monkeypatch.setattr(wide, "to_weight", to_weight)
    return found


@pytest.mark.parametrize("transposed", [False, True])
def test_no_weight_gradient_is_worked_out_that_nobody_asked_for(transposed: bool, counted: list[torch.Size]) -> None:
    x, weight, bias = tensors((2, 3), (6, 6), 4, transposed)
    y = MAPS[transposed][0](x, weight, bias, stride=2, padding=1).square().sum()
    (inner,) = torch.autograd.grad(y, x, create_graph=True)  # as a penalty does
    torch.autograd.grad(y, bias, retain_graph=True)
    assert counted == []
    torch.autograd.grad(inner.square().sum() + y, weight)
    assert counted == [weight.shape] * 2  # one for its use in the map, one for that in the inner gradient


def test_a_frozen_weight_and_no_gradients_at_all_take_the_short_way(counted: list[torch.Size]) -> None:
    x, weight, bias = tensors((2, 3), (6, 6), 3, False)
    with torch.no_grad():
        assert not wide.convolve(x, weight, bias, padding=1).requires_grad
    wide.convolve(x, weight.detach(), bias, padding=1).sum().backward()
    assert x.grad is not None
    assert counted == []


def test_images_that_want_no_gradient_leave_the_weights(counted: list[torch.Size]) -> None:
    x, weight, bias = tensors((2, 3), (6, 6), 3, False)
    wide.convolve(x.detach(), weight, bias, padding=1).square().sum().backward()
    plain = tensors((2, 3), (6, 6), 3, False)[1:]
    F.conv2d(x.detach(), *plain, padding=1).square().sum().backward()
    for one, other in zip((weight, bias), plain, strict=True):
        torch.testing.assert_close(one.grad, other.grad)
    assert counted == [weight.shape]


def test_weight_gradients_have_the_layout_of_weights() -> None:
    x, weight, bias = tensors((2, 3), (6, 6), 3, False)
    (gradient,) = torch.autograd.grad(wide.convolve(x, weight, bias, padding=1).sum(), weight)
    assert gradient.stride() == weight.stride()


def test_images_changed_before_the_gradient_is_taken_are_noticed() -> None:
    x, weight, bias = tensors((2, 3), (6, 6), 3, False)
    x = x.detach()
    y = wide.convolve(x, weight, bias, padding=1).sum()
    x.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_what_is_recomputed_has_the_same_bits() -> None:
    given_tensors = tensors((2, 3), (6, 6), 3, False)

    def run(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return F.relu(wide.convolve(x, weight, bias, padding=1)).square().sum()

    plain = torch.autograd.grad(run(*given_tensors), given_tensors)
    again = torch.autograd.grad(checkpoint(run, *given_tensors, use_reentrant=False), given_tensors)
    for one, other in zip(plain, again, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("transposed", [False, True])
def test_under_autocast_all_is_worked_out_in_its_precision(transposed: bool) -> None:
    x, weight, bias = (tensor.detach().float().requires_grad_() for tensor in tensors((2, 3), (6, 6), 4, transposed))
    how = {"stride": 2, "padding": 1}
    found = []
    for convolve in MAPS[transposed]:
        with torch.autocast("cpu", torch.bfloat16):
            y = convolve(x, weight, bias, **how)
        assert y.dtype == torch.bfloat16
        found.append([y, *torch.autograd.grad(y.float().square().sum(), [x, weight, bias])])
    for one, other in zip(*found, strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other, rtol=0.02, atol=0.02 * float(other.detach().abs().max()))


class TestWhere:
    """Where it is chosen."""

    @pytest.fixture(autouse=True)
    def really(self, always: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.undo()

    @pytest.fixture(params=["AVX2", "AVX512"])
    def kind(self, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: request.param)
        return str(request.param)

    def chosen(self, channels: int, size: int, images: int = 1, **how: Any) -> bool:
        x, weight = torch.empty(images, channels, size, size, **how), torch.empty(channels, channels, 3, 3, **how)
        return wide.worthwhile(x, weight, size * size)

    def test_in_wide_layers(self, kind: str) -> None:
        assert self.chosen(256, 4)
        assert not self.chosen(64, 16, 8)

    def test_with_avx2_also_at_high_resolution_in_rather_wide_ones(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
        assert self.chosen(128, 64)
        assert not self.chosen(128, 32)
        assert not self.chosen(64, 64)

    def test_with_avx512_wherever_a_convolution_is_much_work(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
        assert self.chosen(64, 32, 32)
        assert self.chosen(128, 32, 8)
        assert not self.chosen(64, 32, 8)

    def test_in_bfloat16_where_the_processor_gains_in_it(self, kind: str) -> None:
        assert self.chosen(256, 4, dtype=torch.bfloat16) == (kind == "AVX512")
        with torch.autocast("cpu", torch.bfloat16):
            assert self.chosen(256, 4) == (kind == "AVX512")

    def test_not_in_other_types_and_on_other_devices(self, kind: str) -> None:
        assert not self.chosen(256, 4, dtype=torch.float64)
        assert not self.chosen(256, 4, device="meta")
        with torch.autocast("cpu", torch.float16):
            assert not self.chosen(256, 4)

    def test_not_on_other_processors(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
        assert not self.chosen(256, 4)
        assert not self.chosen(128, 64, 32)

    def test_products_work_out_weight_gradients_of_few_pixels_and_all_with_avx2(self, kind: str) -> None:
        assert wide.better_as_products(torch.empty(8, 256, 8, 8))
        for other in (torch.empty(8, 256, 16, 16), torch.empty(8, 32, 8, 8)):
            assert wide.better_as_products(other) == (kind == "AVX2")

    def test_not_under_transforms_and_compilers(self, kind: str) -> None:
        weight = torch.randn(256, 256, 3, 3)

        def loss(x: Tensor) -> Tensor:
            return wide.convolve(x, weight, None, padding=1).square().sum()

        x = torch.randn(1, 256, 4, 4)
        expected = torch.autograd.functional.jacobian(lambda v: F.conv2d(v, weight, padding=1).square().sum(), x)
        torch.testing.assert_close(torch.func.grad(loss)(x), expected)
        seen = []
        torch.compile(
            lambda x: wide.convolve(x, weight, None, padding=1),
            backend=lambda graph, _: seen.append(graph) or graph.forward,
            fullgraph=True,
        )(x)
        assert len(seen) == 1
