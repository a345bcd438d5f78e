"""The terms any loss can have added: R1 and R2 against autograd, AC-GAN against cross-entropy by hand."""

from __future__ import annotations

import math

import pytest
import torch

from ganlab.errors import GanlabError
from ganlab.interfaces import Critique, DiscriminatorPass
from ganlab_losses.regularizers import R1, R2, AcGan

from .passes import SmallCritic, discriminator_pass, generated, scored

LABELS = torch.eye(3)[[0, 2, 1, 1]]


@pytest.mark.parametrize(("component", "on"), [(R1(gamma=3.0), "reals"), (R2(gamma=3.0), "fakes")])
def test_gradient_penalties_equal_autograd_to_second_order(component: R1 | R2, on: str) -> None:
    critic = SmallCritic().double()
    batch = discriminator_pass(critic)
    critic.draws.clear()
    value = component.build().discriminator(batch)
    assert critic.draws == [on]
    images = getattr(batch, on).clone().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(images, on).scores.sum(), images, create_graph=True)
    expected = 1.5 * gradient.pow(2).sum(dim=(1, 2, 3))
    torch.testing.assert_close(value.per_sample, expected)
    torch.testing.assert_close(value.report[f"squared_gradient_norm/{on}"], expected.detach() / 1.5)
    parameters = [critic.convolution.weight, critic.dense.weight]
    ours = torch.autograd.grad(value.per_sample.mean(), parameters)
    theirs = torch.autograd.grad(expected.mean(), parameters)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("kind", [R1, R2])
def test_gamma_follows_half_a_cosine_where_that_is_asked_for(kind: type[R1 | R2]) -> None:
    batch = discriminator_pass(SmallCritic())
    plain = kind(gamma=1.0).build().discriminator(batch).per_sample
    falling = kind(gamma=2.0, gamma_end=0.2, gamma_images=100).build()
    for shown, gamma in ((0, 2.0), (50, 1.1), (100, 0.2), (900, 0.2)):
        value = falling.discriminator(batch._replace(images_shown=torch.tensor(shown)))
        torch.testing.assert_close(value.per_sample, gamma * plain)
    with pytest.raises(ValueError, match="gamma_images: expected a value, as gamma_end has one"):
        kind(gamma_end=0.2)


@pytest.mark.parametrize("component", [R1(), R2()])
def test_gradient_penalties_leave_the_generator_alone(component: R1 | R2) -> None:
    assert component.build().generator(generated(discriminator_pass(SmallCritic()))) is None


@pytest.mark.parametrize("component", [R1(), R2()])
def test_gradient_penalties_stay_float32_under_autocast(component: R1 | R2) -> None:
    critic = SmallCritic()
    with torch.autocast("cpu", torch.bfloat16):
        value = component.build().discriminator(discriminator_pass(critic))
    assert value.per_sample.dtype == torch.float32


def test_ac_gan_by_hand() -> None:
    labels = torch.eye(2)
    logits = torch.tensor([[0.0, 0.0], [1.0, 3.0]])
    unlabelled = scored([0.0, 0.0], [0.0, 0.0])
    batch = DiscriminatorPass(
        critic=unlabelled.critic,
        reals=unlabelled.reals,
        fakes=unlabelled.fakes,
        mixing_factors=unlabelled.mixing_factors,
        real=Critique(torch.zeros(2), logits),
        fake=Critique(torch.zeros(2), 2 * logits),
        labels=labels,
        fake_labels=labels.flip(0),
    )
    real = [math.log(2), math.log1p(math.exp(-2.0))]
    fake = [math.log(2), math.log1p(math.exp(4.0))]
    built = AcGan(weight=0.5).build()
    value = built.discriminator(batch)
    assert value.per_sample.tolist() == pytest.approx([0.5 * (r + f) for r, f in zip(real, fake, strict=True)])
    assert value.report["cross_entropy/real"].tolist() == pytest.approx(real)
    assert built.generator(generated(batch)).per_sample.tolist() == pytest.approx([0.5 * f for f in fake])


def test_ac_gan_trains_the_logits() -> None:
    critic = SmallCritic(label_size=3)
    batch = discriminator_pass(critic, labels=LABELS)
    AcGan().build().discriminator(batch).per_sample.mean().backward()
    gradient = critic.dense.weight.grad
    assert gradient is not None
    assert gradient[0].abs().max() == 0
    assert gradient[1:].abs().min() > 0


def test_ac_gan_without_labels_says_so() -> None:
    unlabelled = discriminator_pass(SmallCritic(label_size=3))
    for player in (
        lambda: AcGan().build().discriminator(unlabelled),
        lambda: AcGan().build().generator(generated(unlabelled)),
    ):
        with pytest.raises(GanlabError, match="'ac-gan' needs labels"):
            player()


def test_ac_gan_without_logits_says_so() -> None:
    with pytest.raises(GanlabError, match="'ac-gan' needs a discriminator that returns label logits"):
        AcGan().build().discriminator(discriminator_pass(SmallCritic(), labels=LABELS))
