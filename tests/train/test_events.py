"""The order of training: restarting, cadences, and what ends a run."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlab.interfaces import BuiltSchedule
from ganlab.train.events import (
    Cadence,
    ClearOptimizers,
    Configure,
    EndTick,
    Event,
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
from ganlab_schedules.fade_first import FadeFirst
from ganlab_schedules.progressive import Progressive


def schedule(**parameters: Any) -> BuiltSchedule:
    defaults: dict[str, Any] = {"stabilize_images": 10, "fade_images": 10, "minibatch": 3, "tick_images": 7}
    component = Progressive(**(defaults | parameters))
    return component.build(resolution=16, total_images=100, learning_rate=0.1)


def of(stream: Sequence[Event], *kinds: type) -> list[Event]:
    return [event for event in stream if isinstance(event, kinds)]


def names(stream: Sequence[Event]) -> list[str]:
    return [type(event).__name__ for event in stream]


growing = st.builds(
    lambda kind, stabilize, fade, minibatches, interval, tick: kind(
        stabilize_images=stabilize,
        fade_images=fade,
        minibatches=minibatches,
        settings_interval_steps=interval,
        tick_images=tick,
    ).build(resolution=16, total_images=100, learning_rate=0.1),
    kind=st.sampled_from([Progressive, FadeFirst]),
    stabilize=st.integers(0, 30),
    fade=st.integers(1, 30),
    minibatches=st.fixed_dictionaries({4: st.integers(1, 9), 8: st.integers(1, 9), 16: st.integers(1, 9)}),
    interval=st.integers(1, 5),
    tick=st.integers(1, 40),
)
cadences = st.builds(
    lambda steps, together, clear, samples, checkpoint, measure: Cadence(
        discriminator_steps=1 if together else steps,
        together=together,
        clear_optimizer=clear,
        samples_every_ticks=samples,
        checkpoint_every_ticks=checkpoint,
        measure_every_images=tuple(measure),
    ),
    steps=st.integers(1, 4),
    together=st.booleans(),
    clear=st.booleans(),
    samples=st.integers(1, 3),
    checkpoint=st.integers(1, 3),
    measure=st.sets(st.integers(1, 60), max_size=3),
)


@settings(max_examples=60)
@given(schedule=growing, cadence=cadences, total_images=st.integers(1, 120))
def test_a_run_goes_on_from_any_iteration_exactly_as_if_it_had_not_stopped(
    schedule: BuiltSchedule, cadence: Cadence, total_images: int
) -> None:
    whole = list(events(schedule, cadence, total_images))
    for index, event in enumerate(whole):
        if isinstance(event, IterationDone):
            assert list(events(schedule, cadence, total_images, event.position)) == whole[index + 1 :]
        if isinstance(event, SaveCheckpoint):
            # What is saved in the middle of the reports is where the iteration ends.
            done = next(later for later in whole[index:] if isinstance(later, IterationDone))
            assert event.position == done.position


@settings(max_examples=60)
@given(schedule=growing, cadence=cadences, total_images=st.integers(1, 120))
def test_every_update_has_the_stage_and_the_count_that_are_right_for_it(
    schedule: BuiltSchedule, cadence: Cadence, total_images: int
) -> None:
    shown, steps, ticks = 0, 0, 0
    stage = None
    whole = list(events(schedule, cadence, total_images))
    for event in whole:
        assert event.images_shown == shown
        if isinstance(event, Configure):
            assert event.previous == stage
            assert event.stage == schedule.at(shown)
            assert shown < total_images
            stage = event.stage
        assert event.stage == stage
        if isinstance(event, (UpdateDiscriminator, UpdateTogether)):
            shown += event.stage.minibatch
        if isinstance(event, EndTick):
            ticks += 1
            assert event.tick == ticks
        if isinstance(event, IterationDone):
            steps += 1
            assert (event.position.images_shown, event.position.steps, event.position.ticks) == (shown, steps, ticks)
    assert isinstance(whole[-1], Finish)
    assert shown >= total_images
    assert len(of(whole, Finish)) == 1
    # The last thing before the end is a report with everything saved.
    assert names(whole)[-5:] == ["EndTick", "SaveSamples", "SaveCheckpoint", "IterationDone", "Finish"]


def test_discriminator_updates_come_before_the_generator_update() -> None:
    stream = list(events(schedule(), Cadence(discriminator_steps=3), 100))
    updates = of(stream, UpdateDiscriminator, UpdateGenerator)[:8]
    assert [type(update) for update in updates] == ([UpdateDiscriminator] * 3 + [UpdateGenerator]) * 2
    assert [update.images_shown for update in updates] == [0, 3, 6, 9, 9, 12, 15, 18]


def test_together_means_one_update_of_both() -> None:
    stream = list(events(schedule(), Cadence(together=True), 100))
    assert of(stream, UpdateDiscriminator, UpdateGenerator) == []
    updates = of(stream, UpdateTogether)
    assert [update.images_shown for update in updates] == list(range(0, 102, 3))


def test_together_with_several_discriminator_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 1 with together, got 5"):
        Cadence(together=True, discriminator_steps=5)


@pytest.mark.parametrize("field", ["discriminator_steps", "samples_every_ticks", "checkpoint_every_ticks"])
def test_counts_of_zero_are_refused(field: str) -> None:
    with pytest.raises(ValueError, match=field):
        Cadence(**{field: 0})  # type: ignore[arg-type]  # the names are of whole numbers only


def test_the_stage_is_looked_up_once_in_so_many_steps() -> None:
    stream = list(events(schedule(settings_interval_steps=4), Cadence(), 100))
    assert [event.images_shown for event in of(stream, Configure)] == list(range(0, 100, 12))


def test_the_run_ends_only_where_the_stage_would_be_looked_up() -> None:
    stream = list(events(schedule(settings_interval_steps=4), Cadence(), 50))
    assert of(stream, Finish)[0].images_shown == 60


def test_optimizers_are_cleared_at_the_start_and_end_of_every_fade() -> None:
    stream = list(events(schedule(minibatch=1), Cadence(), 100))
    cleared = of(stream, ClearOptimizers)
    assert [(event.images_shown, event.stage.resolution, event.stage.fade < 1) for event in cleared] == [
        (0, 4, False),
        (11, 8, True),
        (20, 8, False),
        (31, 16, True),
        (40, 16, False),
    ]
    starts = [event for event in of(stream, Configure) if isinstance(event, Configure) and event.starts_level]
    assert [event.images_shown for event in starts] == [0, 11, 20, 31, 40]
    follows = [(a, b) for a, b in pairwise(stream) if isinstance(b, ClearOptimizers)]
    assert all(isinstance(before, Configure) for before, _ in follows)


def test_optimizers_are_never_cleared_where_that_is_switched_off() -> None:
    assert of(list(events(schedule(), Cadence(clear_optimizer=False), 100)), ClearOptimizers) == []


def test_a_restarted_run_does_not_clear_the_optimizers_it_has_just_loaded() -> None:
    whole = list(events(schedule(), Cadence(), 100))
    position = next(event.position for event in whole if isinstance(event, IterationDone))
    rest = list(events(schedule(), Cadence(), 100, position))
    assert names(rest)[:2] == ["Configure", "UpdateDiscriminator"]


def test_samples_and_checkpoints_follow_their_own_numbers_of_ticks() -> None:
    stream = list(
        events(schedule(minibatch=5, tick_images=10), Cadence(samples_every_ticks=2, checkpoint_every_ticks=3), 70)
    )
    ticks = [(event.tick, event.started_at, event.images_shown) for event in stream if isinstance(event, EndTick)]
    assert ticks == [(k, 10 * (k - 1), 10 * k) for k in range(1, 8)]
    assert [event.tick for event in stream if isinstance(event, SaveSamples)] == [2, 4, 6, 7]
    assert [event.tick for event in stream if isinstance(event, SaveCheckpoint)] == [3, 6, 7]


def test_metrics_fall_on_the_first_tick_at_which_their_interval_has_passed_and_not_on_the_last() -> None:
    cadence = Cadence(measure_every_images=(20, 35))
    stream = list(events(schedule(minibatch=5, tick_images=15), cadence, 105))
    assert [event.images_shown for event in stream if isinstance(event, EndTick)] == [15, 30, 45, 60, 75, 90, 105]
    measured = [(event.images_shown, event.intervals) for event in stream if isinstance(event, Measure)]
    # 20, 40, 60, 80 and 35, 70 have passed; at 105 the run ends, and all metrics are measured after that.
    assert measured == [(30, (20,)), (45, (20, 35)), (60, (20,)), (75, (35,)), (90, (20,))]


@settings(max_examples=60)
@given(schedule=growing, cadence=cadences, total_images=st.integers(1, 120))
def test_what_was_measured_comes_before_the_checkpoint_that_keeps_it(
    schedule: BuiltSchedule, cadence: Cadence, total_images: int
) -> None:
    whole = list(events(schedule, cadence, total_images))
    for interval in cadence.measure_every_images:
        ticks = [event for event in whole if isinstance(event, EndTick)][:-1]
        wanted = [
            e.images_shown for e in ticks if any(n % interval == 0 for n in range(e.started_at + 1, e.images_shown + 1))
        ]
        found = [e.images_shown for e in whole if isinstance(e, Measure) and interval in e.intervals]
        assert found == wanted
    for index, event in enumerate(whole):
        if isinstance(event, Measure):
            assert names(whole[index - 1 : index]) == ["EndTick"]
        if isinstance(event, SaveCheckpoint):
            assert not of(whole[index : index + 2], Measure)


def test_an_interval_of_no_images_is_refused() -> None:
    with pytest.raises(ValueError, match="measure_every_images: expected 1 or more"):
        Cadence(measure_every_images=(0,))


def test_a_finished_run_has_nothing_left_but_its_end() -> None:
    whole = list(events(schedule(), Cadence(), 30))
    position = [event.position for event in whole if isinstance(event, IterationDone)][-1]
    assert names(list(events(schedule(), Cadence(), 30, position))) == ["Finish"]
    # With more images to show it goes on.
    assert names(list(events(schedule(), Cadence(), 31, position)))[:2] == ["Configure", "UpdateDiscriminator"]


def test_a_position_is_whole_numbers_only() -> None:
    whole = list(events(schedule(), Cadence(), 100))
    position = [event.position for event in whole if isinstance(event, IterationDone)][7]
    assert all(type(value) is int for value in attrs.asdict(position).values())
    assert Position(**attrs.asdict(position)) == position
