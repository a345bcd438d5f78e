"""The suite of schedules, which are walked through from the first image to the last of runs of several sizes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import attrs

from ganlab.interfaces import BuiltSchedule, Stage
from ganlab.testing.contract import Contract, NotApplicable, expect, while_doing
from ganlab.testing.randomness import no_draws

RUNS = ((16, 1_000), (64, 200_000), (1024, 12_000_000))
"""Finest resolution, and images to show in all."""
RATE = 0.001
MOMENTS = 60


def _runs(component: Any) -> Iterator[tuple[int, int, BuiltSchedule]]:
    """(finest resolution, images in all, schedule) of the runs that it can be built for."""
    refusals = []
    for resolution, total in RUNS:
        try:
            schedule = component.build(resolution=resolution, total_images=total, learning_rate=RATE)
        except ValueError as error:
            refusals.append(str(error))
        else:
            yield resolution, total, schedule
    if len(refusals) == len(RUNS):
        raise NotApplicable(f"build() refuses every run that was tried: {refusals[0]}")


def moments(total: int) -> list[int]:
    """Images shown: many at the start, some through to the end."""
    return sorted({*range(0, min(total, 20)), *(total * n // MOMENTS for n in range(MOMENTS + 1))})


def _stages(component: Any) -> None:
    for resolution, total, schedule in _runs(component):
        steps: Any = schedule.settings_interval_steps
        expect(
            isinstance(steps, int) and steps >= 1,
            f"`settings_interval_steps` is {steps!r}",
            "let it be a whole number, 1 or more",
        )
        for shown in moments(total):
            with while_doing(f"in a run of {total} images to {resolution}x{resolution}, after {shown}"):
                _valid(schedule.at(shown), resolution)


def _valid(found: Any, finest: int) -> None:
    expect(type(found) is Stage, f"at() returns {type(found).__name__} and no ganlab.Stage")
    size = found.resolution
    expect(
        isinstance(size, int) and size >= 4 and not size & (size - 1),
        f"the resolution is {size!r}, which is no power of two from 4 on",
    )
    expect(size <= finest, f"the resolution is {size}, above the run's {finest}")
    expect(0 < found.fade <= 1, f"the fade is {found.fade!r}, outside (0, 1]", "begin a new level above 0; 1 is whole")
    for name in ("minibatch", "tick_images"):
        number = getattr(found, name)
        expect(isinstance(number, int) and number >= 1, f"{name} is {number!r}, no whole number from 1 on")
    for name in ("generator_learning_rate", "discriminator_learning_rate"):
        rate = getattr(found, name)
        expect(isinstance(rate, (int, float)) and math.isfinite(rate) and rate >= 0, f"{name} is {rate!r}")


def _pure(component: Any) -> None:
    for resolution, total, schedule in _runs(component):
        twin = component.build(resolution=resolution, total_images=total, learning_rate=RATE)
        asked = moments(total)
        with no_draws("at()"):
            first = [schedule.at(shown) for shown in asked]
            again = list(reversed([schedule.at(shown) for shown in reversed(asked)]))
            others = [twin.at(shown) for shown in asked]
        for shown, one, other, third in zip(asked, first, again, others, strict=True):
            same = attrs.asdict(one) == attrs.asdict(other) == attrs.asdict(third)
            expect(same, f"asked in another order, or built anew, at({shown}) differs: {one}, {other}, {third}")


SCHEDULE = (
    Contract(
        "stages",
        "resolutions are powers of two up to the run's, fades in (0, 1], rates finite, counts 1 or more",
        "clamp the resolution to the `resolution` that build() was given, and check the bounds of parameters",
        _stages,
    ),
    Contract(
        "pure",
        "`at` depends on the images shown alone, not on what was asked before: a resumed run asks in the middle",
        "compute the stage from `images_shown` and the parameters; keep no count in the object",
        _pure,
    ),
)
