"""The order of everything that happens in training, as plain data.

The loop that trains follows these events; a test follows them without training and finds the published order. What is
left to do depends on the `Position` alone, so a run goes on from any saved position exactly as if it had never stopped.

One iteration is `discriminator_steps` discriminator updates and a generator update. The stage is looked up anew every
`settings_interval_steps` iterations; ticks and the end of training fall on these look-ups.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs

from ganlab.interfaces import BuiltSchedule, Stage

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

NEVER = -1


@attrs.frozen
class Cadence:
    """How often things happen."""

    discriminator_steps: int = attrs.field(default=1, validator=attrs.validators.ge(1))
    """Discriminator updates before each generator update."""
    together: bool = False
    """Both networks are updated from the same pass; needs `discriminator_steps` 1."""
    clear_optimizer: bool = True
    """Optimizer state is dropped when a level starts to fade in, when it has faded in, and before the first step."""
    samples_every_ticks: int = attrs.field(default=1, validator=attrs.validators.ge(1))
    checkpoint_every_ticks: int = attrs.field(default=1, validator=attrs.validators.ge(1))
    measure_every_images: tuple[int, ...] = ()
    """Intervals of metrics: each is due at the first tick at which another so many images have been shown."""

    def __attrs_post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if self.together and self.discriminator_steps != 1:
            raise ValueError(f"discriminator_steps: expected 1 with together, got {self.discriminator_steps}")
        if any(interval < 1 for interval in self.measure_every_images):
            raise ValueError(f"measure_every_images: expected 1 or more each, got {self.measure_every_images}")


@attrs.frozen
class Position:
    """How far training is, between two iterations. All there is to save about the order of events."""

    images_shown: int = 0
    """Real images shown, which discriminator updates count."""
    steps: int = 0
    """Iterations finished, each with one generator update."""
    settings_read_at: int = NEVER
    """Images shown when the stage was last looked up; `NEVER` before the first time."""
    steps_since_settings: int = 0
    """Iterations finished since then."""
    ticks: int = 0
    """Ticks finished."""
    tick_started_at: int = 0
    """Images shown when the present tick began."""


@attrs.frozen
class Configure:
    """The stage was looked up; training goes on with `stage`."""

    images_shown: int
    stage: Stage
    previous: Stage | None
    """The stage until now, None at the very start."""

    @property
    def starts_level(self) -> bool:
        """Whether a resolution starts to fade in or has just faded in (or training has just begun)."""
        return self.previous is None or level(self.previous) != level(self.stage)


@attrs.frozen
class ClearOptimizers:
    """Drop both optimizers' state."""

    images_shown: int
    stage: Stage


@attrs.frozen
class UpdateDiscriminator:
    """One discriminator update on `stage.minibatch` real images, and one step of the averaged generator."""

    images_shown: int
    """Before this update."""
    stage: Stage


@attrs.frozen
class UpdateGenerator:
    """One generator update."""

    images_shown: int
    stage: Stage


@attrs.frozen
class UpdateTogether:
    """Both updates from one pass over `stage.minibatch` real images, and one step of the averaged generator."""

    images_shown: int
    """Before this update."""
    stage: Stage


@attrs.frozen
class EndTick:
    """Time for a report."""

    images_shown: int
    stage: Stage
    tick: int
    """Number of the tick that ends, from 1."""
    started_at: int
    """Images shown when it began."""


@attrs.frozen
class Measure:
    """Measure the metrics with one of these intervals. At the end of a run all are measured instead, after `Finish`."""

    images_shown: int
    stage: Stage
    tick: int
    intervals: tuple[int, ...]
    """Images; those of the cadence that are due."""


@attrs.frozen
class SaveSamples:
    """Write a grid of samples."""

    images_shown: int
    stage: Stage
    tick: int


@attrs.frozen
class SaveCheckpoint:
    """Save everything; `position` is where to go on from."""

    images_shown: int
    stage: Stage
    tick: int
    position: Position


@attrs.frozen
class IterationDone:
    """An iteration and all its reports are done; training may be saved here at `position`, or stopped."""

    images_shown: int
    stage: Stage
    position: Position


@attrs.frozen
class Finish:
    """All images have been shown; the last event of every run."""

    images_shown: int
    stage: Stage


Event: TypeAlias = (
    Configure
    | ClearOptimizers
    | UpdateDiscriminator
    | UpdateGenerator
    | UpdateTogether
    | EndTick
    | Measure
    | SaveSamples
    | SaveCheckpoint
    | IterationDone
    | Finish
)


def level(stage: Stage) -> tuple[int, bool]:
    """What distinguishes levels: the resolution and whether it is fading in (floor and ceiling of the authors' lod)."""
    return stage.resolution, stage.fade < 1.0


def events(
    schedule: BuiltSchedule, cadence: Cadence, total_images: int, position: Position | None = None
) -> Iterator[Event]:
    """Everything still to be done from `position` (None: the start) until `total_images` real images have been shown.

    The number of images is checked when the stage would be looked up, as published, so that up to
    `settings_interval_steps` iterations may go beyond it.
    """
    now = Position() if position is None else position
    stage = schedule.at(max(now.settings_read_at, 0))
    while True:
        if now.settings_read_at == NEVER or now.steps_since_settings >= schedule.settings_interval_steps:
            if now.images_shown >= total_images:
                yield Finish(now.images_shown, stage)
                return
            configure = Configure(
                now.images_shown,
                stage=schedule.at(now.images_shown),
                previous=None if now.settings_read_at == NEVER else stage,
            )
            yield configure
            stage = configure.stage
            if cadence.clear_optimizer and configure.starts_level:
                yield ClearOptimizers(now.images_shown, stage)
            now = attrs.evolve(now, settings_read_at=now.images_shown, steps_since_settings=0)

        now = yield from _iteration(stage, cadence, now)
        if now.steps_since_settings >= schedule.settings_interval_steps:
            now = yield from _end_of_tick(stage, cadence, now, total_images)
        yield IterationDone(now.images_shown, stage, now)


def _iteration(stage: Stage, cadence: Cadence, now: Position) -> Generator[Event, None, Position]:
    """The updates of one iteration; returns the position after them."""
    images_shown = now.images_shown
    if cadence.together:
        yield UpdateTogether(images_shown, stage)
        images_shown += stage.minibatch
    else:
        for _ in range(cadence.discriminator_steps):
            yield UpdateDiscriminator(images_shown, stage)
            images_shown += stage.minibatch
        yield UpdateGenerator(images_shown, stage)
    # attrs.evolve takes twice as long, every iteration.
    return Position(
        images_shown=images_shown,
        steps=now.steps + 1,
        settings_read_at=now.settings_read_at,
        steps_since_settings=now.steps_since_settings + 1,
        ticks=now.ticks,
        tick_started_at=now.tick_started_at,
    )


def _end_of_tick(stage: Stage, cadence: Cadence, now: Position, total_images: int) -> Generator[Event, None, Position]:
    """Reports that are due, if any; returns the position after them."""
    images_shown, last = now.images_shown, now.images_shown >= total_images
    if images_shown < now.tick_started_at + stage.tick_images and not last:
        return now
    tick = now.ticks + 1
    after = attrs.evolve(now, ticks=tick, tick_started_at=images_shown)
    yield EndTick(images_shown, stage, tick, started_at=now.tick_started_at)
    due = [n for n in cadence.measure_every_images if images_shown // n > now.tick_started_at // n]
    if due and not last:
        yield Measure(images_shown, stage, tick, tuple(due))
    if last or tick % cadence.samples_every_ticks == 0:
        yield SaveSamples(images_shown, stage, tick)
    if last or tick % cadence.checkpoint_every_ticks == 0:
        yield SaveCheckpoint(images_shown, stage, tick, after)
    return after
