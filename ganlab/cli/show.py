"""`ganlab show`: a resolved recipe with the origin of each value, or a component with its parameters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ganlab.cli import describe
from ganlab.cli.common import (
    catalog_with_warnings,
    complete_component,
    complete_kind,
    plugin_option,
    recipe_with_warnings,
)
from ganlab.errors import GanlabError
from ganlab.interfaces import KINDS
from ganlab.plugins import Catalog
from ganlab.problems import KeyPath, dotted
from ganlab.registry import Entry, canonical, suggestion


@click.command()
@click.argument("what", shell_complete=complete_kind)
@click.argument("name", required=False, shell_complete=complete_component)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one value of the recipe first.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@plugin_option
def show(
    what: str, name: str | None, overrides: tuple[str, ...], as_json: bool, plugin_files: tuple[Path, ...]
) -> None:
    """Show a recipe or a component.

    WHAT is a recipe file, or a kind of component (loss, layer, ...) and NAME its name.

    \b
    ganlab show recipes/pggan.toml           every value of the recipe and where it was set
    ganlab show loss wgan-gp                 a component: parameters, types, defaults, source
    """  # noqa: D301 - click wants the control character, to leave the lines as they are
    catalog = catalog_with_warnings(plugin_files)
    if what in KINDS and overrides:
        raise GanlabError("--set changes a recipe; a component's defaults stay what they are")
    if what in KINDS:
        if name is None:
            known = ", ".join(catalog.registry(what).names())
            raise GanlabError(f"ganlab show {what} NAME: which one? (known: {known})")
        _show_component(catalog.registry(what).entry(name), catalog, as_json)
        return
    if name is not None:
        raise GanlabError(f"'{what}' is no kind of component{suggestion(what, KINDS)} (kinds: {', '.join(KINDS)})")
    if not Path(what).is_file() and (instead := _instead(what, catalog)):
        raise GanlabError(f"{what} is no recipe file; {instead}")
    _show_recipe(Path(what), overrides, catalog, as_json)


def _instead(name: str, catalog: Catalog) -> str:
    """What to type for what is no recipe but the name of a component or of a plugin; empty where it is neither."""
    bare = name.rpartition(":")[2]
    words = []
    for kind, registry in catalog.registries.items():
        offers = [entry for entry in registry.entries() if bare in (entry.name, *entry.aliases)]
        offers = [entry for entry in offers if name in (bare, entry.qualified_name)]
        words += [f"`ganlab show {kind} {describe.name_to_write(entry, registry)}`" for entry in offers]
    if words:
        return f"for the component type {' or '.join(words)}"
    if any(canonical(name) in (plugin.name, plugin.distribution) for plugin in catalog.plugins):
        return "`ganlab plugins` shows the plugin of that name, and `ganlab list` what it offers"
    return ""


def _show_recipe(file: Path, overrides: tuple[str, ...], catalog: Catalog, as_json: bool) -> None:
    loaded = recipe_with_warnings(file, overrides, catalog)
    document = loaded.document
    rows = []
    for path, value in _leaves(loaded.plain(), ()):
        written = document.origins.get(path)
        if written is None and path[-1] == "name" and isinstance(document.at(path[:-1]), str):
            written = document.origins.get(path[:-1])  # loss = "lsgan"
        rows.append((dotted(path), value, str(written or "default")))
    if as_json:
        found = [{"key": key, "value": value, "origin": origin} for key, value, origin in rows]
        click.echo(json.dumps({"values": found}, indent=2))
        return
    lines = [(f"{key} = {describe.toml(value)}", origin) for key, value, origin in rows]
    width = min(60, max(len(text) for text, _ in lines))
    for text, origin in lines:
        click.echo(f"{text:{width}}  # {origin}")


def _leaves(data: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    """Key path and value of all that is no table."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if _holds_tables(data) else None
    if items is None:
        yield path, data
    for key, value in items or ():
        yield from _leaves(value, (*path, key))


def _holds_tables(data: Any) -> bool:
    return isinstance(data, list) and any(isinstance(item, dict) for item in data)


def _show_component(entry: Entry, catalog: Catalog, as_json: bool) -> None:
    found = describe.component(entry, catalog)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    click.secho(f"{found['kind']} {found['name']}", bold=True, nl=False)
    click.echo(f"   [{found['distribution']} {found['version']}]")
    if found["deprecated"]:
        click.secho(f"deprecated: {found['deprecated']}", fg="yellow")
    click.echo(found["description"])
    click.echo()
    if found["file"]:
        click.echo(f"source: {found['file']}:{found['line']}")
    click.echo(f"plugin: {found['plugin']}")
    if found["aliases"]:
        click.echo(f"other names: {', '.join(found['aliases'])}")
    click.echo(f"named at: {', '.join(found['places']) or 'nothing that is installed asks for one'}")
    click.echo("\nparameters:" if found["parameters"] else "\nno parameters")
    for parameter in found["parameters"]:
        default = "required" if parameter["required"] else describe.toml(parameter["default"])
        limits = describe.range_text(parameter)
        shown = f"   ({limits})" if limits else ""
        click.echo(f"  {parameter['name']}: {parameter['type']} = {default}{shown}")
        unit = f" [{parameter['unit']}]" if parameter["unit"] else ""
        click.echo(f"      {parameter['help']}{unit}")
        if parameter["names"]:
            click.echo(f"      one of: {', '.join(parameter['names'])}")
