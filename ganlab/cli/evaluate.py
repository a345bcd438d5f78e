"""`ganlab evaluate`: metrics of a run that has ended."""

from __future__ import annotations

import contextlib
import json
import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganlab.cli.common import blaming, catalog_with_warnings, plugin_option, recipe_with_warnings
from ganlab.cli.threads import spin_briefly
from ganlab.errors import GanlabError, RecipeError, RunError
from ganlab.registry import bare_name

if TYPE_CHECKING:
    from ganlab.plugins import Catalog
    from ganlab.recipe import LoadedRecipe
    from ganlab.track.folder import RunFolder
    from ganlab.train.evaluate import Evaluation


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="METRIC",
    help="A metric's name, which means the recipe's entry of it if there is one, or a table such as "
    "'{name = \"swd\", count = 64}' (repeatable); default: all of the recipe's.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one value: of a metric by its name or number, such as swd.count=64 or 0.count=64, or data.path, "
    "run.device and others that change no number of the training (repeatable).",
)
@click.option("--no-mlflow", is_flag=True, help="Leave MLflow to `ganlab sync`.")
@click.option("--json", "as_json", is_flag=True, help="The results for scripts.")
@plugin_option
def evaluate(
    run: Path,
    metrics: tuple[str, ...],
    overrides: tuple[str, ...],
    no_mlflow: bool,
    as_json: bool,
    plugin_files: tuple[Path, ...],
) -> None:
    """Measure metrics of RUN, a run folder, on the averaged generator it was left with.

    The values are those that training measures at its end. They are added to the run's journal and to MLflow.

    \b
    ganlab evaluate runs/pggan/20261121-120000
    ganlab evaluate runs/pggan/20261121-120000 --metric swd --metric ms-ssim --set swd.count=1024
    """  # noqa: D301 - click wants the control character, to leave the lines as they are
    from ganlab.track.folder import RunFolder

    catalog = catalog_with_warnings(plugin_files)
    folder = RunFolder.open(run)
    loaded = _recipe(folder, metrics, overrides, catalog)
    spin_briefly()

    from ganlab.train.evaluate import evaluate as measure

    with blaming(loaded):
        done = measure(loaded, folder, say=lambda text: click.echo(text, err=True))
    if done.measured and not no_mlflow:
        _send(folder, run, catalog)
    if as_json:
        told = {"run": str(folder.path), "images_shown": done.images_shown, "metrics": done.told(folder)}
        click.echo(json.dumps(told, indent=1))
    else:
        for line in _table(done, folder):
            click.echo(line)
    if done.problems:
        raise GanlabError("\n".join(done.problems))


def _recipe(folder: RunFolder, metrics: Sequence[str], overrides: Sequence[str], catalog: Catalog) -> LoadedRecipe:
    """The run's recipe with the metrics that are wanted. Raises `RecipeError` in the words of this command."""
    from ganlab.recipe import differences

    listed_there = folder.recipe().get("metrics", ())
    wanted = [_metric(text, listed_there) for text in metrics]
    names = [name for name, _ in wanted] or [str(table.get("name")) for table in listed_there]
    if not names:
        raise GanlabError(f"{folder.path}: its recipe has no [[metrics]]; say what to measure, such as --metric swd")
    listed = f"metrics=[{', '.join(toml for _, toml in wanted)}]"
    assignments = [_assignment(text, names) for text in overrides]
    try:
        loaded = recipe_with_warnings(
            folder.path / "recipe.toml", [*([listed] if wanted else []), *assignments], catalog
        )
    except RecipeError as error:
        words = dict(zip(assignments, overrides, strict=True))
        raise RecipeError(_in_their_words(line, listed, metrics, words) for line in error.problems) from error
    if changed := differences(folder.recipe(), loaded.plain()):
        raise RunError(f"{folder.path} holds a run of another recipe: {'; '.join(changed)}; leave that out")
    return loaded


def _metric(text: str, listed: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """The name of the metric that --metric means, and its TOML.

    A name means the entry of the run's recipe, where there is exactly one of that metric that can be measured now.
    """
    if not text.lstrip().startswith("{"):
        entries = [table for table in listed if bare_name(str(table.get("name"))) == bare_name(text)]
        entries = [table for table in entries if table.get("averaged", True)]
        return text, _inline({**entries[0], "name": text} if len(entries) == 1 else text)
    try:
        table = tomllib.loads(f"metric = {text}")["metric"]
    except ValueError as error:
        remedy = """write a name, or a table such as '{name = "swd", count = 64}'"""
        raise GanlabError(f"--metric {text}: not valid TOML; {remedy}") from error
    return str(table.get("name", "")), text


def _inline(value: Any) -> str:
    """A value of a recipe as TOML of one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)} = {_inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _assignment(text: str, names: Sequence[str]) -> str:
    """A --set as a recipe has it: `swd.count=64` and `0.count=64` as `metrics.0.count=64`, others as they are."""
    key, dot, rest = text.partition(".")
    if not dot:
        return text
    found = [number for number, name in enumerate(names) if name == key]
    if len(found) > 1:
        numbers = " or ".join(f"{number}.{rest}" for number in found)
        raise GanlabError(f"--set {text}: there are {len(found)} metrics of this name; write {numbers}")
    if found or re.fullmatch("[0-9]+", key):
        return f"metrics.{found[0] if found else key}.{rest}"
    return text


def _in_their_words(line: str, listed: str, metrics: Sequence[str], words: dict[str, str]) -> str:
    """A problem of the recipe at the option it comes from."""
    if in_list := re.match(rf"{re.escape(f'--set {listed}: metrics.')}([0-9]+)[.:] ?", line):
        return f"--metric {metrics[int(in_list.group(1))]}: {line[in_list.end() :]}"
    for assignment, text in words.items():
        if line.startswith(f"--set {assignment}: "):
            return f"--set {text}: {line.removeprefix(f'--set {assignment}: ')}"
    return line


def _send(folder: RunFolder, run: Path, catalog: Catalog) -> None:
    """Bring MLflow up to date, if it has the run."""
    from ganlab.cli.sync import deliver
    from ganlab.recipe.tracking import of_recipe
    from ganlab.track import sent

    if not of_recipe(folder.recipe()).mlflow or sent.last_uri(folder.path) is None:
        return
    try:
        with contextlib.redirect_stdout(sys.stderr):  # standard output is for the results
            deliver(run, None, catalog)
    except GanlabError as error:  # what was measured is kept
        click.echo(f"ganlab: warning: {error}; `ganlab sync {run}` sends it later", err=True)


def _table(done: Evaluation, folder: RunFolder) -> list[str]:
    rows = [("value", f"at {done.images_shown:,} images", "better", "best")]
    for metric in done.told(folder):
        for name, value in sorted(metric["measured"].items()):
            kept = metric["values"].get(name, {})
            best = kept.get("best")
            where = f"{best['value']:.4g} at {best['images_shown']:,}" if best else ""
            rows.append((name, f"{value:.4g}", kept.get("better", ""), where))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
