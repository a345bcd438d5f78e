"""`ganlab list`: the components a recipe can name."""

from __future__ import annotations

from pathlib import Path

import click

from ganlab.cli.common import catalog_with_warnings, complete_kind, plugin_option


@click.command("list")
@click.argument("kind", required=False, shell_complete=complete_kind)
@plugin_option
def list_components(kind: str | None, plugin_files: tuple[Path, ...]) -> None:
    """List the components a recipe can name.

    Those of KIND (loss, layer, schedule, ...), or of every kind, with who offers them.
    """
    catalog = catalog_with_warnings(plugin_files)
    registries = [catalog.registry(kind)] if kind else list(catalog.registries.values())
    for registry in registries:
        entries = registry.entries()
        if not entries and not kind:
            continue
        click.secho(registry.kind, bold=True)
        collisions = registry.collisions()
        width = max((len(entry.name) for entry in entries), default=0)
        for entry in entries:
            name = entry.qualified_name if entry.name in collisions else entry.name
            deprecated = f"  (deprecated: {entry.deprecated})" if entry.deprecated else ""
            click.echo(f"  {name:{width}}  {entry.summary}  [{entry.distribution} {entry.version}]{deprecated}")
        if not entries:
            click.echo("  none installed")
