"""`ganlab show`: a resolved recipe with the origin of each value, or a component with its parameters."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import attrs
import click

from ganlab.cli.common import (
    catalog_with_warnings,
    complete_component,
    complete_kind,
    plugin_option,
    recipe_with_warnings,
)
from ganlab.errors import GanlabError
from ganlab.interfaces import KINDS
from ganlab.problems import KeyPath, dotted
from ganlab.registry import suggestion


@click.command()
@click.argument("what", shell_complete=complete_kind)
@click.argument("name", required=False, shell_complete=complete_component)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one value of the recipe first.")
@plugin_option
def show(what: str, name: str | None, overrides: tuple[str, ...], plugin_files: tuple[Path, ...]) -> None:
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
        _show_component(catalog.registry(what).entry(name))
        return
    if name is not None:
        raise GanlabError(f"'{what}' is no kind of component{suggestion(what, KINDS)} (kinds: {', '.join(KINDS)})")
    _show_recipe(Path(what), overrides, catalog)


def _show_recipe(file: Path, overrides: tuple[str, ...], catalog: Any) -> None:
    loaded = recipe_with_warnings(file, overrides, catalog)
    document = loaded.document
    rows = []
    for path, value in _leaves(loaded.plain(), ()):
        written = document.origins.get(path)
        if written is None and path[-1] == "name" and isinstance(document.at(path[:-1]), str):
            written = document.origins.get(path[:-1])  # loss = "lsgan"
        rows.append((f"{dotted(path)} = {_toml(value)}", str(written or "default")))
    width = min(60, max(len(text) for text, _ in rows))
    for text, origin_text in rows:
        click.echo(f"{text:{width}}  # {origin_text}")


def _leaves(data: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    """Key path and value of all that is no table."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if _holds_tables(data) else None
    if items is None:
        yield path, data
    for key, value in items or ():
        yield from _leaves(value, (*path, key))


def _holds_tables(data: Any) -> bool:
    return isinstance(data, list) and any(isinstance(item, dict) for item in data)


def _show_component(entry: Any) -> None:
    cls = entry.load()
    click.secho(f"{entry.kind} {entry.name}", bold=True, nl=False)
    click.echo(f"   [{entry.distribution} {entry.version}]")
    if entry.deprecated:
        click.secho(f"deprecated: {entry.deprecated}", fg="yellow")
    click.echo(inspect.cleandoc(cls.__doc__ or entry.summary or "no description"))
    source = inspect.getsourcefile(cls)
    click.echo(f"\nsource: {source}:{inspect.getsourcelines(cls)[1]}")
    fields = attrs.fields(cls)
    click.echo("\nparameters:" if fields else "\nno parameters")
    hints = get_type_hints(cls)
    for attribute in fields:
        default = "required" if attribute.default is attrs.NOTHING else _toml(_default(attribute))
        kind = attribute.metadata.get("component")
        kind_text = f"{kind} component" if kind else _type_text(hints[attribute.name])
        click.echo(f"  {attribute.name}: {kind_text} = {default}{_range(attribute.metadata)}")
        unit = f" [{attribute.metadata['unit']}]" if attribute.metadata.get("unit") else ""
        click.echo(f"      {attribute.metadata.get('help', '')}{unit}")


def _default(attribute: Any) -> Any:
    return attribute.default.factory() if isinstance(attribute.default, attrs.Factory) else attribute.default  # type: ignore[arg-type]  # attrs.Factory is a class at run time


def _type_text(hint: Any) -> str:
    if isinstance(hint, type) and not get_args(hint):
        return hint.__name__
    return str(hint).replace("typing.", "").replace("collections.abc.", "").replace("pathlib.", "")


def _range(metadata: Any) -> str:
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    bounds = metadata.get("bounds", {}).items()
    parts = [f"{signs[name]} {bound if isinstance(bound, int) else f'{bound:g}'}" for name, bound in bounds]
    if metadata.get("choices"):
        parts.append("one of " + ", ".join(map(repr, metadata["choices"])))
    return f"   ({', '.join(parts)})" if parts else ""


def _toml(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return str(value)
