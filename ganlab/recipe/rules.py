"""What the tables of a recipe must agree on; each table on its own has been checked before.

Any component may take part with a method `check_run(*, resolution, stages)`: it is given the finest resolution and the
`Stage`s of the run, one for each resolution and minibatch, and raises `ValueError` where its parameters do not work
with them. A text that begins with a parameter, `widths: expected ...`, is reported at that key's line.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import attrs

from ganlab.errors import GanlabError
from ganlab.interfaces import BuiltSchedule, Stage
from ganlab.problems import KeyPath, Problem, keyed, parameter_names
from ganlab.recipe.schema import Recipe

_LOOKS = 500
"""Moments of a run, equally far from each other, at which a schedule is asked in any case."""
_MOST_LOOKS = 20_000
"""A schedule whose minibatch changes all the time is not followed to every single image."""


def broken_rules(recipe: Recipe) -> list[Problem]:
    """Every disagreement between tables."""
    return [*_roles(recipe), *_labels(recipe), *_scores(recipe), *_metrics(recipe), *_growth(recipe)]


def _roles(recipe: Recipe) -> Iterator[Problem]:
    for slot, wanted in (("generator", recipe.system.generator_role), ("discriminator", "discriminator")):
        role = getattr(recipe, slot).role
        if role != wanted:
            why = "" if wanted == slot else ", which the system asks for"
            yield Problem((slot, "name"), f"this network is a {role}; expected a {wanted}{why}")


def _labels(recipe: Recipe) -> Iterator[Problem]:
    uses = [n for n, term in enumerate(recipe.regularizers) if getattr(term, "needs_labels", False)]
    if recipe.data.labels and not uses:
        yield Problem(("data", "labels"), 'labels are on, but nothing learns from them; add regularizers = ["ac-gan"]')
    if uses and not recipe.data.labels:
        yield Problem(("regularizers", uses[0]), "this term needs labels; set labels = true in [data]")


def _scores(recipe: Recipe) -> Iterator[Problem]:
    if getattr(recipe.augmentation, "reads_scores", False) and not getattr(recipe.loss, "scores_around_zero", False):
        text = "it adapts to scores that mean 'real' above 0, and those of this loss do not"
        yield Problem(("augmentation",), f"{text}; set its probability, or use loss = 'non-saturating' or 'hinge'")


def _metrics(recipe: Recipe) -> Iterator[Problem]:
    first: dict[tuple[type, str], int] = {}
    for number, entry in enumerate(recipe.metrics):
        same = first.setdefault((type(entry.metric), entry.ending), number)
        if same != number:
            text = f"its values would have the names of those of metrics.{same}; give one of them a label"
            yield Problem(("metrics", number), text)


def _growth(recipe: Recipe) -> Iterator[Problem]:
    total = recipe.run.images
    try:
        schedule = recipe.schedule.build(
            resolution=recipe.data.resolution, total_images=total, learning_rate=recipe.optimizer.learning_rate
        )
        stages = stages_of(schedule, total)
    except (ValueError, GanlabError) as error:
        yield keyed(("schedule",), str(error), parameter_names(type(recipe.schedule)))
        return
    largest = max(stage.resolution for stage in stages)
    if largest > recipe.data.resolution:
        text = f"it grows to {largest}, but the data's resolution is {recipe.data.resolution}"
        yield Problem(("schedule",), f"{text}; raise data.resolution, or let it end there")
        return
    for path, component in _components(recipe, ()):
        yield from _asked(path, component, recipe.data.resolution, stages)


def stages_of(schedule: BuiltSchedule, total_images: int) -> list[Stage]:
    """The first stage of each resolution and minibatch of a run, in the order in which they are trained.

    Between two looks that differ in either, the schedule is asked again in the middle until they are neighbouring
    images. Where neither ever comes back once it has changed, as when growing, this finds every level, however short.
    """
    looks = {moment: schedule.at(moment) for moment in {total_images * n // _LOOKS for n in range(_LOOKS + 1)}}
    gaps = deque(pairwise(sorted(looks)))
    while gaps and len(looks) < _MOST_LOOKS:
        start, stop = gaps.popleft()
        middle = (start + stop) // 2
        if start < middle and _what(looks[start]) != _what(looks[stop]):
            looks[middle] = schedule.at(middle)
            gaps += [(start, middle), (middle, stop)]
    found: dict[tuple[int, int], Stage] = {}
    for moment in sorted(looks):
        found.setdefault(_what(looks[moment]), looks[moment])
    return list(found.values())


def _what(stage: Stage) -> tuple[int, int]:
    return stage.resolution, stage.minibatch


def _asked(path: KeyPath, component: Any, resolution: int, stages: Sequence[Stage]) -> Iterator[Problem]:
    try:
        component.check_run(resolution=resolution, stages=stages)
    except (ValueError, GanlabError) as error:
        yield keyed(path, str(error), parameter_names(type(component)))


def _components(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    """Everything in the recipe that has `check_run`, with its key path."""
    if isinstance(value, tuple):
        for number, item in enumerate(value):
            yield from _components(item, (*path, number))
    elif attrs.has(type(value)):
        if hasattr(value, "check_run"):
            yield path, value
        for attribute in attrs.fields(type(value)):
            yield from _components(getattr(value, attribute.name), (*path, attribute.name))
