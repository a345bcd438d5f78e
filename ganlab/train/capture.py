"""Whole updates recorded once as CUDA graphs and replayed: one launch instead of a thousand.

What is recorded reads and writes tensors that stay in place: copies of the inputs, weights, optimizer state, buffers,
the fade and the learning rates. Nothing that Python works out anew from update to update may be in it.

Source: docs.pytorch.org/docs/stable/notes/cuda.html, "Whole-network capture".
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from ganlab.recipe.schema import Recipe
from ganlab.train.gradients import Part
from ganlab.train.ranks import Ranks
from ganlab.train.rates import settings_at

WARM_UP = 3
"""Updates that are done as usual before one is recorded: libraries choose kernels and optimizers make their state."""

Report = Mapping[str, Tensor]
Found = TypeVar("Found")


@runtime_checkable
class Capturable(Protocol):
    """An optimizer whose steps can be recorded; see `ganlab.interfaces.Optimizer`."""

    def capturable(self) -> bool: ...
    def prepare(self) -> None: ...


class Recorder(Protocol):
    """Records work on a device."""

    def warm_up(self, work: Callable[[], Found]) -> Found:
        """Do the work now, as it will be done when it is recorded."""
        ...

    def record(self, work: Callable[[], Found]) -> Callable[[], Found]:
        """Record the work without doing it; what is returned does it, and gives the same tensors each time.

        Raises `RuntimeError` where something in it cannot be recorded.
        """
        ...

    def forget(self) -> None:
        """No recording is going to be used any more."""
        ...


class CudaRecorder:
    """Records CUDA graphs, which share one pool of memory and are replayed on the current stream."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._pool = torch.cuda.graph_pool_handle()

    def warm_up(self, work: Callable[[], Found]) -> Found:
        """On the stream of the recordings: libraries keep their workspaces by stream."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            found = work()
        current.wait_stream(self._stream)
        return found

    def record(self, work: Callable[[], Found]) -> Callable[[], Found]:
        """A graph of all that the work launches."""
        graph = torch.cuda.CUDAGraph()
        # Only this thread is held to what a recording allows: others decode images into pinned memory meanwhile.
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
            found = work()

        def replay() -> Found:
            graph.replay()
            return found

        return replay

    def forget(self) -> None:
        """Wait for the last replays, whose memory is given back, and begin another pool."""
        torch.cuda.synchronize(self._device)
        self._pool = torch.cuda.graph_pool_handle()


class Captures:
    """The recorded updates of the present level. Where one cannot be recorded, all are done as usual from then on."""

    def __init__(self, recorder: Recorder, optimizers: Mapping[str, Capturable]) -> None:
        self._recorder = recorder
        self._optimizers = optimizers
        self._setting: Hashable = None
        self._updates: dict[tuple[str, ...], _Update] = {}
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
            self._recorder.forget()

    def update(
        self, players: tuple[str, ...], inputs: Part, work: Callable[[Part], Sequence[Report]]
    ) -> Sequence[Report]:
        """Do `work(inputs)`, which updates `players`; what it returns is good until they are updated again."""
        for player in players:
            self._optimizers[player].prepare()
        if self._refused:
            return work(inputs)
        update = self._updates.get(players)
        if update is None:
            update = self._updates[players] = _Update(inputs)
        update.take(inputs)
        if update.replay is None and update.done < WARM_UP:
            update.done += 1
            return self._recorder.warm_up(lambda: work(update.inputs))
        if update.replay is None:
            try:
                update.replay = self._recorder.record(lambda: work(update.inputs))
            except RuntimeError as error:
                self._refuse(error)
                return work(inputs)
        return update.replay()

    def _refuse(self, error: RuntimeError) -> None:
        self._refused = True
        self.forget()
        reason = str(error).partition("\n")[0]
        warnings.warn(f"run.cuda_graphs: an update cannot be captured ({reason}); going on without", stacklevel=3)


def obstacle_to_capture(recipe: Recipe, ranks: Ranks) -> str | None:
    """Why a run's updates cannot be captured, in words, but for what its optimizer has to say; None if nothing is."""
    run = recipe.run
    obstacles = {
        "there are several ranks": ranks.several,
        "run.micro_batches is not 1": run.micro_batches > 1,
        "run.compile is true": run.compile,
        "float16 scales its losses": run.precision == "float16",
        "ema.rampup_images is set": recipe.ema.rampup_images is not None,
        "the optimizer's settings change": settings_at(recipe.optimizer, 0) is not None,
    }
    return next((reason for reason, holds in obstacles.items() if holds), None)


class _Update:
    """One kind of update: its inputs in place, and its replay once it is recorded."""

    def __init__(self, like: Part) -> None:
        labels = None if like.labels is None else torch.empty_like(like.labels)
        self.inputs = Part(torch.empty_like(like.reals), labels, like.draws.each(torch.empty_like))
        self.done = 0
        self.replay: Callable[[], Sequence[Report]] | None = None

    def take(self, inputs: Part) -> None:
        """Copy the inputs to where the recording reads them."""
        for own, given in zip(_tensors(self.inputs), _tensors(inputs), strict=True):
            own.copy_(given)


def _tensors(part: Part) -> list[Tensor]:
    labels = [] if part.labels is None else [part.labels]
    return [part.reals, *labels, *part.draws.tensors()]
