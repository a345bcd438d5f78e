"""The relativistic pairing loss as a module."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ganlab.interfaces import DiscriminatorPass, GeneratorPass, LossValue
from ganlab.modules import AdversarialLossBase


class RelativisticLoss(AdversarialLossBase):
    """See `ganlab_r3gan.components.Relativistic`."""

    def discriminator(self, batch: DiscriminatorPass) -> LossValue:
        real, fake = _full_precision(batch.real.scores), _full_precision(batch.fake.scores)
        return LossValue(F.softplus(fake - real), {"scores/real": real.detach(), "scores/fake": fake.detach()})

    def generator(self, batch: GeneratorPass) -> LossValue:
        with torch.no_grad():  # the generator cannot change what a real image scores
            real = _full_precision(batch.critic(batch.reals, "reals").scores)
        fake = _full_precision(batch.fake.scores)
        return LossValue(F.softplus(real - fake), {"scores/fake": fake.detach()})


def _full_precision(scores: Tensor) -> Tensor:
    return scores.float() if scores.dtype in (torch.bfloat16, torch.float16) else scores
