"""The losses that treat the discriminator as a classifier of reals against fakes."""

from __future__ import annotations

from torch.nn import functional as F

from ganlab.interfaces import DiscriminatorPass, GeneratorPass, LossValue
from ganlab.modules import AdversarialLossBase
from ganlab_losses.built.gradients import full_precision


class NonSaturatingLoss(AdversarialLossBase):
    """Logistic loss; see `ganlab_losses.classification.NonSaturating`."""

    def discriminator(self, batch: DiscriminatorPass) -> LossValue:
        real, fake = full_precision(batch.real.scores), full_precision(batch.fake.scores)
        report = {"scores/real": real.detach(), "scores/fake": fake.detach()}
        return LossValue(F.softplus(-real) + F.softplus(fake), report)

    def generator(self, batch: GeneratorPass) -> LossValue:
        fake = full_precision(batch.fake.scores)
        return LossValue(F.softplus(-fake), {"scores/fake": fake.detach()})


class HingeLoss(AdversarialLossBase):
    """Hinge loss; see `ganlab_losses.classification.Hinge`."""

    def discriminator(self, batch: DiscriminatorPass) -> LossValue:
        real, fake = full_precision(batch.real.scores), full_precision(batch.fake.scores)
        report = {"scores/real": real.detach(), "scores/fake": fake.detach()}
        return LossValue(F.relu(1 - real) + F.relu(1 + fake), report)

    def generator(self, batch: GeneratorPass) -> LossValue:
        fake = full_precision(batch.fake.scores)
        return LossValue(-fake, {"scores/fake": fake.detach()})
