"""Terms that any loss can have added: gradient penalties at reals or fakes, and the classification of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ganlab.errors import GanlabError
from ganlab.interfaces import Critique, DiscriminatorPass, GeneratorPass, LossValue
from ganlab_losses.built.gradients import full_precision, score_gradients, squared_norms

if TYPE_CHECKING:
    from torch import Tensor

    from ganlab_losses.regularizers import SquaredGradient


class SquaredGradientPenalty:
    """R1 or R2; see `ganlab_losses.regularizers`."""

    calls_critic = True

    def __init__(self, penalty: SquaredGradient) -> None:
        self.penalty = penalty
        self.on = penalty.on

    def discriminator(self, batch: DiscriminatorPass) -> LossValue:
        """The penalty of each sample, `[N]`."""
        images = batch.reals if self.on == "reals" else batch.fakes
        gradients, _ = score_gradients(batch.critic, images, self.on)
        squares = squared_norms(gradients)
        half = self.penalty.weight_at(batch.images_shown) / 2
        return LossValue(squares * half, {f"squared_gradient_norm/{self.on}": squares.detach()})

    def generator(self, batch: GeneratorPass) -> None:
        """Nothing: the term is the discriminator's alone."""


class LabelClassification:
    """AC-GAN's term; see `ganlab_losses.regularizers.AcGan`."""

    def __init__(self, *, weight: float) -> None:
        self.weight = weight

    def discriminator(self, batch: DiscriminatorPass) -> LossValue:
        """Cross-entropy of reals plus that of fakes, `[N]`; raises `GanlabError` where there are no labels."""
        real = cross_entropy(batch.real, batch.labels)
        fake = cross_entropy(batch.fake, batch.fake_labels)
        report = {"cross_entropy/real": real.detach(), "cross_entropy/fake": fake.detach()}
        return LossValue((real + fake) * self.weight, report)

    def generator(self, batch: GeneratorPass) -> LossValue:
        """Cross-entropy of fakes, `[N]`; raises `GanlabError` where there are no labels."""
        fake = cross_entropy(batch.fake, batch.fake_labels)
        return LossValue(fake * self.weight, {"cross_entropy/fake": fake.detach()})


def cross_entropy(critique: Critique, labels: Tensor | None) -> Tensor:
    """Softmax cross-entropy of one-hot `labels` `[N, label_size]` and the discriminator's logits, `[N]`."""
    if labels is None or labels.shape[1] == 0:
        raise GanlabError(
            "the regularizer 'ac-gan' needs labels, and the data set has none; leave it out of the recipe"
        )
    if critique.label_logits is None:
        raise GanlabError("the regularizer 'ac-gan' needs a discriminator that returns label logits; this one has none")
    return -(labels * full_precision(critique.label_logits).log_softmax(dim=1)).sum(dim=1)
