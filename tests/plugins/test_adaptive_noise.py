"""LSGAN's noise strength follows the discriminator's output, or its loss, and is part of what a checkpoint keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlab_losses.least_squares import Lsgan

from .passes import scored

if TYPE_CHECKING:
    from ganlab_losses.built.least_squares import LeastSquaresLoss

VALUES = st.lists(st.floats(-2.0, 3.0, width=32), min_size=1, max_size=30)
NOTHING = torch.tensor(torch.nan)


def strength(loss: LeastSquaresLoss) -> float:
    """The strength in force."""
    given_strength = loss.noise_strength()
    assert given_strength is not None
    assert given_strength.shape == ()
    return float(given_strength)


def series(values: list[float], scale: float = 0.2, limit: float = 0.5, power: float = 2.0) -> list[float]:
    """The strengths by the formula of the paper, from values clipped to [0, 1]."""
    average, strengths = 0.0, []
    for value in values:
        average = 0.9 * average + 0.1 * min(max(value, 0.0), 1.0)
        strengths.append(scale * max(average - limit, 0.0) ** power)
    return strengths


@settings(max_examples=25)
@given(VALUES)
def test_the_output_of_the_discriminator_is_the_mean_score_of_fakes(values: list[float]) -> None:
    loss = Lsgan(noise_limit=0.1).build()
    found = []
    for value in values:
        loss.observe(NOTHING, {"scores/real": NOTHING, "scores/fake": torch.tensor([value - 0.25, value + 0.25])})
        found.append(strength(loss))
    assert found == pytest.approx(series(values, limit=0.1), abs=1e-6)


@settings(max_examples=25)
@given(VALUES)
def test_the_loss_is_fed_on_request(values: list[float]) -> None:
    loss = Lsgan(noise_input="loss", noise_limit=0.2, noise_coefficient=0.7, noise_exponent=1.5).build()
    found = []
    for value in values:
        loss.observe(torch.tensor(value), {"scores/real": NOTHING, "scores/fake": NOTHING})
        found.append(strength(loss))
    assert found == pytest.approx(series(values, 0.7, 0.2, 1.5), abs=1e-6)


def test_noise_starts_at_nothing_and_comes_when_every_fake_is_recognised() -> None:
    loss = Lsgan().build()
    assert strength(loss) == 0.0
    for _ in range(200):
        loss.observe(NOTHING, {"scores/fake": torch.ones(4)})
    assert strength(loss) == pytest.approx(0.2 * 0.5**2, rel=1e-5)
    for _ in range(200):
        loss.observe(NOTHING, {"scores/fake": torch.zeros(4)})
    assert strength(loss) == 0.0


def test_with_the_targets_of_mao_et_al_recognised_fakes_score_0() -> None:
    loss = Lsgan(real_target=1.0, fake_target=0.0, generator_target=1.0).build()
    for _ in range(200):
        loss.observe(NOTHING, {"scores/fake": torch.zeros(4)})
    assert strength(loss) == pytest.approx(0.2 * 0.5**2, rel=1e-5)


def test_a_coefficient_of_0_leaves_the_noise_layers_alone() -> None:
    loss = Lsgan(noise_coefficient=0.0).build()
    loss.observe(NOTHING, {"scores/fake": torch.ones(4)})
    assert loss.noise_strength() is None
    assert "noise_strength" not in loss.discriminator(scored([0.0], [1.0])).report


def test_the_average_is_saved_and_restored() -> None:
    loss, other = Lsgan(noise_limit=0.0).build(), Lsgan(noise_limit=0.0).build()
    for value in (0.3, 0.8, 0.9):
        loss.observe(NOTHING, {"scores/fake": torch.tensor(value)})
    other.load_state_dict(loss.state_dict())
    for each in (loss, other):
        each.observe(NOTHING, {"scores/fake": torch.tensor(0.4)})
    assert strength(other) == strength(loss) > 0
    assert float(loss.discriminator(scored([0.0], [1.0])).report["noise_strength"]) == strength(loss)


def test_a_graph_made_with_the_strength_survives_an_update_of_it() -> None:
    loss = Lsgan().build()
    given_strength = loss.noise_strength()
    weight = torch.ones((), requires_grad=True)
    product = weight * given_strength
    loss.observe(NOTHING, {"scores/fake": torch.ones(4)})
    product.backward()
    assert weight.grad == 0.0
