"""The Wasserstein losses, kept Lipschitz by a gradient penalty or by clipping the weights."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ganlab.interfaces import DiscriminatorPass, GeneratorPass, LossValue
from ganlab.modules import AdversarialLossBase
from ganlab_losses.built.gradients import full_precision, mixed_images, norms, of_images, score_gradients


class GradientPenalty(NamedTuple):
    """What the penalty is made of, each `[N]` and differentiable."""

    penalties: Tensor
    """(norm - target)^2, before any weight."""
    norms: Tensor
    """Euclidean norm of the gradient at the mixed images."""
    scores: Tensor
    """Scores of the mixed images."""


class WassersteinLoss(AdversarialLossBase):
    """The part that both have in common: the critic's scores of fakes against those of reals."""

    def discriminator(self, batch: DiscriminatorPass) -> LossValue:
        real, fake = full_precision(batch.real.scores), full_precision(batch.fake.scores)
        return LossValue(fake - real, {"scores/real": real.detach(), "scores/fake": fake.detach()})

    def generator(self, batch: GeneratorPass) -> LossValue:
        fake = full_precision(batch.fake.scores)
        return LossValue(-fake, {"scores/fake": fake.detach()})


class PenalizedWassersteinLoss(WassersteinLoss):
    """WGAN-GP with the drift term; see `ganlab_losses.wasserstein.WganGp`."""

    def __init__(self, *, gp_weight: float, drift: float, target: float, at_full_resolution: bool) -> None:
        super().__init__()
        self.gp_weight = gp_weight
        self.drift = drift
        self.target = target
        self.at_full_resolution = at_full_resolution
        self.calls_critic = bool(gp_weight)

    def gradient_penalty(self, batch: DiscriminatorPass) -> GradientPenalty:
        """The penalty's terms, without `gp_weight`."""
        mixed = mixed_images(batch.reals, batch.fakes, batch.mixing_factors)
        gradients, scores = score_gradients(batch.critic, mixed, "mixed")
        lengths = norms(gradients)
        if self.at_full_resolution:
            # Repeating a pixel k x k times divides its gradient over k^2 pixels: the norm falls to 1/k, exactly.
            lengths = lengths / batch.enlargement
        return GradientPenalty((lengths - self.target).square(), lengths, scores)

    def discriminator(self, batch: DiscriminatorPass) -> LossValue:
        penalty = self.gradient_penalty(batch) if self.gp_weight else None  # first: scores may still be on their way
        of_scores, report = super().discriminator(batch)
        per_sample, report = of_images(of_scores), dict(report)
        if penalty is not None:
            per_sample = per_sample + penalty.penalties * (self.gp_weight / self.target**2)
            report["scores/mixed"] = penalty.scores.detach()
            report["gradient_norm"] = penalty.norms.detach()
            report["gradient_penalty"] = penalty.penalties.detach()
        drift = of_images(full_precision(batch.real.scores).square())
        report["drift"] = drift.detach()
        return LossValue(per_sample + drift * self.drift, report)


class ClippedWassersteinLoss(WassersteinLoss):
    """WGAN with weight clipping; see `ganlab_losses.wasserstein.Wgan`."""

    def __init__(self, *, clip: float) -> None:
        super().__init__()
        self.clip = clip

    def constrain(self, discriminator: nn.Module) -> None:
        with torch.no_grad():
            for parameter in discriminator.parameters():
                parameter.clamp_(-self.clip, self.clip)
