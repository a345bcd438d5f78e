"""The training loop: follow the events, one after another, until all images have been shown or somebody says stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from ganlab.interfaces import Stage
from ganlab.train.events import (
    ClearOptimizers,
    Configure,
    EndTick,
    Finish,
    IterationDone,
    Measure,
    Position,
    SaveCheckpoint,
    SaveSamples,
    UpdateDiscriminator,
    UpdateGenerator,
    UpdateTogether,
    events,
)
from ganlab.train.trainer import Trainer


def train(
    trainer: Trainer,
    position: Position | None,
    *,
    stop_requested: Callable[[], bool],
    stage_ended: Callable[[Stage, int], None],
    measure: Callable[[Measure | Finish], None],
) -> tuple[Literal["finished", "interrupted"], int]:
    """Train from `position` (None: the start) to the recipe's end; returns how it ended and the images shown.

    `stop_requested` is asked after each iteration; if it says so, everything is saved and training ends. `measure` is
    called at the intervals of metrics, and once all has been saved at the end.
    Raises `TrainingFailed` when a loss is no longer finite.
    """
    images_shown = 0
    for event in events(trainer.schedule, trainer.cadence, trainer.recipe.run.images, position):
        images_shown = event.images_shown
        match event:
            case Configure(previous=previous) if previous is not None and event.starts_level:
                stage_ended(previous, images_shown)
            case ClearOptimizers():
                trainer.clear_optimizers()
            case UpdateDiscriminator(stage=stage):
                trainer.update_discriminator(stage, images_shown)
            case UpdateGenerator(stage=stage):
                trainer.update_generator(stage, images_shown)
            case UpdateTogether(stage=stage):
                trainer.update_together(stage, images_shown)
            case EndTick():
                trainer.report(event)
            case Measure():
                measure(event)
            case SaveSamples(stage=stage):
                trainer.save_samples(stage, images_shown)
            case SaveCheckpoint(stage=stage, position=reached):
                trainer.save_checkpoint(stage, reached)
            case IterationDone(stage=stage, position=reached) if stop_requested():
                trainer.save_checkpoint(stage, reached)
                return "interrupted", images_shown
            case Finish(stage=stage):
                trainer.save_generator(stage, images_shown)
                stage_ended(stage, images_shown)
                measure(event)
    return "finished", images_shown
