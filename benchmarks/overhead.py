"""What the trainer costs around a step: the loop, events, schedule, draws, data, tally, journal, progress and average.

A real training runs for a while with the functions that do the step's arithmetic timed; the rest is overhead. Where
updates are replayed, the average and the norms of gradients are in what is timed: `run.replay=off` tells them apart.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import attrs
import torch

from benchmarks.cases import Case
from benchmarks.machine import wait_for
from benchmarks.subjects import trainer_of

_WARM_UP = 20


@attrs.frozen
class Overhead:
    """Of an iteration, in seconds."""

    whole: float
    arithmetic: float
    """In the step functions and the optimizers, or in replays."""
    iterations: int

    @property
    def around(self) -> float:
        """All else."""
        return self.whole - self.arithmetic


def measure_overhead(
    recipe: str, case: Case, settings: Sequence[str], *, iterations: int, device: str, mlflow: bool
) -> Overhead:
    """Train `case` for so many iterations, with reports as often as `recipes/pggan.toml` has them."""
    from ganlab.cli.progress import TrainingProgress
    from ganlab.train import updates as module
    from ganlab.train.loop import train
    from ganlab.train.replay import CpuRecording

    overrides = [
        *case.overrides(),
        f"run.device={device}",
        "schedule.tick_images=2000",
        "track.samples_every_ticks=1000000",
        "track.checkpoint_every_ticks=1000000",
        *settings,
    ]
    watch = _Watch(iterations)
    with trainer_of(recipe, overrides) as trainer, TrainingProgress(4, quiet=True) as progress, ExitStack() as undo:
        if mlflow:
            undo.enter_context(_mirrored(trainer))
        watch.device = trainer.device
        for name in ("discriminator_step", "generator_step", "joint_step"):
            undo.enter_context(mock.patch.object(module, name, watch.timed(getattr(module, name))))
        undo.enter_context(mock.patch.object(CpuRecording, "do", watch.timed(CpuRecording.do)))
        if trainer._passes.meanwhile is not None:
            trainer._passes = trainer._passes._replace(meanwhile=watch.left_out(trainer._passes.meanwhile))
        for optimizer in trainer.optimizers.values():
            undo.enter_context(mock.patch.object(optimizer, "step", watch.timed(optimizer.step)))
        trainer.listener = progress.show
        train(trainer, None, stop_requested=watch.iteration_done, stage_ended=_nothing, measure=_nothing)
    return Overhead(watch.whole / iterations, watch.spent / iterations, iterations)


def _nothing(*_: object) -> None:
    """Takes no part in what is timed."""


class _Watch:
    """Times what is wrapped, and all of the iterations from the end of the warm-up on."""

    def __init__(self, iterations: int) -> None:
        self.device = torch.device("cpu")
        self.spent = self.whole = 0.0
        self._iterations = iterations
        self._done = 0
        self._inside = 0
        self._began = 0.0

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, with the time of its outermost calls added to `spent`."""

        def call(*args: Any, **kwargs: Any) -> Any:
            wait_for(self.device)
            start = time.perf_counter()
            self._inside += 1
            try:
                return function(*args, **kwargs)
            finally:
                wait_for(self.device)
                self._inside -= 1
                if not self._inside:
                    self.spent += time.perf_counter() - start

        return call

    def left_out(self, function: Callable[[], None]) -> Callable[[], None]:
        """`function`, which is called within what is timed and is no part of it."""

        def call() -> None:
            start = time.perf_counter()
            function()
            self.spent -= time.perf_counter() - start

        return call

    def iteration_done(self) -> bool:
        """Asked by the loop after each iteration; true when there were enough."""
        self._done += 1
        if self._done == _WARM_UP:
            self.spent, self._began = 0.0, time.perf_counter()
        if self._done < _WARM_UP + self._iterations:
            return False
        self.whole = time.perf_counter() - self._began
        return True


@contextmanager
def _mirrored(trainer: Any) -> Iterator[None]:
    """The run is sent to a store of its own meanwhile, as `ganlab run` does."""
    import mlflow  # noqa: F401 - imported now, not while iterations are timed

    from ganlab.track.mlflow import Mirror

    settings = attrs.evolve(trainer.recipe.track, uri=f"sqlite:///{trainer.folder.path}/mlflow.db", mlflow=True)
    mirror = Mirror(trainer.folder, settings, load_generator=None, say=lambda text: None)
    mirror.start()
    try:
        yield
    finally:
        mirror.close()
