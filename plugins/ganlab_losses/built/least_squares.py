"""The least-squares loss, and the noise strength it derives from how the discriminator is doing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from ganlab.interfaces import DiscriminatorPass, GeneratorPass, LossValue
from ganlab.modules import AdversarialLossBase
from ganlab_losses.built.gradients import full_precision

if TYPE_CHECKING:
    from collections.abc import Mapping


class AdaptiveNoise(nn.Module):
    """A running average of numbers in [0, 1], and the noise strength that follows from it; both are saved.

    Source: Karras et al. 2018, appendix B.
    """

    running_average: Tensor
    """0-d, in [0, 1]; 0 at the start."""
    strength: Tensor
    """0-d, 0 or more."""

    def __init__(self, *, coefficient: float, limit: float, exponent: float, average: float) -> None:
        super().__init__()
        self.coefficient = coefficient
        self.limit = limit
        self.exponent = exponent
        self.average = average
        self.register_buffer("running_average", torch.zeros(()))
        self.register_buffer("strength", torch.zeros(()))

    @torch.no_grad()
    def update(self, value: Tensor) -> None:
        """Take in one more value, clipped to [0, 1]; the buffers change in place, without looking at them."""
        clipped = value.clamp(0.0, 1.0).to(self.running_average.dtype)
        self.running_average.mul_(self.average).add_(clipped * (1.0 - self.average))
        excess = (self.running_average - self.limit).clamp(min=0.0)
        self.strength.copy_(self.coefficient * excess**self.exponent)


class LeastSquaresLoss(AdversarialLossBase):
    """LSGAN with adaptive noise; see `ganlab_losses.least_squares.Lsgan`."""

    def __init__(
        self,
        *,
        fake_weight: float,
        real_target: float,
        fake_target: float,
        generator_target: float,
        noise_input: Literal["output", "loss"],
        noise: AdaptiveNoise,
    ) -> None:
        super().__init__()
        self.fake_weight = fake_weight
        self.real_target = real_target
        self.fake_target = fake_target
        self.generator_target = generator_target
        self.noise_input = noise_input
        self.noise = noise

    def discriminator(self, batch: DiscriminatorPass) -> LossValue:
        real, fake = full_precision(batch.real.scores), full_precision(batch.fake.scores)
        pulled = (real - self.real_target).square() + self.fake_weight * (fake - self.fake_target).square()
        report = {"scores/real": real.detach(), "scores/fake": fake.detach()}
        if self.noise.coefficient:
            report["noise_strength"] = self.noise.strength.clone()
        return LossValue(pulled, report)

    def generator(self, batch: GeneratorPass) -> LossValue:
        fake = full_precision(batch.fake.scores)
        return LossValue((fake - self.generator_target).square(), {"scores/fake": fake.detach()})

    def noise_strength(self) -> Tensor | None:
        # A copy: `observe` changes the buffer in place, and a graph made with it may still have to be differentiated.
        return self.noise.strength.clone() if self.noise.coefficient else None

    def observe(self, loss: Tensor, report: Mapping[str, Tensor]) -> None:
        if self.noise_input == "loss":
            self.noise.update(loss.detach().mean())
        else:
            fake = report["scores/fake"].detach().mean()
            self.noise.update((fake - self.real_target) / (self.fake_target - self.real_target))
