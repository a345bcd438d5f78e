"""Whether the updates of a stage are worked out in two lanes, where `run.lanes` leaves it open.

The choice depends on the recipe, the shapes and the number of threads, never on a measurement: lanes add up gradients
in an order of their own, and a run that goes on has to come to the same bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ganlab.train.devices import autocast
from ganlab.train.lanes import Lane
from ganlab.train.operations import operations

if TYPE_CHECKING:
    from ganlab.interfaces import Stage
    from ganlab.recipe.schema import Recipe
    from ganlab.train.players import Pair, Players
    from ganlab.train.ranks import Ranks

LITTLE = 300_000_000
"""Operations of a minibatch's way through the discriminator up to which two lanes are the faster way; measured."""


class LaneChoice:
    """A second lane, if a run can have one, and the stages that take it."""

    def __init__(
        self, recipe: Recipe, players: Players, ranks: Ranks, channels: int, device: torch.device, *, scaled: bool
    ) -> None:
        self._always = recipe.run.lanes == "two"
        self._channels = channels
        self._players = players
        self._device = device
        self._autocast = autocast(device, recipe.run.precision)
        self._pays: dict[tuple[int, int], bool] = {}
        # Two halves of an update and threads for both; ranks have a process for each thread.
        obstacles = recipe.run.lanes == "one" or recipe.run.compile or ranks.several or scaled
        possible = not obstacles and device.type == "cpu" and torch.get_num_threads() > 1 and suits(players)
        self._lane = Lane(torch.get_num_threads() // 2) if possible else None

    def at(self, stage: Stage) -> Lane | None:
        """The lane for updates at this stage, or None."""
        return self._lane if self._lane is not None and (self._always or self._pays_at(stage)) else None

    def close(self) -> None:
        """No thread is left."""
        if self._lane is not None:
            self._lane.close()

    def _pays_at(self, stage: Stage) -> bool:
        shape = stage.resolution, stage.minibatch
        if shape not in self._pays:
            with self._autocast():
                count = pass_operations(self._players.pairs[0], self._channels, *shape, self._device)
            self._pays[shape] = count <= LITTLE
        return self._pays[shape]


def suits(players: Players) -> bool:
    """Whether there are two halves: a discriminator that takes reals and fakes together, and a term that asks more."""
    if not players.plain:
        return False
    (pair,) = players.pairs
    return pair.joins_passes and any(calls_critic(term) for term in (pair.loss, *pair.regularizers))


def calls_critic(term: object) -> bool:
    """Whether a loss or a regularizer has the discriminator judge images for it; see `ganlab.interfaces.Loss`."""
    return bool(getattr(term, "calls_critic", False))


@torch.no_grad()
def pass_operations(pair: Pair, channels: int, resolution: int, minibatch: int, device: torch.device) -> int:
    """Floating-point operations of the discriminator's look at a minibatch, which depend on its precision."""
    counter = _Counter()
    with counter:  # as many as in training, which some layers insist on
        pair.discriminator(torch.zeros(minibatch, channels, resolution, resolution, device=device))
    return counter.operations


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it untyped
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's
        self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.operations += operations(func, args, kwargs or {}, out)
        return out
