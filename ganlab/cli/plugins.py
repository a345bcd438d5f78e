"""`ganlab plugins`: what is installed, from where, what is broken and why."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from ganlab.cli.common import plugin_option


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@plugin_option
def plugins(as_json: bool, plugin_files: tuple[Path, ...]) -> None:
    """Show every plugin: version, source, what it offers; the broken ones with the reason; names offered twice."""
    import warnings

    from ganlab.plugins import PluginWarning, load_plugins

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)  # the listing below says it, and more
        catalog = load_plugins(plugin_files)
    rows: list[dict[str, Any]] = []
    for plugin in catalog.plugins:
        offers = {
            kind: [entry.name for entry in registry.entries() if entry.plugin == plugin.name]
            for kind, registry in catalog.registries.items()
        }
        rows.append(
            {
                "name": plugin.name,
                "distribution": plugin.distribution,
                "version": plugin.version,
                "source": plugin.source,
                "status": plugin.status,
                "reason": plugin.reason,
                "traceback": plugin.traceback,
                "hooks": plugin.hooks,
                "components": {kind: names for kind, names in offers.items() if names},
            }
        )
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
        if row["reason"]:
            click.echo(f"    {row['reason']}")
        if row["traceback"]:
            where = [line.strip() for line in row["traceback"].splitlines() if line.strip().startswith("File ")]
            click.echo(f"    at {where[-1].removeprefix('File ')}" if where else "")
        for kind, names in row["components"].items():
            click.echo(f"    {kind}: {', '.join(names)}")
    for collision in collisions:
        click.echo(
            f"{collision['kind']} '{collision['name']}' is offered twice; write {' or '.join(collision['write'])}"
        )
