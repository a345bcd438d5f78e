"""What the tables of a recipe must agree on; each table on its own has been checked before."""

from __future__ import annotations

from collections.abc import Iterator

from ganlab.components import Problem
from ganlab.recipe.schema import Recipe


def broken_rules(recipe: Recipe) -> list[Problem]:
    """Every disagreement between tables."""
    return [*_roles(recipe), *_labels(recipe), *_growth(recipe)]


def _roles(recipe: Recipe) -> Iterator[Problem]:
    for slot in ("generator", "discriminator"):
        role = getattr(recipe, slot).role
        if role != slot:
            yield Problem((slot, "name"), f"this network is a {role}; expected a {slot}")


def _labels(recipe: Recipe) -> Iterator[Problem]:
    uses = [term for term in recipe.regularizers if getattr(term, "needs_labels", False)]
    if recipe.data.labels and not uses:
        yield Problem(("data", "labels"), 'labels are on, but nothing learns from them; add regularizers = ["ac-gan"]')
    if uses and not recipe.data.labels:
        yield Problem(("regularizers",), "a term needs labels; set labels = true in [data]")


def _growth(recipe: Recipe) -> Iterator[Problem]:
    try:
        schedule = recipe.schedule.build(
            resolution=recipe.data.resolution,
            total_images=recipe.run.images,
            learning_rate=recipe.optimizer.learning_rate,
        )
        schedule.at(0)
    except ValueError as error:
        yield Problem(("schedule",), str(error))
