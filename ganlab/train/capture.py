"""Updates that are recorded once and replayed: on GPUs as CUDA graphs, on the CPU as `replay.py` does it.

What is recorded reads and writes tensors that stay in place: copies of the inputs, weights, optimizer state, buffers,
the fade and the learning rates. Nothing that Python works out anew from update to update may be in it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from ganlab.recipe.schema import Recipe
from ganlab.train.gradients import Part
from ganlab.train.ranks import Ranks
from ganlab.train.rates import settings_at

Found = TypeVar("Found")


@runtime_checkable
class Capturable(Protocol):
    """An optimizer whose steps can be recorded; see `ganlab.interfaces.Optimizer`."""

    def capturable(self) -> bool: ...
    def prepare(self) -> None: ...


class Recording(Protocol):
    """One kind of update."""

    refused: str | None
    """Why it cannot be recorded, in words, once that is known."""

    def do(self, work: Callable[[], Found]) -> Found:
        """Do the work: first as usual, later by replaying what it was seen to do."""
        ...


class Recorder(Protocol):
    """Records work on a device."""

    def begin(self, *, read_only: bool) -> Recording:
        """Of another kind of update; `read_only` promises that what it returns is not written to."""
        ...

    def forget(self) -> None:
        """No recording is going to be used any more."""
        ...


class Captures:
    """The recorded updates of the present level. Where one cannot be recorded, all are done as usual from then on."""

    def __init__(
        self,
        recorder: Recorder,
        optimizers: Mapping[str, Capturable],
        tell: Callable[[str], None],
        meanwhile: Callable[[], None],
    ) -> None:
        """`optimizers` by player, where their steps are part of what is recorded; `tell` is told what cannot be.

        `meanwhile` is called just before the work: a replay takes no Python, which others may then have.
        """
        self.with_optimizers = bool(optimizers)
        self._recorder = recorder
        self._optimizers = optimizers
        self._tell = tell
        self._meanwhile = meanwhile
        self._setting: Hashable = None
        self._updates: dict[tuple[str, ...], _Update] = {}
        self._reals = _Reals()
        self._refused = False

    def enter(self, setting: Hashable) -> None:
        """What is recorded holds for one setting (resolution, minibatch, whether faded); another begins anew."""
        if setting != self._setting:
            self._setting = setting
            self.forget()

    def forget(self) -> None:
        """Record anew: tensors have been replaced, as an optimizer's are when its state is cleared or loaded."""
        if self._updates:
            self._updates.clear()
            self._reals = _Reals()
            self._recorder.forget()

    def update(self, players: tuple[str, ...], inputs: Part, work: Callable[[Part], Found]) -> Found:
        """Do `work(inputs)`, a part of an update of `players`; what it returns is good until they are updated again."""
        if self.with_optimizers:
            for player in players:
                self._optimizers[player].prepare()
        if self._refused:
            self._meanwhile()
            return work(inputs)
        update = self._updates.get(players)
        if update is None:
            recording = self._recorder.begin(read_only=self.with_optimizers)
            update = self._updates[players] = _Update(inputs, self._reals.in_place(inputs.reals), recording)
        self._reals.take(inputs.reals)
        update.take(inputs)
        self._meanwhile()
        found = update.recording.do(lambda: work(update.inputs))
        if update.recording.refused is not None:
            self._refused = True
            self.forget()
            self._tell(update.recording.refused)
        return found


def obstacle_to_capture(recipe: Recipe, ranks: Ranks) -> str | None:
    """Why a run's losses and gradients cannot be captured, in words; None if nothing is known to be in the way."""
    run = recipe.run
    obstacles = {
        "there are several ranks": ranks.several,
        "run.micro_batches is not 1": run.micro_batches > 1,
        "run.compile is true": run.compile,
        "float16 scales its losses": run.precision == "float16",
    }
    return _first(obstacles)


def obstacle_to_whole(recipe: Recipe) -> str | None:
    """Why what follows the gradients cannot be captured with them, but for what the optimizer has to say."""
    obstacles = {
        "ema.rampup_images is set": recipe.ema.rampup_images is not None,
        "the optimizer's settings change": settings_at(recipe.optimizer, 0) is not None,
    }
    return _first(obstacles)


def _first(obstacles: Mapping[str, bool]) -> str | None:
    return next((reason for reason, holds in obstacles.items() if holds), None)


class _Reals:
    """The reals in place, which all updates of an iteration read; another minibatch is another tensor."""

    def __init__(self) -> None:
        self._own: Tensor | None = None
        self._taken: Tensor | None = None

    def in_place(self, like: Tensor) -> Tensor:
        """Where recordings read them."""
        if self._own is None:
            self._own = torch.empty_like(like)
        return self._own

    def take(self, reals: Tensor) -> None:
        """Copy them there, unless they are there since the last update."""
        if reals is not self._taken:
            self.in_place(reals).copy_(reals)
            self._taken = reals


class _Update:
    """One kind of update: its inputs in place, and its recording."""

    def __init__(self, like: Part, reals: Tensor, recording: Recording) -> None:
        labels = None if like.labels is None else torch.empty_like(like.labels)
        self.inputs = Part(reals, labels, like.draws.each(torch.empty_like))
        self.recording = recording
        self._own = _tensors(self.inputs)

    def take(self, inputs: Part) -> None:
        """Copy the inputs, but for the reals, to where the recording reads them."""
        torch._foreach_copy_(self._own, _tensors(inputs))


def _tensors(part: Part) -> list[Tensor]:
    labels = [] if part.labels is None else [part.labels]
    return [*labels, *part.draws.tensors()]
