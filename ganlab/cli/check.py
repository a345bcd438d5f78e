"""`ganlab check`: is a recipe right? Needs neither torch nor mlflow, so it answers at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from ganlab.cli.common import ablation_with_warnings, catalog_with_warnings, recipe_options, recipe_with_warnings
from ganlab.registry import bare_name

if TYPE_CHECKING:
    from ganlab.recipe import Recipe


@click.command()
@recipe_options
def check(recipe: Path, overrides: tuple[str, ...], plugin_files: tuple[Path, ...]) -> None:
    """Check RECIPE, or an ablation, without training.

    Looks at names, types, ranges, growth and required plugins; reads no data. Ends with exit code 2 and one line for
    each problem. Data that is not there yet is a note, not a problem.
    """
    from ganlab.ablation.plan import holds_ablation
    from ganlab.recipe import digest

    catalog = catalog_with_warnings(plugin_files)
    if holds_ablation(recipe):
        plan = ablation_with_warnings(recipe, overrides, catalog)
        trials = f"{len(plan.variants)} variants x {len(plan.table.seeds)} seeds, {len(plan.trials)} trials"
        click.echo(f"{recipe}: fine ({trials})")
        return
    loaded = recipe_with_warnings(recipe, overrides, catalog)
    source_name = bare_name(loaded.plain()["data"]["name"])
    for key, path in _missing_paths(loaded.recipe.data.source):
        remedy = f"; `ganlab data pack SRC {path}` makes it" if source_name == "shards" else ""
        click.echo(f"note: data.{key}: nothing at {path} yet{remedy}")
    grown = _grown(loaded.recipe)
    if grown < loaded.recipe.data.resolution:
        click.echo(f"note: run.images: the schedule grows to {grown}x{grown} only before the run ends")
    click.echo(f"{recipe}: fine (digest {digest(loaded.plain())[:8]})")


def _grown(recipe: Recipe) -> int:
    """The resolution at which the run ends."""
    total = recipe.run.images
    rate = recipe.optimizer.learning_rate
    schedule = recipe.schedule.build(resolution=recipe.data.resolution, total_images=total, learning_rate=rate)
    resolution: int = schedule.at(total).resolution
    return resolution


def _missing_paths(source: Any) -> list[tuple[str, Path]]:
    values = [(attribute.name, getattr(source, attribute.name)) for attribute in attrs.fields(type(source))]
    return [(name, value) for name, value in values if isinstance(value, Path) and not value.exists()]
