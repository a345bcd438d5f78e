"""Losses and regularizers: what the two players minimize, and what they may use for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ganlab.interfaces.networks import Critique


class Critic(Protocol):
    """A discriminator at the present level with this step's noise filled in; pure, and differentiable twice.

    Where it computes in float16 it has the attribute `gradient_scale`, a 0-d power of two: multiply scores by it before
    their gradient with respect to images is taken and divide the gradient by it, or it vanishes on its way.
    """

    def __call__(self, images: Tensor, draw: Literal["reals", "fakes", "mixed"]) -> Critique: ...


class DiscriminatorPass(NamedTuple):
    """Everything a discriminator loss may use. All images `[N, C, R, R]`."""

    critic: Critic
    reals: Tensor
    fakes: Tensor
    """Generated images, without gradients to the generator (unless both are updated together)."""
    real: Critique
    fake: Critique
    mixing_factors: Tensor
    """Uniform draws `[N, 1, 1, 1]` in [0, 1): 0 is real, 1 is fake."""
    labels: Tensor | None
    """One-hot labels `[N, label_size]` of the reals, which the fakes were made with too."""
    fake_labels: Tensor | None
    enlargement: int = 1
    """Full resolution over the present one. The authors show every level as images of full resolution with repeated
    pixels, so their gradients with respect to images are `enlargement` times shorter than those at the level itself."""
    images_shown: Tensor | int = 0
    """Real images shown by the updates before this one, a 0-d int64 tensor in training: for terms whose weight changes
    as training goes on (`ganlab.annealing`). Asking for its value on the host would stop a GPU at each update."""


class GeneratorPass(NamedTuple):
    """Everything a generator loss may use."""

    critic: Critic
    fakes: Tensor
    fake: Critique
    fake_labels: Tensor | None
    reals: Tensor
    """The real images of the last discriminator step, for losses that compare pairs."""
    images_shown: Tensor | int = 0
    """As in `DiscriminatorPass`."""


class LossValue(NamedTuple):
    """A player's loss and what is worth logging beside it."""

    per_sample: Tensor
    """`[N]` (or 0-d); its mean is what is differentiated."""
    report: Mapping[str, Tensor] = {}
    """Name such as `scores/real` to a tensor, whose mean is logged."""


class Loss(Protocol):
    """Kind `loss`: what the two players minimize.

    One with which scores above 0 say "real" and those below "fake" has a true attribute `scores_around_zero`.
    """

    def build(self) -> AdversarialLoss:
        """An `nn.Module` whose buffers are saved in checkpoints."""
        ...


class AdversarialLoss(Protocol):
    """A built loss. Subclass `ganlab.AdversarialLossBase` to get the last three methods for nothing.

    One whose `discriminator` has `batch.critic` judge images, for a penalty, has a true attribute `calls_critic`: small
    networks then judge reals and fakes at the same time on another thread. It is best to look at `batch.real` and
    `batch.fake` after that, as they are waited for.
    """

    def discriminator(self, batch: DiscriminatorPass) -> LossValue: ...
    def generator(self, batch: GeneratorPass) -> LossValue: ...

    def noise_strength(self) -> Tensor | None:
        """Strength for the discriminator's noise layers as a 0-d tensor, or None to leave them at their own."""
        ...

    def observe(self, loss: Tensor, batch_scores: Mapping[str, Tensor]) -> None:
        """Called without gradients after each discriminator update with its mean loss and what was reported: the place
        to change buffers, in place.
        """
        ...

    def constrain(self, discriminator: nn.Module) -> None:
        """Called without gradients after each discriminator update (weight clipping)."""
        ...


class Regularizer(Protocol):
    """Kind `regularizer`: a term that any loss can have added (R1, the AC-GAN classification term).

    One that learns from labels has the property `needs_labels`, which is true.
    """

    def build(self) -> BuiltRegularizer: ...


class BuiltRegularizer(Protocol):
    """A built regularizer; either method may return None where it adds nothing. `calls_critic` is as in a loss.

    State goes into buffers of a module, which a method `observe`, called as that of `AdversarialLoss`, may change in
    place.
    """

    def discriminator(self, batch: DiscriminatorPass) -> LossValue | None: ...
    def generator(self, batch: GeneratorPass) -> LossValue | None: ...
