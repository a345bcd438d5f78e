"""The losses without a gradient in them, on numbers worked out by hand."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import torch

from ganlab_losses.classification import Hinge, NonSaturating
from ganlab_losses.least_squares import Lsgan
from ganlab_losses.wasserstein import Wgan, WganGp

from .passes import generated, scored

if TYPE_CHECKING:
    from ganlab.interfaces import Loss

EVERY_LOSS = [WganGp(gp_weight=0.0), Wgan(), Lsgan(), NonSaturating(), Hinge()]


def both(component: Loss, real: list[float], fake: list[float]) -> tuple[list[float], list[float]]:
    """Both players' losses per sample."""
    loss = component.build()
    batch = scored(real, fake)
    return loss.discriminator(batch).per_sample.tolist(), loss.generator(generated(batch)).per_sample.tolist()


def test_hinge_stops_pushing_beyond_its_margins() -> None:
    discriminator, generator = both(Hinge(), [-2.0, 0.25, 3.0], [-3.0, 0.5, 2.0])
    assert discriminator == [3.0 + 0.0, 0.75 + 1.5, 0.0 + 3.0]
    assert generator == [3.0, -0.5, -2.0]


def test_non_saturating_is_the_logistic_loss() -> None:
    discriminator, generator = both(NonSaturating(), [0.0, 1.5], [0.0, -0.5])
    expected = [2 * math.log(2), math.log1p(math.exp(-1.5)) + math.log1p(math.exp(-0.5))]
    assert discriminator == pytest.approx(expected, rel=1e-6)
    assert generator == pytest.approx([math.log(2), math.log1p(math.exp(0.5))], rel=1e-6)


def test_non_saturating_is_finite_for_confident_scores() -> None:
    discriminator, generator = both(NonSaturating(), [-1e4], [1e4])
    assert discriminator == [2e4]
    assert generator == [0.0]


def test_lsgan_pulls_reals_to_0_fakes_to_1_and_the_generator_to_0() -> None:
    discriminator, generator = both(Lsgan(), [0.5, 0.0], [0.0, 3.0])
    assert discriminator == pytest.approx([0.25 + 0.1 * 1.0, 0.1 * 4.0])
    assert generator == [0.0, 9.0]


def test_lsgan_with_the_targets_of_mao_et_al() -> None:
    component = Lsgan(real_target=1.0, fake_target=0.0, generator_target=1.0, fake_weight=1.0)
    discriminator, generator = both(component, [0.5, 1.0], [0.0, 3.0])
    assert discriminator == [0.25, 9.0]
    assert generator == [1.0, 4.0]


def test_lsgan_refuses_equal_targets() -> None:
    with pytest.raises(ValueError, match="real_target and fake_target must differ"):
        Lsgan(real_target=1.0)


@pytest.mark.parametrize("component", [Wgan(), WganGp(gp_weight=0.0, drift=0.0)])
def test_the_wasserstein_losses_are_differences_of_scores(component: Loss) -> None:
    assert both(component, [0.5, -1.0], [2.0, 4.0]) == ([1.5, 5.0], [-2.0, -4.0])


def test_wgan_clips_every_parameter_of_the_discriminator() -> None:
    discriminator = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.PReLU(), torch.nn.Linear(5, 1))
    before = [parameter.detach().clone() for parameter in discriminator.parameters()]
    Wgan(clip=0.02).build().constrain(discriminator)
    for old, new in zip(before, discriminator.parameters(), strict=True):
        assert torch.equal(new, old.clamp(-0.02, 0.02))
        assert new.requires_grad
    assert any(not torch.equal(old, new) for old, new in zip(before, discriminator.parameters(), strict=True))


@pytest.mark.parametrize("component", EVERY_LOSS, ids=lambda component: type(component).__name__)
def test_every_loss_reports_scores_and_computes_in_float32(component: Loss) -> None:
    loss = component.build()
    batch = scored([0.5, 1.0], [2.0, 4.0])
    for critique in (batch.real, batch.fake):
        critique.scores.requires_grad_()
    for value in (loss.discriminator(batch), loss.generator(generated(batch))):
        assert value.per_sample.shape == (2,)
        assert value.per_sample.requires_grad
        assert not any(reported.requires_grad for reported in value.report.values())
        assert value.report["scores/fake"].tolist() == [2.0, 4.0]
    assert loss.discriminator(batch).report["scores/real"].tolist() == [0.5, 1.0]
    low = [critique._replace(scores=critique.scores.bfloat16()) for critique in (batch.real, batch.fake)]
    half = type(batch)(
        critic=batch.critic,
        reals=batch.reals,
        fakes=batch.fakes,
        real=low[0],
        fake=low[1],
        mixing_factors=batch.mixing_factors,
        labels=None,
        fake_labels=None,
    )
    assert loss.discriminator(half).per_sample.dtype == torch.float32
    assert loss.generator(generated(half)).per_sample.dtype == torch.float32


@pytest.mark.parametrize("component", EVERY_LOSS, ids=lambda component: type(component).__name__)
def test_only_lsgan_changes_the_noise_or_has_state(component: Loss) -> None:
    loss = component.build()
    adaptive = isinstance(component, Lsgan)
    assert (loss.noise_strength() is not None) == adaptive
    assert bool(loss.state_dict()) == adaptive
