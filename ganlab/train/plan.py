"""What a recipe will take, level by level: parameters, operations, memory, and time on this machine.

Operations and memory come from a rehearsal without content, time from a few iterations of each level with real data.
Levels that would take too long to try, or do not fit here, are reckoned from their operations and the rate of the
largest level that was tried.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import torch

from ganlab.errors import GanlabError
from ganlab.recipe import LoadedRecipe
from ganlab.track.folder import RunFolder
from ganlab.train.events import Position
from ganlab.train.memory import MARGIN, free_bytes
from ganlab.train.prepare import prepare
from ganlab.train.rehearsal import Rehearsal, Rehearsed, obstacle
from ganlab.train.spans import Span, spans
from ganlab.train.timing import iteration_seconds
from ganlab.train.trainer import Trainer

Say = Callable[[str], None]
Kind = tuple[int, int, bool]
LONGEST_TRY = 0.5
"""A level is tried if its iterations take at most this part of the seconds that are left."""
FEWEST_ITERATIONS = 3
RISE = 4.0
"""A level may run at so many times the arithmetic rate of the one below: small ones keep no device busy."""


@attrs.frozen
class LevelPlan:
    """One stretch of the schedule."""

    resolution: int
    fading: bool
    minibatch: int
    images: int
    """Real images shown in it."""
    parameters: int
    """Of both networks, those that learn at this level."""
    operations_per_image: float
    """Of both players' updates, for each real image; two a multiply-add."""
    peak_bytes: int
    fits: bool
    """Whether the device has that much free now, with a margin for what kernels need."""
    seconds_per_1000_images: float
    measured: bool
    """Whether the time was measured, or reckoned from operations."""

    @property
    def seconds(self) -> float:
        """Expected time for all its images."""
        return self.seconds_per_1000_images * self.images / 1000


@attrs.frozen
class Plan:
    """A whole schedule."""

    device: str
    precision: str
    levels: Sequence[LevelPlan]
    reports_seconds: float
    """For sample grids and checkpoints, all together."""

    @property
    def seconds(self) -> float:
        """Expected time of the training, without starting up and without metrics."""
        return sum(level.seconds for level in self.levels) + self.reports_seconds

    @property
    def operations(self) -> float:
        """Floating-point operations of the whole schedule."""
        return sum(level.operations_per_image * level.images for level in self.levels)


def make_plan(loaded: LoadedRecipe, *, seconds: float, say: Say) -> Plan:
    """Look ahead, and measure for about `seconds`. Writes nothing that stays. Raises `GanlabError` as a run would."""
    unchecked = attrs.evolve(loaded.recipe.run, check_memory=False)
    loaded = attrs.evolve(loaded, recipe=attrs.evolve(loaded.recipe, run=unchecked))
    with TemporaryDirectory(prefix="ganlab-plan-") as path:
        trainer = prepare(loaded, RunFolder.create(Path(path) / "run"), fresh=True, say=lambda text: None)
        try:
            return _plan(trainer, seconds, say)
        finally:
            trainer.close()


def _plan(trainer: Trainer, seconds: float, say: Say) -> Plan:
    recipe = trainer.recipe
    stretches = spans(trainer.schedule, recipe.run.images)
    try:
        rehearsal = Rehearsal(recipe, trainer.images, trainer.device)
        seen = {
            span.kind: rehearsal.step(span.stage, faded=span.faded, parts=recipe.run.micro_batches)
            for span in stretches
        }
    except GanlabError:
        raise
    except Exception as error:  # somebody's component may not work without content
        raise GanlabError(f"this recipe's steps cannot be looked at without doing them: {obstacle(error)}") from error
    free = free_bytes(trainer.device)
    fits = {kind: free is None or it.peak_bytes * MARGIN <= free for kind, it in seen.items()}
    taken = _measure(trainer, stretches, seen, fits, seconds, say)
    updates = recipe.updates.discriminator_steps
    levels = []
    for span in stretches:
        it, shown = seen[span.kind], span.stage.minibatch * updates
        duration = taken.get(span.kind)
        reckoned = it.operations / _rate(taken, seen)
        levels.append(
            LevelPlan(
                resolution=span.stage.resolution,
                fading=span.faded,
                minibatch=span.stage.minibatch,
                images=span.images,
                parameters=it.parameters,
                operations_per_image=it.operations / shown,
                peak_bytes=it.peak_bytes,
                fits=fits[span.kind],
                seconds_per_1000_images=1000 / shown * (reckoned if duration is None else duration),
                measured=duration is not None,
            )
        )
    device = torch.cuda.get_device_name(trainer.device) if trainer.device.type == "cuda" else trainer.device.type
    return Plan(device, recipe.run.precision, levels, _reports(trainer, stretches))


def _measure(
    trainer: Trainer,
    stretches: Sequence[Span],
    seen: Mapping[Kind, Rehearsed],
    fits: Mapping[Kind, bool],
    seconds: float,
    say: Say,
) -> dict[Kind, float]:
    """Seconds of an iteration of each kind that can be tried, the small ones first."""
    began = time.perf_counter()
    first = {span.kind: span for span in reversed(stretches)}
    order = sorted((kind for kind in first if fits[kind]), key=lambda kind: seen[kind].operations)
    if not order:
        raise GanlabError("no level of this recipe fits into the memory that is free; `ganlab run` says what to change")
    taken: dict[Kind, float] = {}
    for number, kind in enumerate(order):
        left = seconds - (time.perf_counter() - began)
        if taken:  # one level is tried in any case
            hoped = seen[kind].operations / (_rate(taken, seen) * RISE)
            if hoped * FEWEST_ITERATIONS > left * LONGEST_TRY:
                break
        span = first[kind]
        say(f"trying {kind[0]}x{kind[0]}{' fading in' if kind[2] else ''}, minibatch {kind[1]}")
        share = left / (len(order) - number)
        taken[kind] = iteration_seconds(trainer, span.stage, span.start, budget_seconds=share)
    return taken


def _rate(taken: Mapping[Kind, float], seen: Mapping[Kind, Rehearsed]) -> float:
    """Operations a second of the largest level that was tried."""
    largest = max(taken, key=lambda kind: seen[kind].operations)
    return seen[largest].operations / taken[largest]


def _reports(trainer: Trainer, stretches: Sequence[Span]) -> float:
    """Seconds for all sample grids and checkpoints, from one of each."""
    ticks = 0.0
    cadence = trainer.cadence
    for span in stretches:
        looked_up = trainer.schedule.settings_interval_steps * span.stage.minibatch * cadence.discriminator_steps
        ticks += span.images / max(span.stage.tick_images, looked_up)
    stage = stretches[0].stage
    start = time.perf_counter()
    trainer.save_samples(stage, 0)
    samples = time.perf_counter() - start
    trainer.save_checkpoint(stage, Position())
    checkpoint = time.perf_counter() - start - samples
    return ticks * (samples / cadence.samples_every_ticks + checkpoint / cadence.checkpoint_every_ticks)
