"""Networks, averaged generator and losses of every pair, built from a recipe and initialized from its seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor, nn

from ganlab.errors import GanlabError
from ganlab.interfaces import AdversarialLoss, BuiltRegularizer, BuiltSystem, ImageShape
from ganlab.modules import SystemBase
from ganlab.randomness import derived_seed, generator
from ganlab.recipe.schema import Recipe
from ganlab.train.draws import Wanted


@attrs.frozen
class Lists:
    """What every update asks of a network's modules, looked up once: walking one takes as long as a layer."""

    parameters: Sequence[nn.Parameter]
    """Those that learn."""
    before_update: Sequence[Callable[[], None]]
    """See `ganlab.interfaces.Network`."""
    holders: Sequence[Any]
    """Modules with `hold()` and `release()`."""

    @classmethod
    def of(cls, network: nn.Module) -> Lists:
        """Walk the network."""
        modules = list(network.modules())
        return cls(
            [parameter for parameter in network.parameters() if parameter.requires_grad],
            [before for module in modules if (before := getattr(module, "before_update", None)) is not None],
            [module for module in modules if hasattr(module, "hold")],
        )


@attrs.frozen
class Pair:
    """A discriminator, and what is minimized with it."""

    name: str
    """In the system; "" where there is one pair only."""
    discriminator: Any
    """An `nn.Module` called as `ganlab.interfaces.Discriminator`."""
    loss: AdversarialLoss
    regularizers: Sequence[BuiltRegularizer] = ()
    augmentation: Any = None
    """A `ganlab.interfaces.BuiltAugmentation`, or None."""
    joins_passes: bool = attrs.field()
    """Whether the discriminator takes reals and fakes in one call; see `ganlab.interfaces.Discriminator`."""
    observers: Sequence[Callable[[Tensor, Mapping[str, Tensor]], None]] = attrs.field(init=False)
    """Of the loss and of those regularizers that have one; see `ganlab.interfaces.AdversarialLoss.observe`."""

    @joins_passes.default
    def _ask(self) -> bool:
        return bool(getattr(self.discriminator, "joins_passes", False))

    @observers.default
    def _look_up(self) -> Sequence[Callable[[Tensor, Mapping[str, Tensor]], None]]:
        asked = [self.loss.observe, *(getattr(term, "observe", None) for term in self.regularizers)]
        return [observe for observe in asked if observe is not None]

    def named(self, value: str) -> str:
        """The name that a value of this pair has in the journal."""
        return f"{self.name}/{value}" if self.name else value

    def wanted(self, resolution: int) -> Wanted:
        """The random numbers it needs at a resolution."""
        augmentation = 0 if self.augmentation is None else self.augmentation.draws
        return Wanted(self.discriminator.noise_channels(resolution), augmentation)

    def parts(self) -> dict[str, object]:
        """What may hold state beside the discriminator, by the name it has in a checkpoint."""
        ending = f".{self.name}" if self.name else ""
        regularizers = {f"regularizer{number}{ending}": built for number, built in enumerate(self.regularizers)}
        return {f"loss{ending}": self.loss, **regularizers, f"augmentation{ending}": self.augmentation}


@attrs.frozen
class Players:
    """Everything that learns or holds state in a training."""

    generator: Any
    """All generators, as the system calls them; in a system of one pair a `ganlab.interfaces.Generator`."""
    discriminator: Any
    """All discriminators."""
    averaged: Any
    """The generators' moving average, which is what is sampled."""
    system: BuiltSystem
    pairs: Sequence[Pair]
    lists: Mapping[str, Lists] = attrs.field()
    """Of "generator" and "discriminator"."""

    @lists.default
    def _look_up(self) -> Mapping[str, Lists]:
        return {"generator": Lists.of(self.generator), "discriminator": Lists.of(self.discriminator)}

    @property
    def plain(self) -> bool:
        """Whether there is one discriminator, which is shown the minibatch as it comes."""
        alone = len(self.pairs) == 1 and self.pairs[0].discriminator is self.discriminator
        return alone and type(self.system).play is SystemBase.play

    def modules(self) -> dict[str, nn.Module]:
        """Every part with weights or state, by the name it has in a checkpoint."""
        parts = {"generator": self.generator, "discriminator": self.discriminator, "averaged": self.averaged}
        parts["system"] = self.system
        for pair in self.pairs:
            parts.update(pair.parts())
        return {name: part for name, part in parts.items() if isinstance(part, nn.Module)}


def one_pair(
    generator: Any,
    discriminator: Any,
    averaged: Any,
    loss: AdversarialLoss,
    regularizers: Sequence[BuiltRegularizer] = (),
) -> Players:
    """One generator against one discriminator, from parts that have been built."""
    system = SystemBase(ImageShape(3, 4))  # it asks nothing of the images
    return Players(generator, discriminator, averaged, system, (Pair("", discriminator, loss, regularizers),))


def build_players(recipe: Recipe, images: ImageShape, device: torch.device) -> Players:
    """Build and initialize on `device`. Raises `ValueError` as components do."""
    players = bare_players(recipe, images)
    for name in ("generator", "discriminator"):
        initialize(getattr(players, name), recipe.run.seed, name)
    players.averaged.load_state_dict(players.generator.state_dict())
    for module in players.modules().values():
        # Channels last: convolutions need no copies between layouts (1.16x a step on two cores at 16x16).
        module.to(device).to(memory_format=torch.channels_last)
    return players


def bare_players(recipe: Recipe, images: ImageShape) -> Players:
    """Build on torch's default device without drawing weights, for a look at shapes or for weights from elsewhere."""
    system = recipe.system.build(images)
    networks = {}
    for name in ("generator", "discriminator", "averaged"):
        player = "generator" if name == "averaged" else name
        build = system.discriminators if name == "discriminator" else system.generators
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derived_seed(recipe.run.seed, f"build/{player}"))  # for modules that draw for themselves
            networks[name] = build(getattr(recipe, player))
        for module in networks[name].modules():
            if recipe.run.recompute_from and getattr(module, "resolution", 0) >= recipe.run.recompute_from:
                if any(getattr(part, "changes_in_forward", False) for part in module.modules()):
                    raise GanlabError(
                        f"run.recompute_from: the {player} has layers that follow statistics in every pass (batch "
                        "normalization), which would count twice; set it to 0, or use another normalization"
                    )
                module.recomputed = True  # type: ignore[assignment]  # torch's stub: attributes are modules
    averaged = networks["averaged"].requires_grad_(False)
    averaged.eval()
    pairs = tuple(_pair(recipe, images, system, networks["discriminator"], name) for name in system.pairs)
    return Players(networks["generator"], networks["discriminator"], averaged, system, pairs)


def _pair(recipe: Recipe, images: ImageShape, system: BuiltSystem, discriminators: nn.Module, name: str) -> Pair:
    discriminator = system.discriminator(discriminators, name)
    regularizers = tuple(component.build() for component in recipe.regularizers)
    return Pair(name, discriminator, recipe.loss.build(), regularizers, recipe.augmentation.build(images))


def initialize(network: nn.Module, seed: int, player: str) -> None:
    """Draw every weight as a pure function of (seed, player, module name), so that variants share what they can."""
    for name, module in network.named_modules():
        begin = getattr(module, "initialize", None)
        if begin is not None:
            begin(_draw(seed, f"weights/{player}/{name}"))


def _draw(seed: int, purpose: str) -> Callable[[str, Sequence[int]], Tensor]:
    def draw(name: str, shape: Sequence[int]) -> Tensor:
        values = generator(seed, f"{purpose}/{name}").standard_normal(tuple(shape), dtype=np.float32)
        return torch.from_numpy(values)

    return draw
