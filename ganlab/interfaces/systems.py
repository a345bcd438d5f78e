"""Systems: which pairs of networks there are, and what each pair sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ganlab.interfaces.losses import LossValue
    from ganlab.interfaces.networks import ImageShape, Network


class Match(NamedTuple):
    """What one discriminator has to tell apart, `[N, C, R, R]` each."""

    reals: Tensor
    fakes: Tensor


class Play(NamedTuple):
    """What the generators of a system have made of a minibatch."""

    matches: Mapping[str, Match]
    """One for each of the system's pairs, by its name."""
    terms: LossValue | None = None
    """What the generators minimize beside their loss against the discriminators (cycle consistency)."""


class System(Protocol):
    """Kind `system`: which pairs of networks there are, what each sees of a minibatch, and how samples are made.

    The recipe's loss and regularizers are applied to each pair with a state of its own. One optimizer updates all
    generators and another all discriminators.
    """

    @property
    def generator_role(self) -> Literal["generator", "translator"]:
        """The role that the network in `[generator]` must have."""
        ...

    @property
    def domains(self) -> int:
        """Data sets that are shown side by side; the recipe's must have as many."""
        ...

    def build(self, images: ImageShape) -> BuiltSystem: ...


class BuiltSystem(Protocol):
    """A built system. State, if it has any, goes into buffers of a module; weights belong to the networks. Subclass
    `ganlab.SystemBase` and override what differs from one generator against one discriminator.

    With `chances`, a number, above 0 `remember(matches, uniform)` is called without gradients before each
    discriminator update, with uniform draws `[N, chances]` in [0, 1), and returns the matches to be judged (a pool of
    earlier fakes). Such a system works neither on several ranks nor in micro-batches.
    It may have `show(generators, latents, labels, reals, *, resolution, fade)` -> `[N, K, C, R, R]`, K pictures of each
    sample for the grids of a run; by default a grid shows what `sample` returns.
    """

    pairs: Sequence[str]
    """Names of the pairs, which stand before their values in the journal; `("",)` where there is one only."""
    samples_from_reals: bool
    """Whether `sample` needs real images."""
    chances: int
    """Uniform draws for each sample that `remember` needs; 0 where there is no such method."""

    def generators(self, network: Network) -> nn.Module:
        """Build every generator as the recipe's component says. Its attribute `latent_size` is how many numbers a
        sample takes, 0 for none; the module is averaged, saved and handed back as a whole.
        """
        ...

    def discriminators(self, network: Network) -> nn.Module:
        """Build every discriminator as the recipe's component says."""
        ...

    def discriminator(self, discriminators: nn.Module, pair: str) -> nn.Module:
        """The one of a pair."""
        ...

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
        """What each pair sees of a minibatch: a pure function. `reals` `[N, domains * C, R, R]` in [-1, 1] hold the
        domains' images one behind the other. `learning` is false, and gradients are off, where discriminators learn;
        `terms` are then not asked for. Where generators learn, `reals` are those of
        the last discriminator update and `labels` are drawn anew: they are not the labels of those reals.
        """
        ...

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
        """Images `[N, C, resolution, resolution]` to be looked at and measured against the data set; `reals` as in
        `play`, or None where `samples_from_reals` is false. It may depend on no buffer that changes: a saved generator
        is the networks' weights alone.
        """
        ...
