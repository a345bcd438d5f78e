"""Two translators and two critics at work: who sees what, and what must come back as it went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ganlab.errors import GanlabError
from ganlab.interfaces import ImageShape, LossValue, Match, Network, Play
from ganlab.modules import SystemBase
from ganlab_cyclegan.pool import CHANCES, Pool

if TYPE_CHECKING:
    from ganlab_cyclegan.system import Cycle

PAIRS = ("a", "b")


class Translators(nn.Module):
    """Both ways of translating."""

    latent_size = 0
    label_size = 0

    def __init__(self, a_to_b: nn.Module, b_to_a: nn.Module) -> None:
        super().__init__()
        self.a_to_b = a_to_b
        self.b_to_a = b_to_a


class BuiltCycle(SystemBase):
    """See `ganlab_cyclegan.system.Cycle`. Its buffers are the pools of earlier fakes."""

    pairs = PAIRS
    samples_from_reals = True

    def __init__(self, config: Cycle, images: ImageShape) -> None:
        super().__init__(images)
        self.cycle_weight = config.cycle_weight
        self.identity_weight = config.identity_weight
        shape = (images.channels, images.resolution, images.resolution)
        self.pools = nn.ModuleDict({pair: Pool(config.pool_size, shape) for pair in PAIRS if config.pool_size})
        self.chances = CHANCES * len(self.pools)  # those of one pool behind those of the other

    def generators(self, network: Network) -> Translators:
        """Both translators. Raises `GanlabError` for one that takes latents, which are not drawn."""
        a_to_b, b_to_a = network.build(self.images), network.build(self.images)
        if getattr(a_to_b, "latent_size", 0):
            raise GanlabError("the system 'cycle' draws no latents; its translator must have none")
        return Translators(a_to_b, b_to_a)

    def discriminators(self, network: Network) -> nn.ModuleDict:
        """A critic of each set."""
        return nn.ModuleDict({pair: network.build(self.images) for pair in PAIRS})

    def discriminator(self, discriminators: nn.Module, pair: str) -> nn.Module:
        """The critic of set `pair`."""
        return discriminators.get_submodule(pair)

    def play(
        self,
        generators: Any,
        latents: Tensor,
        labels: Tensor | None,
        reals: Tensor,
        *,
        resolution: int,
        fade: Tensor | None,
        learning: bool,
    ) -> Play:
        """Reals of each set against translations from the other; while learning, also what came back."""
        a, b = reals.chunk(2, 1)
        as_b, as_a = generators.a_to_b(a, fade=fade), generators.b_to_a(b, fade=fade)
        matches = {"a": Match(a, as_a), "b": Match(b, as_b)}
        if not learning:
            return Play(matches)
        differences = {
            "cycle/a": _difference(generators.b_to_a(as_b, fade=fade), a),
            "cycle/b": _difference(generators.a_to_b(as_a, fade=fade), b),
        }
        total = self.cycle_weight * (differences["cycle/a"] + differences["cycle/b"])
        if self.identity_weight:
            differences["identity/a"] = _difference(generators.b_to_a(a, fade=fade), a)
            differences["identity/b"] = _difference(generators.a_to_b(b, fade=fade), b)
            total = total + self.identity_weight * (differences["identity/a"] + differences["identity/b"])
        return Play(matches, LossValue(total, {name: value.detach() for name, value in differences.items()}))

    def remember(self, matches: Mapping[str, Match], uniform: Tensor) -> Mapping[str, Match]:
        """The same reals against fakes that may be earlier ones; the present fakes go into the pools."""
        if not self.pools:
            return matches
        shown = {}
        for pair, chances in zip(PAIRS, uniform.chunk(len(PAIRS), 1), strict=True):
            match = matches[pair]
            shown[pair] = Match(match.reals, self.pools[pair](match.fakes, chances))
        return shown

    def sample(
        self,
        generators: Any,
        latents: Tensor,
        labels: Tensor | None,
        reals: Tensor | None,
        *,
        resolution: int,
        fade: Tensor | None,
    ) -> Tensor:
        """Images of set a as images of set b."""
        assert reals is not None, "samples are made from real images"
        images: Tensor = generators.a_to_b(reals.chunk(2, 1)[0], fade=fade)
        return images

    def show(
        self,
        generators: Any,
        latents: Tensor,
        labels: Tensor | None,
        reals: Tensor,
        *,
        resolution: int,
        fade: Tensor | None,
    ) -> Tensor:
        """`[N, 6, C, R, R]`: an image of a, as b, and back; an image of b, as a, and back."""
        a, b = reals.chunk(2, 1)
        as_b, as_a = generators.a_to_b(a, fade=fade), generators.b_to_a(b, fade=fade)
        back = generators.b_to_a(as_b, fade=fade), generators.a_to_b(as_a, fade=fade)
        return torch.stack([a, as_b, back[0], b, as_a, back[1]], 1)


def _difference(images: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute difference of each sample, `[N]`, in float32 at least."""
    return (images.to(wanted.dtype) - wanted).abs().flatten(1).mean(1)
