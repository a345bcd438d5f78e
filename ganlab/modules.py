"""Base classes for built components, the only part of the public contract that imports torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from ganlab.interfaces import DiscriminatorPass, GeneratorPass, ImageShape, LossValue, Match, Network, Play


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


class SystemBase(nn.Module):
    """One generator from latents against one discriminator; a system of more pairs overrides what differs.

    Buffers registered here are saved in checkpoints and restored bit for bit.
    """

    pairs: Sequence[str] = ("",)
    samples_from_reals: bool = False
    chances: int = 0

    def __init__(self, images: ImageShape) -> None:
        super().__init__()
        self.images = images

    def generators(self, network: Network) -> nn.Module:
        """The generator itself."""
        return network.build(self.images)

    def discriminators(self, network: Network) -> nn.Module:
        """The discriminator itself."""
        return network.build(self.images)

    def discriminator(self, discriminators: nn.Module, pair: str) -> nn.Module:
        """The only one there is."""
        return discriminators

    def play(
        self,
        generators: nn.Module,
        latents: Tensor,
        labels: Tensor | None,
        reals: Tensor,
        *,
        resolution: int,
        fade: Tensor | None,
        learning: bool,
    ) -> Play:
        """The reals against what the generator makes of the latents."""
        fakes = generators(latents, labels, resolution=resolution, fade=fade)
        return Play({"": Match(reals, fakes)})

    def remember(self, matches: Mapping[str, Match], uniform: Tensor) -> Mapping[str, Match]:
        """The matches as they are."""
        return matches

    def sample(
        self,
        generators: nn.Module,
        latents: Tensor,
        labels: Tensor | None,
        reals: Tensor | None,
        *,
        resolution: int,
        fade: Tensor | None,
    ) -> Tensor:
        """What the generator makes of the latents."""
        images: Tensor = generators(latents, labels, resolution=resolution, fade=fade)
        return images
