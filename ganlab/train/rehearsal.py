"""A step of any level gone through on tensors without content: what it takes, known before anything is trained."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

import attrs
import torch
from torch import Tensor

from ganlab.blame import culprit
from ganlab.interfaces import ImageShape, Stage
from ganlab.recipe.schema import Recipe
from ganlab.track.store import reason
from ganlab.train.capture import obstacle_to_capture
from ganlab.train.critics import Level
from ganlab.train.devices import autocast
from ganlab.train.draws import Draws, Wanted
from ganlab.train.hollow import Hollow, HollowMode
from ganlab.train.operations import operations
from ganlab.train.outcome import Outcome
from ganlab.train.players import Players, bare_players
from ganlab.train.ranks import ALONE
from ganlab.train.replay import hindrance
from ganlab.train.step import discriminator_step, generator_step, joint_step


@attrs.frozen
class Rehearsed:
    """What one iteration (all discriminator updates and a generator update) takes."""

    peak_bytes: int
    """The most memory its tensors hold at once: both networks, the average and the optimizers' state included."""
    operations: int
    """Floating-point operations of its convolutions and matrix products, all parts together, two a multiply-add."""
    parameters: int
    """Parameters of both networks that get a gradient."""


class Rehearsal:
    """The networks of a recipe without content, and their steps at any stage. Raises what components raise."""

    def __init__(self, recipe: Recipe, images: ImageShape, device: torch.device) -> None:
        self.recipe = recipe
        self.images = images
        if device.type == "cuda" and device.index is None:  # autograd looks for the queue of a numbered device
            device = torch.device("cuda", torch.cuda.current_device())
        self.device = device
        self._built = _Following(None)
        self._mode = HollowMode(self._built)
        with self._mode, device:
            self._players = bare_players(recipe, images)

    def step(self, stage: Stage, *, faded: bool = True, parts: int = 1) -> Rehearsed:
        """One iteration at the resolution and minibatch of `stage`; `faded` has it half faded in.

        With `parts` the memory is that of working out one of so many equal parts of the minibatch at a time.
        """
        following = self._mode.observer = _Following(self._built)
        updates = self.recipe.updates.discriminator_steps  # before one of the generator
        parameters = total = 0
        with self._mode, self.device:
            for outcome in self._outcomes(stage, faded, max(1, stage.minibatch // parts)):
                gradients = [gradient for gradient in outcome.gradients if gradient is not None]
                # Two moments beside each gradient, as Adam keeps them.
                following.hold(2 * sum(gradient.untyped_storage().nbytes() for gradient in gradients))
                parameters += sum(gradient.numel() for gradient in gradients)
                total += following.operations * parts * updates
                following.operations, updates = 0, 1
                del outcome, gradients
        beside = 0
        if parts > 1:
            beside = 4 * parameters  # a second set of gradients, in which parts are added up
        elif hindrance(self.recipe.run, self.device) is None and obstacle_to_capture(self.recipe, ALONE) is None:
            beside = self._built.alive + 8 * parameters  # what stays, with two moments, while a replay is compared
        return Rehearsed(following.peak + beside, total, parameters)

    def _outcomes(self, stage: Stage, faded: bool, minibatch: int) -> Iterator[Outcome]:
        """(discriminator, generator) outcomes of one pass each."""
        recipe, images, device = self.recipe, self.images, self.device
        players: Players = self._players
        channels = recipe.system.domains * images.channels
        reals = torch.empty(minibatch, channels, stage.resolution, stage.resolution, device=device)
        labels = torch.empty(minibatch, images.label_size, device=device) if images.label_size else None
        draws = hollow_draws(players, stage.resolution, minibatch, device)
        fade = torch.empty((), device=device) if faded else None
        shown = torch.empty((), dtype=torch.int64, device=device)
        level = Level(stage.resolution, fade, images.resolution // stage.resolution, shown)
        context = autocast(device, recipe.run.precision)
        if recipe.updates.together:
            yield from joint_step(players, reals, labels, draws, level, context)
        else:
            yield discriminator_step(players, reals, labels, draws, level, context)
            yield generator_step(players, reals, labels, draws, level, context)


def hollow_draws(players: Players, resolution: int, minibatch: int, device: torch.device) -> Draws:
    """The draws of a pass, without content."""

    def empty(*shape: int) -> Tensor:
        return torch.empty(minibatch, *shape, device=device)

    def of(wanted: Wanted, latent_size: int, chances: int) -> Draws:
        noise = [empty(width) for width in wanted.noise_channels]
        uniform = {name: empty(wanted.augmentation) for name in ("reals", "fakes")}
        each = {"reals": noise, "fakes": noise, "mixed": noise}
        uniform.update(chances=empty(chances), mixing=empty(1, 1, 1))
        return Draws(empty(latent_size), each, uniform)

    wanted = {pair.name: pair.wanted(resolution) for pair in players.pairs}
    common = of(wanted.pop("", Wanted()), players.generator.latent_size, players.system.chances)
    return attrs.evolve(common, others={name: of(numbers, 0, 0) for name, numbers in wanted.items()})


def obstacle(error: Exception) -> str:
    """Why a rehearsal was not possible, for people: components may do what needs content, or be wrong."""
    text = reason(error).replace(f"'{Hollow.__name__}'", "'Tensor'")
    found = culprit(error)
    place = f" at {found.place}" if found else ""
    return f"a step tried on tensors without content raised {type(error).__name__}: {text}{place}"


class _Following:
    """Adds up the storages alive, remembers the most there ever were at once, and counts operations."""

    def __init__(self, before: _Following | None) -> None:
        self.operations = 0
        self.alive: int = before.alive if before else 0
        self.peak = self.alive
        known = before._known if before else {}
        self._known: weakref.WeakKeyDictionary[torch.UntypedStorage, None] = weakref.WeakKeyDictionary(known)

    def __call__(self, func: Any, args: Any, kwargs: Any, out: Any) -> None:
        self.operations += operations(func, args, kwargs, out)
        for item in (out,) if isinstance(out, Tensor) else out if isinstance(out, list | tuple) else ():
            if isinstance(item, Tensor):
                self._follow(item)

    def hold(self, size: int) -> None:
        """Memory that is taken now and stays."""
        self.alive += size
        self.peak = max(self.peak, self.alive)

    def _follow(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage in self._known:
            return
        size = storage.nbytes()
        self._known[storage] = None
        self.hold(size)
        weakref.finalize(storage, self._forget, size)

    def _forget(self, size: int) -> None:
        self.alive -= size
