"""The gradient penalty: its value, its own gradient, and what happens where gradients vanish or precision is low."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from ganlab.interfaces import Critique
from ganlab_losses.built.gradients import mixed_images, norms
from ganlab_losses.wasserstein import WganGp

from .passes import SmallCritic, discriminator_pass, generated


def reference(critic: SmallCritic, gp_weight: float, drift: float, target: float) -> Tensor:
    """The loss per sample by torch.autograd.grad with a graph of its own."""
    batch = discriminator_pass(critic)
    mixed = (batch.reals * (1 - batch.mixing_factors) + batch.fakes * batch.mixing_factors).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(mixed, "mixed").scores.sum(), mixed, create_graph=True)
    lengths = torch.linalg.vector_norm(gradient, dim=(1, 2, 3))
    penalty = gp_weight / target**2 * (lengths - target) ** 2
    real, fake = critic(batch.reals, "reals").scores, critic(batch.fakes, "fakes").scores
    return fake - real + penalty + drift * real**2


@pytest.mark.parametrize(("gp_weight", "drift", "target"), [(10.0, 0.001, 1.0), (4.0, 0.3, 750.0), (0.0, 0.1, 1.0)])
def test_the_loss_and_its_second_order_gradient_equal_autograd(gp_weight: float, drift: float, target: float) -> None:
    critic = SmallCritic().double()
    loss = WganGp(gp_weight=gp_weight, drift=drift, target=target).build()
    ours = loss.discriminator(discriminator_pass(critic)).per_sample
    theirs = reference(critic, gp_weight, drift, target)
    torch.testing.assert_close(ours, theirs)
    parameters = list(critic.parameters())
    for a, b in zip(
        torch.autograd.grad(ours.mean(), parameters), torch.autograd.grad(theirs.mean(), parameters), strict=True
    ):
        torch.testing.assert_close(a, b)


def test_what_is_reported() -> None:
    critic = SmallCritic()
    report = WganGp(target=2.0).build().discriminator(discriminator_pass(critic)).report
    assert set(report) == {"scores/real", "scores/fake", "scores/mixed", "gradient_norm", "gradient_penalty", "drift"}
    torch.testing.assert_close(report["gradient_penalty"], (report["gradient_norm"] - 2.0) ** 2)
    torch.testing.assert_close(report["drift"], report["scores/real"] ** 2)
    assert not any(value.requires_grad for value in report.values())
    assert critic.draws == ["reals", "fakes", "mixed"]


def test_the_generator_raises_its_scores() -> None:
    batch = generated(discriminator_pass(SmallCritic()))
    assert torch.equal(WganGp().build().generator(batch).per_sample, -batch.fake.scores)


def test_mixing_goes_from_reals_at_0_to_fakes_at_1() -> None:
    reals, fakes = torch.zeros(3, 1, 4, 4), torch.ones(3, 1, 4, 4)
    mixed = mixed_images(reals, fakes, torch.tensor([0.0, 0.25, 1.0]).view(3, 1, 1, 1))
    assert torch.equal(mixed, torch.tensor([0.0, 0.25, 1.0]).view(3, 1, 1, 1).expand(3, 1, 4, 4))


class Indifferent(nn.Module):
    """A critic that is flat at first: its gradient with respect to images is exactly zero."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))

    def forward(self, images: Tensor, draw: str) -> Critique:
        return Critique(images.mean(dim=(2, 3)) @ self.weight, None)


def test_a_zero_gradient_gives_a_finite_gradient_of_the_penalty() -> None:
    critic = Indifferent()
    value = WganGp().build().discriminator(discriminator_pass(critic))
    assert torch.equal(value.report["gradient_norm"], torch.zeros(4))
    assert torch.equal(value.report["gradient_penalty"], torch.ones(4))
    value.per_sample.mean().backward()
    assert critic.weight.grad is not None
    assert torch.isfinite(critic.weight.grad).all()


def test_norms_are_exact_and_flat_at_zero() -> None:
    gradients = torch.tensor([[3.0, 4.0], [0.0, 0.0], [1e-15, 0.0]], requires_grad=True)
    lengths = norms(gradients)
    assert lengths.tolist() == [5.0, 0.0, pytest.approx(1e-15)]
    lengths.sum().backward()
    torch.testing.assert_close(gradients.grad, torch.tensor([[0.6, 0.8], [0.0, 0.0], [1.0, 0.0]]))


def test_under_bfloat16_autocast_the_penalty_stays_float32() -> None:
    critic = SmallCritic()
    exact = WganGp().build().discriminator(discriminator_pass(critic))
    with torch.autocast("cpu", torch.bfloat16):
        batch = discriminator_pass(critic)
        assert batch.real.scores.dtype == torch.bfloat16
        value = WganGp().build().discriminator(batch)
    assert value.per_sample.dtype == torch.float32
    for name in ("gradient_norm", "gradient_penalty", "scores/mixed", "drift"):
        assert value.report[name].dtype == torch.float32, name
    torch.testing.assert_close(value.report["gradient_norm"], exact.report["gradient_norm"], rtol=0.02, atol=0.0)
    value.per_sample.mean().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in critic.parameters())


def test_gradients_reach_the_fakes_for_players_updated_together() -> None:
    critic = SmallCritic()
    batch = discriminator_pass(critic)
    fakes = batch.fakes.requires_grad_()
    WganGp().build().gradient_penalty(batch).penalties.sum().backward()
    assert fakes.grad is not None
    assert fakes.grad.abs().max() > 0


@pytest.mark.parametrize(("norm_of", "shorter"), [("full-resolution", 4.0), ("level", 1.0)])
def test_a_level_is_penalized_as_if_shown_at_full_resolution_unless_told_otherwise(
    norm_of: Literal["full-resolution", "level"], shorter: float
) -> None:
    critic = SmallCritic().double()
    here = discriminator_pass(critic)._replace(enlargement=4)
    ours = WganGp(norm_of=norm_of).build().gradient_penalty(here)
    mixed = mixed_images(here.reals, here.fakes, here.mixing_factors)
    full = nn.functional.interpolate(mixed, scale_factor=4, mode="nearest").requires_grad_()
    shown = nn.functional.avg_pool2d(full, 4)
    (gradient,) = torch.autograd.grad(critic(shown, "mixed").scores.sum(), full)
    torch.testing.assert_close(ours.norms * shorter, gradient.flatten(1).norm(dim=1) * 4.0)
