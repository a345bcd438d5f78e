"""`ganlab schema`: the JSON Schema of recipes with the components that are installed here, for editors."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ganlab.ablation.schema import AblationTable
from ganlab.cli.common import catalog_with_warnings, plugin_option
from ganlab.errors import GanlabError
from ganlab.recipe.json_schema import recipe_schema


@click.command()
@click.option("--out", type=click.Path(path_type=Path), help="Write it to this file instead.")
@plugin_option
def schema(out: Path | None, plugin_files: tuple[Path, ...]) -> None:
    """Print a JSON Schema of recipes, for editors.

    With it an editor completes and checks recipes and ablations: tables, keys, types, ranges and the names of the
    components that are installed here, other people's included. A line `#:schema recipe.schema.json` at the top of a
    recipe names it. What needs more than the form of the file is left to `ganlab check`.
    """
    text = json.dumps(recipe_schema(catalog_with_warnings(plugin_files).registries, AblationTable), indent=2)
    if out is None:
        click.echo(text)
        return
    try:
        out.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise GanlabError(f"--out {out}: cannot be written: {(error.strerror or str(error)).lower()}") from error
    click.echo(str(out))
