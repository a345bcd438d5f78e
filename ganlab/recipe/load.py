"""A recipe file to a checked, frozen `Recipe`; every problem of the file is reported at once, with file, line and key."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import tomli_w

from ganlab.components import KeyPath, Problem, Problems, dotted, plain, plain_component, structurer
from ganlab.errors import ComponentNotFound, PluginError, RecipeError
from ganlab.plugins import Catalog, load_plugins
from ganlab.recipe.document import Document, override, read_document
from ganlab.recipe.rules import broken_rules
from ganlab.recipe.schema import DataTable, Recipe
from ganlab.registry import suggestion


@attrs.frozen
class LoadedRecipe:
    """A recipe, where each of its values came from, and the catalog its components were found in."""

    recipe: Recipe
    document: Document
    catalog: Catalog
    name: str
    """`[run] name`, or the file's stem."""

    def plain(self) -> dict[str, Any]:
        """The resolved recipe as plain TOML data: every default written out, paths absolute."""
        return plain_recipe(self.recipe, self.catalog)

    def toml(self) -> str:
        """The resolved recipe as TOML text, which loads to the same recipe anywhere on this machine."""
        return tomli_w.dumps(self.plain())


def load_recipe(file: str | Path, overrides: Sequence[str] = (), catalog: Catalog | None = None) -> LoadedRecipe:
    """Read `file` and its bases, apply `--set` overrides and check everything.

    Raises:
        RecipeError: with one line for every problem, `file:line: key: what; remedy`.
    """
    catalog = load_plugins() if catalog is None else catalog
    document = read_document(file)
    for assignment in overrides:
        document = override(document, assignment)
    recipe = _structure(document, catalog)
    name = recipe.run.name or Path(file).stem
    return LoadedRecipe(attrs.evolve(recipe, run=attrs.evolve(recipe.run, name=name)), document, catalog, name)


def plain_recipe(recipe: Recipe, catalog: Catalog) -> dict[str, Any]:
    """A recipe as plain TOML data, with the data source's parameters flat in `[data]`."""
    data: dict[str, Any] = plain(recipe, catalog.registries)
    table = data.pop("data")
    table.pop("source", None)
    source = plain_component("dataset", recipe.data.source, catalog.registries)
    run = data.pop("run")
    return {"run": run, "data": {**source, **table}, **data}


def _structure(document: Document, catalog: Catalog) -> Recipe:
    data, problems = _split_data_table(document.data, catalog)
    missing = catalog.require(_required(data))
    problems += [Problem(("plugins", "require"), text) for text in missing]
    try:
        recipe: Recipe = structurer(catalog.registries).table(Recipe, data)
    except Problems as error:
        problems += error.problems
    else:
        recipe = _absolute_paths(recipe, document, ())
        problems += broken_rules(recipe)
        if not problems:
            return recipe
    raise RecipeError(_explain(document, catalog, problems))


def _split_data_table(data: Mapping[str, Any], catalog: Catalog) -> tuple[dict[str, Any], list[Problem]]:
    """`[data]` holds the table's own keys and the source's parameters side by side; the schema has them nested."""
    table = data.get("data")
    if not isinstance(table, Mapping):
        return dict(data), []
    shared = [attribute.name for attribute in attrs.fields(DataTable) if attribute.name != "source"]
    own = {key: value for key, value in table.items() if key in shared}
    source = {key: value for key, value in table.items() if key not in shared}
    problems = []
    try:
        cls = catalog.registry("dataset").entry(str(source["name"])).load()
    except (KeyError, ComponentNotFound, PluginError):
        pass  # the schema reports it
    else:
        allowed = [attribute.name for attribute in attrs.fields(cls)] + shared
        for key in [key for key in source if key not in (*allowed, "name")]:
            del source[key]
            text = f"unknown key{suggestion(key, allowed)} (allowed: {', '.join(allowed)})"
            problems.append(Problem(("data", key), text))
    return {**data, "data": {**own, "source": source}}, problems


def _required(data: Mapping[str, Any]) -> Iterable[str]:
    table = data.get("plugins")
    listed = table.get("require", ()) if isinstance(table, Mapping) else ()
    return [text for text in listed if isinstance(text, str)] if isinstance(listed, list) else ()


def _absolute_paths(value: Any, document: Document, path: KeyPath) -> Any:
    """Every `Path` parameter made absolute: relative to the recipe file (or the working folder) that wrote it."""
    changes = {}
    hints = typing.get_type_hints(type(value))
    for attribute in attrs.fields(type(value)):
        inner = getattr(value, attribute.name)
        here = path if (path, attribute.name) == (("data",), "source") else (*path, attribute.name)
        if isinstance(inner, Path) and hints[attribute.name] in (Path, Path | None):
            changes[attribute.name] = Path(document.origin(here).folder / inner.expanduser()).resolve()
        elif attrs.has(type(inner)):
            changes[attribute.name] = _absolute_paths(inner, document, here)
        elif isinstance(inner, tuple) and inner and all(attrs.has(type(item)) for item in inner):
            changes[attribute.name] = tuple(
                _absolute_paths(item, document, (*here, number)) for number, item in enumerate(inner)
            )
    return attrs.evolve(value, **changes)


def _explain(document: Document, catalog: Catalog, problems: Sequence[Problem]) -> list[str]:
    lines = []
    for problem in problems:
        path = tuple(part for number, part in enumerate(problem.path) if (number, part) != (1, "source"))
        origin = document.origin(path)
        text = problem.text
        if "unknown " in text and "(known:" in text and catalog.failed():
            broken = ", ".join(f"{plugin.name} ({plugin.reason})" for plugin in catalog.failed())
            text += f"; these plugins are broken and offer nothing: {broken}"
        lines.append((origin.label, origin.line or 0, f"{origin}: {dotted(path) or 'recipe'}: {text}"))
    return [line for _, _, line in sorted(lines, key=lambda item: item[:2])]
