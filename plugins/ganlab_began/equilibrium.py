"""BEGAN's loss, whose only state is the weight k that holds the errors of fakes and reals in proportion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ganlab.interfaces import DiscriminatorPass, GeneratorPass, LossValue
from ganlab.modules import AdversarialLossBase

if TYPE_CHECKING:
    from collections.abc import Mapping


class EquilibriumLoss(AdversarialLossBase):
    """See `ganlab_began.components.Began`. Scores are errors `[N]`, 0 or more."""

    k: Tensor
    """0-d, in [0, 1]: weight of the fakes in the discriminator's loss."""

    def __init__(self, *, gamma: float, k_rate: float, k_start: float) -> None:
        super().__init__()
        self.gamma = gamma
        self.k_rate = k_rate
        self.register_buffer("k", torch.tensor(float(k_start)))

    def discriminator(self, batch: DiscriminatorPass) -> LossValue:
        """L(x) - k L(G(z)), `[N]`. In micro-batches or ranks the convergence reported is the mean of their own."""
        # A copy: `observe` changes the buffer in place, and a graph made with it may still have to be differentiated.
        real, fake, k = batch.real.scores, batch.fake.scores, self.k.clone()
        balance = self.gamma * real.detach().mean() - fake.detach().mean()
        report = {
            "scores/real": real.detach(),
            "scores/fake": fake.detach(),
            "began/k": k,
            "began/balance": balance,
            "began/convergence": real.detach().mean() + balance.abs(),
        }
        return LossValue(real - k * fake, report)

    def generator(self, batch: GeneratorPass) -> LossValue:
        """L(G(z)), `[N]`."""
        return LossValue(batch.fake.scores, {"scores/fake": batch.fake.scores.detach()})

    def observe(self, loss: Tensor, report: Mapping[str, Tensor]) -> None:
        """Move k by the balance that the update found."""
        self.k.add_(self.k_rate * report["began/balance"].detach().to(self.k.dtype)).clamp_(0.0, 1.0)
