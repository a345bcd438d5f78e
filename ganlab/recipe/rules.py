"""What the tables of a recipe must agree on; each table on its own has been checked before.

Any component may take part with a method `check_run(*, resolution, stages)`: it is given the finest resolution and the
`Stage`s of the run, one for each resolution and minibatch, and raises `ValueError` where its parameters do not work
with them. A text that begins with a parameter, `widths: expected ...`, is reported at that key's line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from ganlab.errors import GanlabError
from ganlab.interfaces import Stage
from ganlab.problems import KeyPath, Problem, keyed, parameter_names
from ganlab.recipe.schema import Recipe

_LOOKS = 500
"""Moments of a run at which the schedule is asked."""


def broken_rules(recipe: Recipe) -> list[Problem]:
    """Every disagreement between tables."""
    return [*_roles(recipe), *_labels(recipe), *_growth(recipe)]


def _roles(recipe: Recipe) -> Iterator[Problem]:
    for slot in ("generator", "discriminator"):
        role = getattr(recipe, slot).role
        if role != slot:
            yield Problem((slot, "name"), f"this network is a {role}; expected a {slot}")


def _labels(recipe: Recipe) -> Iterator[Problem]:
    uses = [n for n, term in enumerate(recipe.regularizers) if getattr(term, "needs_labels", False)]
    if recipe.data.labels and not uses:
        yield Problem(("data", "labels"), 'labels are on, but nothing learns from them; add regularizers = ["ac-gan"]')
    if uses and not recipe.data.labels:
        yield Problem(("regularizers", uses[0]), "this term needs labels; set labels = true in [data]")


def _growth(recipe: Recipe) -> Iterator[Problem]:
    total = recipe.run.images
    try:
        schedule = recipe.schedule.build(
            resolution=recipe.data.resolution, total_images=total, learning_rate=recipe.optimizer.learning_rate
        )
        looks = [schedule.at(total * look // _LOOKS) for look in range(_LOOKS + 1)]
    except (ValueError, GanlabError) as error:
        yield keyed(("schedule",), str(error), parameter_names(type(recipe.schedule)))
        return
    stages = list({(stage.resolution, stage.minibatch): stage for stage in looks}.values())
    largest = max(stage.resolution for stage in stages)
    if largest > recipe.data.resolution:
        text = f"it grows to {largest}, but the data's resolution is {recipe.data.resolution}"
        yield Problem(("schedule",), f"{text}; raise data.resolution, or let it end there")
        return
    for path, component in _components(recipe, ()):
        yield from _asked(path, component, recipe.data.resolution, stages)


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
