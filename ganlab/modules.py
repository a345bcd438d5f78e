"""Base classes for built components, the only part of the public contract that imports torch."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from ganlab.interfaces import DiscriminatorPass, GeneratorPass, LossValue


class AdversarialLossBase(nn.Module):
    """A loss without state of its own: subclass it, write `discriminator` and `generator`, override the rest at need.

    Buffers registered here are saved in checkpoints and restored bit for bit.
    """

    def discriminator(self, batch: DiscriminatorPass) -> LossValue:
        """The discriminator's loss, `[N]` or 0-d."""
        raise NotImplementedError(f"{type(self).__name__} has no discriminator loss")

    def generator(self, batch: GeneratorPass) -> LossValue:
        """The generator's loss, `[N]` or 0-d."""
        raise NotImplementedError(f"{type(self).__name__} has no generator loss")

    def noise_strength(self) -> Tensor | None:
        """Strength for the discriminator's noise layers, 0-d, or None to leave them at their own."""
        return None

    def observe(self, loss: Tensor, report: Mapping[str, Tensor]) -> None:
        """See the discriminator's mean loss (0-d) and its report after an update; for losses that adapt."""

    def constrain(self, discriminator: nn.Module) -> None:
        """Change the discriminator's weights after its update, in place and without gradients; nothing by default."""
