"""`ganlab plugins`: what is installed, from where, what is broken and why."""

from __future__ import annotations

import json
import sys
import sysconfig
import traceback
import warnings
from pathlib import Path
from typing import Any

import click

import ganlab
from ganlab.cli import describe
from ganlab.cli.common import plugin_option
from ganlab.discovery import Plugin
from ganlab.errors import PluginError
from ganlab.interfaces import KINDS
from ganlab.plugins import Catalog, PluginWarning, load_plugins


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
        if where := _places(row["traceback"]):
            click.echo(f"    at {where[-1]}")
        for text in row["warnings"]:
            click.echo(f"    {click.style('warning', fg='yellow')}: {text}")
        for kind, names in row["components"].items():
            click.echo(f"    {kind}: {', '.join(names)}")
        registering = {f"register_{plural}" for plural in KINDS.values()}
        if others := [hook for hook in row["hooks"] if hook not in registering]:
            click.echo(f"    hooks: {', '.join(others)}")
    for collision in collisions:
        click.echo(
            f"{collision['kind']} '{collision['name']}' is offered twice; write {' or '.join(collision['write'])}"
        )
    counts = {status: [row["status"] for row in rows].count(status) for status in ("ok", "failed", "blocked")}
    click.echo(f"{len(rows)} plugins: {', '.join(f'{count} {status}' for status, count in counts.items() if count)}")


def _places(text: str) -> list[str]:
    """The lines of other people's files in a traceback: what found the mistake, ganlab or Python, is of no interest."""
    lines = [line.strip().removeprefix("File ") for line in text.splitlines() if line.strip().startswith("File ")]
    passed = ('"<', f'"{Path(ganlab.__file__).parent}', f'"{sysconfig.get_path("stdlib")}')
    return [line for line in lines if "-packages" in line or not line.startswith(passed)]


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
                describe.parameters(entry.load(), catalog)
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
        "warnings": plugin.warnings,
        "hooks": plugin.hooks,
        "components": components,
    }
