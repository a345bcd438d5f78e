"""Adam with the authors' epsilon is the formula it claims to be, also after clearing, saving and missing gradients."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from ganlab_optimizers import built
from ganlab_optimizers.adam import Adam
from ganlab_optimizers.built import AuthorsAdam
from ganlab_optimizers.simple import RmsProp, Sgd

RATE, BETA1, BETA2, EPSILON = 0.05, 0.3, 0.95, 1e-3
LARGE_EPSILON = Adam(learning_rate=RATE, beta1=BETA1, beta2=BETA2, epsilon=EPSILON)
"""With an epsilon of the size of the gradients its placement shows."""

Values = npt.NDArray[np.float64]


class Formula:
    """The update of golden/README section 4 in float64."""

    def __init__(self, weights: Tensor) -> None:
        self.weights: Values = weights.detach().double().numpy().copy()
        self.clear()

    def clear(self) -> None:
        """Forget the averages and start t anew."""
        self.m: Values = np.zeros_like(self.weights)
        self.v: Values = np.zeros_like(self.weights)
        self.t = 0

    def step(self, gradient: Tensor | None) -> None:
        """One update; no gradient counts as zeros."""
        g: Values = np.zeros_like(self.weights) if gradient is None else gradient.double().numpy()
        self.t += 1
        self.m = BETA1 * self.m + (1 - BETA1) * g
        self.v = BETA2 * self.v + (1 - BETA2) * g**2
        rate = RATE * np.sqrt(1 - BETA2**self.t) / (1 - BETA1**self.t)
        self.weights -= rate * self.m / (np.sqrt(self.v) + EPSILON)


def some_parameters() -> list[nn.Parameter]:
    """Parameters of three shapes."""
    generator = torch.Generator().manual_seed(5)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((3, 4), (17,), ())]


def gradients(step: int) -> list[Tensor]:
    """Random gradients, about as large as epsilon, for the parameters above."""
    generator = torch.Generator().manual_seed(100 + step)
    return [1e-3 * torch.randn(shape, generator=generator) for shape in ((3, 4), (17,), ())]


def update(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], values: list[Tensor | None]) -> None:
    """One step with these gradients."""
    for parameter, value in zip(parameters, values, strict=True):
        parameter.grad = value
    optimizer.step()


def assert_equal(parameters: list[nn.Parameter], formulas: list[Formula]) -> None:
    for parameter, formula in zip(parameters, formulas, strict=True):
        np.testing.assert_allclose(parameter.detach().numpy(), formula.weights, rtol=2e-6, atol=2e-7)


def test_the_authors_placement_is_the_formula_also_after_clearing() -> None:
    parameters = some_parameters()
    formulas = [Formula(parameter) for parameter in parameters]
    optimizer = LARGE_EPSILON.build(parameters)
    for step in range(12):
        if step in (5, 6):
            optimizer.state.clear()
            for formula in formulas:
                formula.clear()
        values = gradients(step)
        for formula, value in zip(formulas, values, strict=True):
            formula.step(value)
        update(optimizer, parameters, list(values))
        assert_equal(parameters, formulas)
    assert optimizer.param_groups[0]["eps"] == EPSILON


def test_a_missing_gradient_counts_as_zero() -> None:
    """A level's weights join late, and may be left out for a while; t is common to all."""
    parameters = some_parameters()
    formulas = [Formula(parameter) for parameter in parameters]
    optimizer = LARGE_EPSILON.build(parameters)
    for step in range(9):
        values: list[Tensor | None] = list(gradients(step))
        if step < 3:
            values[1] = None
        if step in (4, 5):
            values[0] = None
        for formula, value in zip(formulas, values, strict=True):
            formula.step(value)
        update(optimizer, parameters, values)
        assert_equal(parameters, formulas)
        assert (parameters[1] in optimizer.state) == (step >= 3)


@pytest.mark.parametrize("placement", ["authors", "corrected"])
def test_a_saved_state_continues_bit_for_bit(placement: str) -> None:
    component = Adam(learning_rate=RATE, beta1=BETA1, beta2=BETA2, epsilon=EPSILON, epsilon_placement=placement)
    parameters = some_parameters()
    optimizer = component.build(parameters)
    for step in range(4):
        update(optimizer, parameters, list(gradients(step)))
    saved = copy.deepcopy(optimizer.state_dict())
    assert all(isinstance(value, Tensor) for state in saved["state"].values() for value in state.values())
    assert all(
        isinstance(value, (bool, int, float, tuple, list, type(None)))
        for group in saved["param_groups"]
        for value in group.values()
    )
    restored = [nn.Parameter(parameter.detach().clone()) for parameter in parameters]
    other = component.build(restored)
    other.load_state_dict(saved)
    for step in range(4, 8):
        update(optimizer, parameters, list(gradients(step)))
        update(other, restored, list(gradients(step)))
        for a, b in zip(parameters, restored, strict=True):
            assert torch.equal(a, b)


def test_a_state_loaded_over_a_longer_one_takes_its_own_count() -> None:
    parameters = some_parameters()
    optimizer = LARGE_EPSILON.build(parameters)
    update(optimizer, parameters, list(gradients(0)))
    saved, weights = copy.deepcopy(optimizer.state_dict()), [parameter.detach().clone() for parameter in parameters]
    update(optimizer, parameters, list(gradients(1)))
    expected = [parameter.detach().clone() for parameter in parameters]
    for step in range(2, 6):
        update(optimizer, parameters, list(gradients(step)))
    optimizer.load_state_dict(saved)
    with torch.no_grad():
        for parameter, value in zip(parameters, weights, strict=True):
            parameter.copy_(value)
    update(optimizer, parameters, list(gradients(1)))
    assert all(torch.equal(a, b) for a, b in zip(parameters, expected, strict=True))


def test_the_corrected_placement_is_pytorchs_adam() -> None:
    ours, theirs = some_parameters(), some_parameters()
    component = Adam(learning_rate=RATE, beta1=BETA1, beta2=BETA2, epsilon=EPSILON, epsilon_placement="corrected")
    optimizer = component.build(ours)
    reference = torch.optim.Adam(theirs, lr=RATE, betas=(BETA1, BETA2), eps=EPSILON, fused=True)
    plain = some_parameters()
    unfused = torch.optim.Adam(plain, lr=RATE, betas=(BETA1, BETA2), eps=EPSILON, fused=False, foreach=False)
    for step in range(8):
        update(optimizer, ours, list(gradients(step)))
        update(reference, theirs, list(gradients(step)))
        update(unfused, plain, list(gradients(step)))
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
        for a, b in zip(ours, plain, strict=True):
            torch.testing.assert_close(a, b)


def test_beta2_that_changes_is_pytorchs_adam_given_it_by_hand() -> None:
    ours, theirs = some_parameters(), some_parameters()
    component = Adam(beta1=0.0, beta2=0.9, beta2_end=0.99, beta2_images=60, epsilon_placement="corrected")
    optimizer, reference = component.build(ours), torch.optim.Adam(theirs, lr=0.001, betas=(0.0, 0.9), fused=True)
    for step in range(8):
        settings = component.settings_at(10 * step)
        assert settings is not None
        optimizer.param_groups[0].update(settings)
        beta2 = 0.99 - 0.09 * (1 + math.cos(math.pi * min(step / 6, 1))) / 2
        reference.param_groups[0]["betas"] = (0.0, beta2)
        update(optimizer, ours, list(gradients(step)))
        update(reference, theirs, list(gradients(step)))
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b)
    assert Adam().settings_at(0) is None
    with pytest.raises(ValueError, match="beta2_images: expected a value, as beta2_end has one"):
        Adam(beta2_end=0.99)


def test_the_placements_differ_where_gradients_are_small() -> None:
    moved = {}
    for placement in ("authors", "corrected"):
        weight = nn.Parameter(torch.zeros(1))
        optimizer = Adam(learning_rate=1.0, epsilon_placement=placement).build([weight])
        update(optimizer, [weight], [torch.full((1,), 1e-7)])
        moved[placement] = -weight.item()
    assert moved["authors"] == pytest.approx(0.5, rel=1e-4)
    assert moved["corrected"] == pytest.approx(1e-7 / 1.1e-7, rel=1e-4)


def test_the_learning_rate_can_be_changed_between_steps() -> None:
    weight = nn.Parameter(torch.zeros(1))
    optimizer = Adam(epsilon=1e-30).build([weight])
    update(optimizer, [weight], [torch.ones(1)])
    assert weight.item() == pytest.approx(-0.001)
    optimizer.param_groups[0]["lr"] = 0.1
    update(optimizer, [weight], [torch.ones(1)])
    assert weight.item() == pytest.approx(-0.101)


def test_a_closure_may_compute_the_gradients() -> None:
    weight = nn.Parameter(torch.tensor([2.0]))
    optimizer = Adam(learning_rate=0.5).build([weight])

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = weight.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure) == 4.0
    assert weight.item() == pytest.approx(1.5)


def test_an_optimizer_can_be_copied_mid_training() -> None:
    parameters = some_parameters()
    optimizer = LARGE_EPSILON.build(parameters)
    for step in range(3):
        update(optimizer, parameters, list(gradients(step)))
    twin, twins = copy.deepcopy((optimizer, parameters))
    update(optimizer, parameters, list(gradients(3)))
    update(twin, twins, list(gradients(3)))
    assert all(torch.equal(a, b) for a, b in zip(parameters, twins, strict=True))


def test_sgd_adds_up_gradients_with_momentum() -> None:
    weight = nn.Parameter(torch.zeros(1))
    optimizer = Sgd(learning_rate=0.5, momentum=0.5).build([weight])
    for gradient in (1.0, 3.0):
        update(optimizer, [weight], [torch.full((1,), gradient)])
    assert weight.item() == -0.5 * (1.0 + (0.5 * 1.0 + 3.0))


def test_rmsprop_divides_by_the_root_mean_square() -> None:
    weight = nn.Parameter(torch.zeros(1))
    optimizer = RmsProp(learning_rate=0.5, decay=0.75, epsilon=0.25).build([weight])
    update(optimizer, [weight], [torch.full((1,), 2.0)])
    assert weight.item() == pytest.approx(-0.5 * 2.0 / (1.0 + 0.25))


def test_steps_that_may_be_recorded_have_the_same_bits() -> None:
    results = []
    for recorded in (False, True):
        parameters = some_parameters()
        optimizer = LARGE_EPSILON.build(parameters)
        assert isinstance(optimizer, AuthorsAdam)
        if recorded:
            assert optimizer.capturable()
        for step in range(9):
            values: list[Tensor | None] = [*gradients(step)]
            if step < 2:
                values[1] = None  # without state at first
            if step in (3, 7):
                values[0] = None
            if step == 4:
                optimizer.state.clear()
            if step == 6:
                optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
            optimizer.param_groups[0]["lr"] = RATE / (1 + step)
            if recorded:
                optimizer.prepare()
            update(optimizer, parameters, values)
        counts = [float(optimizer.state[parameter]["step"]) for parameter in parameters]
        results.append(([parameter.detach().clone() for parameter in parameters], counts))
    (weights, counts), (others, other_counts) = results
    assert counts == other_counts == [5.0, 5.0, 5.0]
    assert all(torch.equal(one, other) for one, other in zip(weights, others, strict=True))


def channels_last(tensor: Tensor) -> Tensor:
    return tensor.to(memory_format=torch.channels_last)


def turned(tensor: Tensor) -> Tensor:
    """As transposed convolutions want it."""
    return channels_last(tensor.transpose(0, 1)).transpose(0, 1)


@pytest.mark.parametrize("laid_out", [channels_last, turned])
def test_large_weights_are_updated_as_others_however_they_lie(
    laid_out: Callable[[Tensor], Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    def updated(layout: Callable[[Tensor], Tensor], large: int) -> tuple[Tensor, list[tuple[int, ...]]]:
        monkeypatch.setattr(built, "LARGE", large)
        seen = []

        def kernel(weights: list[Tensor], *others: object, **settings: object) -> None:
            seen.append(tuple(weights[0].shape))
            fused(weights, *others, **settings)

        monkeypatch.setattr(torch, "_fused_adam_", kernel)
        weight = nn.Parameter(layout(values[0].clone()))
        optimizer = LARGE_EPSILON.build([weight])
        for gradient in values[1:]:
            weight.grad = layout(gradient)
            optimizer.step()
        assert optimizer.state[weight]["exp_avg"].stride() == weight.stride()
        return weight.detach(), seen

    fused = torch._fused_adam_
    values = [torch.randn(6, 5, 3, 3, generator=torch.Generator().manual_seed(n)) for n in range(4)]
    expected, shapes = updated(torch.clone, 1)
    assert shapes == [(6, 5, 3, 3)] * 3
    flat, shapes = updated(laid_out, 1)
    assert shapes == [(270,)] * 3
    small, shapes = updated(laid_out, 271)
    assert shapes == [(6, 5, 3, 3)] * 3
    torch.testing.assert_close(flat, expected)
    assert torch.equal(flat, small)
