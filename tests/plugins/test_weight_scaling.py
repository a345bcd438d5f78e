from __future__ import annotations

import math

import pytest
import torch

from ganlab_layers.convolution import Convolution
from ganlab_layers.linear import Linear, LinearToMaps
from ganlab_layers.weighted import HE_GAIN
from ganlab_normalizations.scaling_components import Equalized, NoScaling, Spectral

from .networks import initialize, normal

SHAPE, FAN_IN = (64, 32, 3, 3), 288
HE = math.sqrt(2 / FAN_IN)


def module(component: object) -> torch.nn.Module:
    return component.build(SHAPE, fan_in=FAN_IN, gain=math.sqrt(2))


@pytest.mark.parametrize(
    ("component", "stored"), [(Equalized(), 1.0), (Equalized(scale="measured"), 1.0), (NoScaling(), HE)]
)
def test_used_weights_start_with_he_spread_whatever_is_stored(component: object, stored: float) -> None:
    scaling = module(component)
    weight = scaling.initial(normal(*SHAPE))
    assert weight.std().item() == pytest.approx(stored, rel=0.02)
    assert scaling(weight).std().item() == pytest.approx(HE, rel=0.02)


def test_the_measured_scale_is_that_of_the_draw_and_is_saved() -> None:
    scaling, draw = module(Equalized(scale="measured")), 1.3 * normal(*SHAPE)
    weight = scaling.initial(draw)
    assert weight.square().mean().item() == pytest.approx(1, abs=1e-6)
    torch.testing.assert_close(scaling(weight), draw * HE)
    other = module(Equalized(scale="measured"))
    other.load_state_dict(scaling.state_dict())
    torch.testing.assert_close(other(weight), draw * HE)
    assert not list(scaling.parameters())


def test_the_default_start_is_torchs_own() -> None:
    layer = initialize(Convolution(32, 64, 3, weight_scaling=NoScaling(init="default")))
    reference = torch.nn.Conv2d(32, 64, 3)
    for ours, theirs in ((layer.weight, reference.weight), (layer.bias, reference.bias)):
        assert ours.abs().max() <= 1 / math.sqrt(FAN_IN)
        assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.3)
    quartiles = torch.quantile(layer.weight.flatten(), torch.tensor([0.25, 0.75])) * math.sqrt(FAN_IN)
    torch.testing.assert_close(quartiles, torch.tensor([-0.5, 0.5]), atol=0.03, rtol=0)


def test_spectral_scaling_makes_the_largest_singular_value_one_and_follows_changes() -> None:
    scaling = module(Spectral())
    weight = scaling.initial(normal(*SHAPE))
    assert largest(scaling(weight)) == pytest.approx(1, abs=0.05)
    changed = weight + HE * normal(*SHAPE, seed=3)
    state = scaling.left.clone()
    before = largest(scaling(changed))
    assert torch.equal(scaling.left, state), "using a weight changes nothing"
    for _ in range(40):
        scaling.refresh(changed)
    assert largest(scaling(changed)) == pytest.approx(1, abs=0.02)
    assert abs(largest(scaling(changed)) - 1) < abs(before - 1)


def test_spectral_gradients_go_through_the_singular_value() -> None:
    scaling = Spectral().build((4, 3), fan_in=3, gain=1.0).double()
    weight = scaling.initial(normal(4, 3, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(scaling, (weight,))
    (gradient,) = torch.autograd.grad(scaling(weight).square().sum(), weight)
    assert (gradient * weight).sum().abs() < 1e-10, "the used weight does not change along the weight itself"


def test_layers_draw_their_weights_under_their_own_names_and_start_biases_at_zero() -> None:
    layer = Linear(6, 5, weight_scaling=Equalized())
    asked = []

    def draw(name: str, shape: tuple[int, ...]) -> torch.Tensor:
        asked.append((name, shape))
        return torch.full(shape, 2.0)

    layer.bias.data.fill_(1)
    layer.initialize(draw)
    assert asked == [("weight", (5, 6))]
    assert (layer.weight == 2).all()
    assert (layer.bias == 0).all()


def test_the_first_layer_of_a_generator_is_scaled_as_a_convolution_of_its_size() -> None:
    layer = LinearToMaps(10, 6, weight_scaling=Equalized())
    convolution = Convolution(10, 6, 4, padding="full", weight_scaling=Equalized())
    assert layer.scaling.scale == pytest.approx(convolution.scaling.scale) == pytest.approx(HE_GAIN / math.sqrt(160))
    layer.weight.data.normal_(generator=torch.Generator().manual_seed(0))
    convolution.weight.data.copy_(layer.weight.reshape(6, 4, 4, 10).permute(0, 3, 1, 2).flip(2, 3))
    x = normal(3, 10)
    torch.testing.assert_close(layer(x), convolution(x[:, :, None, None]))


def largest(weight: torch.Tensor) -> float:
    return torch.linalg.matrix_norm(weight.flatten(1), 2).item()
