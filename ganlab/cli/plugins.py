"""`ganlab plugins`: what is installed, from where, what is broken and why."""

from __future__ import annotations

import json
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

import click

from ganlab.cli.common import plugin_option
from ganlab.errors import PluginError
from ganlab.plugins import Catalog, Plugin, PluginWarning, load_plugins


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@plugin_option
def plugins(as_json: bool, plugin_files: tuple[Path, ...]) -> None:
    """Show every plugin, and what is broken.

    Version, source and components of each; the reason and the place where one is broken; names that are offered twice.
    Every component is loaded, so that one which cannot be is found here and not by a recipe.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)  # the listing below says it, and more
        catalog = load_plugins(plugin_files)
    rows = [_row(plugin, catalog) for plugin in catalog.plugins]
    collisions = [
        {"kind": kind, "name": name, "write": [entry.qualified_name for entry in entries]}
        for kind, registry in catalog.registries.items()
        for name, entries in registry.collisions().items()
    ]
    if as_json:
        click.echo(json.dumps({"python": sys.executable, "plugins": rows, "collisions": collisions}, indent=2))
        return
    click.echo(f"python: {sys.executable}")
    for row in rows:
        colour = {"ok": "green", "blocked": "yellow", "failed": "red"}[row["status"]]
        click.echo(f"{row['name']} {row['version']}  {click.style(row['status'], fg=colour)}  ({row['source']})")
        for reason in row["reason"].splitlines():
            click.echo(f"    {reason}")
        where = [line.strip() for line in row["traceback"].splitlines() if line.strip().startswith("File ")]
        if where:
            click.echo(f"    at {where[-1].removeprefix('File ')}")
        for kind, names in row["components"].items():
            click.echo(f"    {kind}: {', '.join(names)}")
    for collision in collisions:
        click.echo(
            f"{collision['kind']} '{collision['name']}' is offered twice; write {' or '.join(collision['write'])}"
        )


def _row(plugin: Plugin, catalog: Catalog) -> dict[str, Any]:
    """What is told of a plugin. One of whose components cannot be loaded counts as failed, though the others work."""
    components: dict[str, list[str]] = {}
    reasons, tracebacks = [plugin.reason], [plugin.traceback]
    for kind, registry in catalog.registries.items():
        for entry in registry.entries():
            if entry.plugin != plugin.name:
                continue
            components.setdefault(kind, []).append(entry.name)
            try:
                entry.load()
            except PluginError as error:
                reasons.append(str(error))
                tracebacks.append("".join(traceback.format_exception(error.__cause__ or error)))
    return {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "source": plugin.source,
        "status": plugin.status if len(reasons) == 1 else "failed",
        "reason": "\n".join(filter(None, reasons)),
        "traceback": "\n".join(filter(None, tracebacks)),
        "hooks": plugin.hooks,
        "components": components,
    }
