"""`ganlab plan`: what a recipe will take, before it is trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganlab.cli.common import blaming, catalog_with_warnings, recipe_options, recipe_with_warnings
from ganlab.cli.threads import spin_briefly

if TYPE_CHECKING:
    from ganlab.train.plan import LevelPlan, Plan


@click.command()
@recipe_options
@click.option(
    "--seconds",
    default=60.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="How long to measure, about; levels for which there is no time are reckoned from the others.",
)
@click.option("--json", "as_json", is_flag=True, help="The plan for scripts.")
def plan(
    recipe: Path, overrides: tuple[str, ...], plugin_files: tuple[Path, ...], seconds: float, as_json: bool
) -> None:
    """Say what training RECIPE will take on this machine.

    For each level: images, parameters that learn, operations, peak memory and time; then the time of the whole run.
    Every level's step is tried for a moment with the recipe's data. Nothing is kept, no run folder is made.

    \b
    ganlab plan recipes/pggan.toml
    ganlab plan recipes/pggan-celebahq-1024.toml --set data.name=synthetic
    """  # noqa: D301 - click wants the control character, to leave the lines as they are
    loaded = recipe_with_warnings(recipe, overrides, catalog_with_warnings(plugin_files))

    spin_briefly()

    from ganlab.train.plan import make_plan

    with blaming(loaded):
        made = make_plan(loaded, seconds=seconds, say=lambda text: click.echo(text, err=True))
    if as_json:
        click.echo(json.dumps(_plain(made), indent=2))
        return
    for line in _table(made):
        click.echo(line)
    if loaded.recipe.metrics:
        click.echo("measuring metrics is not in it")


def _plain(made: Plan) -> dict[str, object]:
    import attrs

    levels = [{**attrs.asdict(level), "seconds": level.seconds} for level in made.levels]
    return {**attrs.asdict(made), "levels": levels, "operations": made.operations, "seconds": made.seconds}


def _table(made: Plan) -> list[str]:
    titles = ["level", "", "minibatch", "images", "parameters", "GFLOP/image", "memory", "s/1000 images", "time"]
    rows = [titles, *(_row(level) for level in made.levels)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(titles))]
    lines = [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    if made.reports_seconds >= 0.01 * made.seconds:
        lines.append(f"samples and checkpoints: {duration(made.reports_seconds)}")
    lines.append(
        f"in all: {duration(made.seconds)} on {made.device} in {made.precision}, {made.operations:.3g} operations"
    )
    if not all(level.measured for level in made.levels):
        lines.append("~ reckoned from operations at the rate of the largest level that was tried")
    lines += [
        f"! {level.resolution}x{level.resolution} with minibatch {level.minibatch} needs more memory than is free now"
        for level in made.levels
        if not level.fits
    ]
    return lines


def _row(level: LevelPlan) -> list[str]:
    mark = "" if level.measured else "~"
    return [
        f"{level.resolution}x{level.resolution}",
        "fading in" if level.fading else "",
        str(level.minibatch),
        f"{level.images:,}",
        f"{level.parameters:,}",
        f"{level.operations_per_image / 1e9:,.3f}",
        f"{level.peak_bytes / 2**20:,.0f} MiB{'' if level.fits else ' !'}",
        f"{mark}{level.seconds_per_1000_images:,.3g}",
        f"{mark}{duration(level.seconds)}",
    ]


def duration(seconds: float) -> str:
    """`3 d 4 h`, `2 h 5 min`, `3 min 20 s`, `4.2 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    units = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)]
    first = next(number for number, (_, size) in enumerate(units) if seconds >= size)
    (large, size), (small, part) = units[first], units[first + 1]
    whole, rest = divmod(round(seconds / part) * part, size)
    return f"{whole} {large} {rest // part} {small}" if rest else f"{whole} {large}"
