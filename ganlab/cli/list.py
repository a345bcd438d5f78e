"""`ganlab list`: the components a recipe can name."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ganlab.cli import describe
from ganlab.cli.common import catalog_with_warnings, complete_kind, plugin_option


@click.command("list")
@click.argument("kind", required=False, shell_complete=complete_kind)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@plugin_option
def list_components(kind: str | None, as_json: bool, plugin_files: tuple[Path, ...]) -> None:
    """List the components a recipe can name.

    Those of KIND (loss, layer, schedule, ...), or of every kind, with who offers them.
    """
    catalog = catalog_with_warnings(plugin_files)
    registries = [catalog.registry(kind)] if kind else list(catalog.registries.values())
    if as_json:
        found = [describe.offer(entry, registry) for registry in registries for entry in registry.entries()]
        click.echo(json.dumps({"components": found}, indent=2))
        return
    for registry in registries:
        entries = registry.entries()
        if not entries and not kind:
            continue
        click.secho(registry.kind, bold=True)
        names = [describe.name_to_write(entry, registry) for entry in entries]
        width = max(map(len, names), default=0)
        for name, entry in zip(names, entries, strict=True):
            aliases = f"  (also {', '.join(entry.aliases)})" if entry.aliases else ""
            deprecated = f"  (deprecated: {entry.deprecated})" if entry.deprecated else ""
            offered = f"[{entry.distribution} {entry.version}]"
            click.echo(f"  {name:{width}}  {entry.summary}  {offered}{aliases}{deprecated}")
        if not entries:
            click.echo("  none installed")
