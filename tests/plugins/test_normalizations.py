from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlab_normalizations.components import Batch, Instance, Layer, NoNormalization, Pixel

from .networks import normal

COMPONENTS = [Pixel(), Layer(), Batch(), Instance()]


def module(component: object, channels: int = 4, *, track_statistics: bool = False) -> torch.nn.Module:
    return component.build(channels, track_statistics=track_statistics)


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), scale=st.floats(0.1, 100))
def test_pixel_makes_every_feature_vector_as_long_as_one_of_ones(seed: int, scale: float) -> None:
    x = normal(3, 4, 2, 2, seed=seed) * scale
    torch.testing.assert_close(module(Pixel())(x).square().mean(1), torch.ones(3, 2, 2), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(3, 4, 5, 5), (3, 4)])
def test_pixel_has_the_gradients_of_its_formula(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    def formula(x: torch.Tensor) -> torch.Tensor:
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)

    layer, wanted = module(Pixel()), normal(*shape, seed=2)
    x = normal(*shape).to(dtype).requires_grad_()
    exact = x.detach().float().requires_grad_()
    expected = torch.autograd.grad(formula(exact), exact, wanted)[0]
    rounding = 1e-6 if dtype == torch.float32 else 0.01

    def near(found: torch.Tensor, right: torch.Tensor) -> bool:
        return bool((found.float() - right).norm() < rounding * right.norm())

    for create_graph in (False, True):  # which are two ways to the same
        (found,) = torch.autograd.grad(layer(x), x, wanted.to(dtype), create_graph=create_graph)
        assert found.dtype == dtype
        assert found.requires_grad == create_graph
        assert near(found, expected)
    found = torch.func.grad(lambda x: (layer(x) * wanted.to(dtype)).sum())(x.detach())
    assert near(found, expected)
    with torch.no_grad():
        assert near(layer(x), formula(exact))


def test_pixel_leaves_zeros_zero() -> None:
    assert (module(Pixel())(torch.zeros(2, 4, 3, 3)) == 0).all()


@pytest.mark.parametrize(("component", "dims"), [(Layer(), (1, 2, 3)), (Batch(), (0, 2, 3)), (Instance(), (2, 3))])
def test_mean_zero_and_variance_one_over_its_own_axes(component: object, dims: tuple[int, ...]) -> None:
    y = module(component)(3 + 5 * normal(6, 4, 5, 5))
    assert y.mean(dims).abs().max() < 1e-5
    torch.testing.assert_close(y.var(dims, correction=0), torch.ones_like(y.mean(dims)), atol=1e-3, rtol=0)


@pytest.mark.parametrize("component", [Layer(), Batch(), Instance()])
def test_gain_and_bias_come_after(component: object) -> None:
    layer, x = module(component), normal(6, 4, 5, 5)
    plain = layer(x)
    with torch.no_grad():
        layer.gain.fill_(2.0)
        layer.bias.copy_(torch.arange(4.0))
    torch.testing.assert_close(layer(x), plain * 2 + torch.arange(4.0).reshape(-1, 1, 1))
    assert component.replaces_bias
    assert component.placement == "before-activation"


def test_layer_norm_has_one_gain_for_all_channels() -> None:
    assert module(Layer()).gain.shape == ()


def test_batch_in_a_generator_follows_the_statistics_and_evaluates_with_them() -> None:
    layer = module(Batch(momentum=0.5), track_statistics=True)
    x = 3 + 2 * normal(8, 4, 5, 5)
    for _ in range(20):
        layer(x)
    torch.testing.assert_close(layer.running_mean, x.mean((0, 2, 3)), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(layer.running_variance, x.var((0, 2, 3), correction=0), atol=1e-4, rtol=1e-4)
    in_training = layer(x)
    layer.eval()
    state = {name: value.clone() for name, value in layer.state_dict().items()}
    torch.testing.assert_close(layer(x[:1]), in_training[:1], atol=1e-3, rtol=1e-3)
    assert all(torch.equal(value, state[name]) for name, value in layer.state_dict().items())


def test_batch_in_a_discriminator_keeps_nothing_and_always_uses_the_minibatch() -> None:
    layer = module(Batch())
    assert [name for name, _ in layer.named_buffers()] == []
    x = normal(8, 4, 5, 5)
    torch.testing.assert_close(layer.eval()(x), layer.train()(x))


@pytest.mark.parametrize("component", COMPONENTS)
def test_gradients_are_right_to_second_order(component: object) -> None:
    layer = module(component).double()
    x = normal(3, 4, 2, 2, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(layer, (x,))
    assert torch.autograd.gradgradcheck(layer, (x,))


@pytest.mark.parametrize("component", COMPONENTS)
def test_half_precision_comes_back_as_such_and_near(component: object) -> None:
    layer, x = module(component), normal(4, 4, 8, 8)
    assert layer(x.bfloat16()).dtype == torch.bfloat16
    torch.testing.assert_close(layer(x.bfloat16()).float(), layer(x), atol=0.05, rtol=0.05)


def test_none_builds_nothing() -> None:
    assert module(NoNormalization()) is None
