"""A recipe file to a checked, frozen `Recipe`; every problem is reported at once, with file, line and key."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import tomli_w

from ganlab.components import structurer
from ganlab.errors import ComponentNotFound, PluginError, RecipeError
from ganlab.plain import plain, plain_component
from ganlab.plugins import Catalog, load_plugins
from ganlab.problems import KeyPath, Problem, Problems, dotted, parameter_names, unknown_key
from ganlab.recipe.document import Document, read_document
from ganlab.recipe.parts import settled
from ganlab.recipe.rules import broken_rules
from ganlab.recipe.schema import DataTable, MetricTable, Recipe, shared_data_keys, shared_metric_keys
from ganlab.values import located, shown


@attrs.frozen
class LoadedRecipe:
    """A recipe, where each of its values came from, and the catalog its components were found in."""

    recipe: Recipe
    document: Document
    catalog: Catalog
    name: str
    """`[run] name`, or the file's stem (without what cannot stand in a folder's name)."""

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
    document = settled(read_document(file), overrides)
    if "ablation" in document.data:
        where = document.origin(("ablation",))
        raise RecipeError([f"{where}: ablation: this file is an ablation; run it with `ganlab ablate {file}`"])
    return checked_recipe(document, catalog, name_of(file))


def checked_recipe(document: Document, catalog: Catalog, name: str) -> LoadedRecipe:
    """The recipe that a merged document describes; `name` is its name if `[run] name` is not set.

    Raises:
        RecipeError: with one line for every problem.
    """
    recipe = _structure(document, catalog)
    name = recipe.run.name or name
    return LoadedRecipe(attrs.evolve(recipe, run=attrs.evolve(recipe.run, name=name)), document, catalog, name)


def name_of(file: str | Path) -> str:
    """The file's stem, without what cannot stand in a folder's name."""
    return re.sub(r"^\W+|[^\w.+-]+", "-", Path(file).stem).strip("-") or "recipe"


def plain_recipe(recipe: Recipe, catalog: Catalog) -> dict[str, Any]:
    """A recipe as plain TOML data, with the parameters of the data's source and of each metric flat in their tables."""
    data: dict[str, Any] = plain(recipe, catalog.registries)
    table = data.pop("data")
    table.pop("source", None)
    source = plain_component("dataset", recipe.data.source, catalog.registries)
    run = data.pop("run")
    metrics = [{**entry.pop("metric"), **entry} for entry in data["metrics"]]
    return {"run": run, "data": {**source, **table}, **data, "metrics": metrics}


def _structure(document: Document, catalog: Catalog) -> Recipe:
    data, problems = _split_data_table(document.data, catalog)
    data, more = _split_metrics(data, catalog)
    problems += more
    for number, requirement in _required(data):
        problems += [Problem(("plugins", "require", number), text) for text in catalog.require([requirement])]
    try:
        recipe: Recipe = structurer(catalog.registries).table(Recipe, data)
    except Problems as error:
        problems += map(_as_written, error.problems)
    else:
        problems += map(_as_written, broken_rules(recipe))
        try:
            absolute: Recipe = _absolute_paths(recipe, document, ())
        except Problems as error:
            problems += error.problems
        if not problems:
            return absolute
    raise RecipeError(_explain(document, catalog, problems))


def _as_written(problem: Problem) -> Problem:
    """A problem of the schema's `data.source` is one of the `[data]` that was written; so with `metrics.0.metric`."""
    path = problem.path
    if path[:2] == ("data", "source"):
        return Problem(("data", *path[2:]), problem.text)
    if path[:1] == ("metrics",) and path[2:3] == ("metric",):
        return Problem((*path[:2], *path[3:]), problem.text)
    return problem


def _split_data_table(data: Mapping[str, Any], catalog: Catalog) -> tuple[dict[str, Any], list[Problem]]:
    """`[data]` holds the table's own keys and the source's parameters side by side; the schema has them nested."""
    table = data.get("data")
    if not isinstance(table, Mapping):
        return dict(data), []
    shared = shared_data_keys()
    own = {key: value for key, value in table.items() if key in shared}
    source = {key: value for key, value in table.items() if key not in shared}
    problems = []
    try:
        cls = catalog.registry("dataset").entry(str(source["name"])).load()
    except (KeyError, ComponentNotFound, PluginError):
        pass  # the schema reports it
    else:
        allowed = ["name", *parameter_names(cls), *shared]
        for key in [key for key in source if key not in allowed]:
            del source[key]
            problems.append(Problem(("data", key), unknown_key(key, allowed)))
    return {**data, "data": {**own, "source": source}}, problems


def _split_metrics(data: Mapping[str, Any], catalog: Catalog) -> tuple[dict[str, Any], list[Problem]]:
    """The same for `[[metrics]]`, of which each item is a table, or the bare name of a metric."""
    items = data.get("metrics", [])
    if not isinstance(items, list):
        remedy = f'; write ["{items}"]' if isinstance(items, str) else ""
        text = f"expected a list of metric components, got {shown(items)}{remedy}"
        return {**data, "metrics": []}, [Problem(("metrics",), text)]
    shared = shared_metric_keys()
    split: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for number, item in enumerate(items):
        table = item if isinstance(item, Mapping) else {"name": item}
        own = {key: value for key, value in table.items() if key in shared}
        component = {key: value for key, value in table.items() if key not in shared}
        split.append({**own, "metric": component if isinstance(item, Mapping) else item})
        try:
            names = parameter_names(catalog.registry("metric").entry(str(component["name"])).load())
        except (KeyError, ComponentNotFound, PluginError):
            continue  # the schema reports it
        if taken := [name for name in names if name in shared]:
            text = f"this metric has a parameter '{taken[0]}', which is a key of every [[metrics]]"
            problems.append(Problem(("metrics", number, "name"), f"{text}; its plugin must call it something else"))
        for key in [key for key in component if key not in ("name", *names)]:
            del component[key]
            problems.append(Problem(("metrics", number, key), unknown_key(key, ["name", *names, *shared])))
    return {**data, "metrics": split}, problems


def _required(data: Mapping[str, Any]) -> Iterable[tuple[int, str]]:
    table = data.get("plugins")
    listed = table.get("require", ()) if isinstance(table, Mapping) else ()
    return [(n, text) for n, text in enumerate(listed) if isinstance(text, str)] if isinstance(listed, list) else ()


def _absolute_paths(value: Any, document: Document, path: KeyPath) -> Any:
    """Every `Path` parameter made absolute: relative to the recipe file (or the working folder) that wrote it.

    Raises `Problems` for the first that can be none.
    """
    changes: dict[str, Any] = {}
    hints = typing.get_type_hints(type(value))
    for attribute in attrs.fields(type(value)):
        inner = getattr(value, attribute.name)
        flat = (type(value), attribute.name) in ((DataTable, "source"), (MetricTable, "metric"))
        here = path if flat else (*path, attribute.name)
        if isinstance(inner, Path) and hints[attribute.name] in (Path, Path | None):
            changes[attribute.name] = _absolute(inner, document, here)
        elif attrs.has(type(inner)):
            changes[attribute.name] = _absolute_paths(inner, document, here)
        elif isinstance(inner, tuple) and inner and all(isinstance(item, Path) for item in inner):
            changes[attribute.name] = tuple(
                _absolute(item, document, (*here, number)) for number, item in enumerate(inner)
            )
        elif isinstance(inner, tuple) and inner and all(attrs.has(type(item)) for item in inner):
            changes[attribute.name] = tuple(
                _absolute_paths(item, document, (*here, number)) for number, item in enumerate(inner)
            )
    return attrs.evolve(value, **changes)


def _absolute(written: Path, document: Document, here: KeyPath) -> Path:
    try:
        return located(document.origin(here).folder, written)
    except ValueError as error:
        raise Problems([Problem(here, str(error))]) from error


def _explain(document: Document, catalog: Catalog, problems: Sequence[Problem]) -> list[str]:
    lines = []
    left_out = [f"{plugin.name} {plugin.status}: {plugin.reason}" for plugin in catalog.plugins if plugin.reason]
    for problem in problems:
        path = problem.path
        origin = document.origin(path)
        text = problem.text
        if text.startswith("unknown ") and not text.startswith("unknown key") and left_out:
            text += f"; these plugins are left out: {', '.join(left_out)}"
        lines.append((origin.label, origin.line or 0, f"{origin}: {dotted(path) or 'recipe'}: {text}"))
    return [line for _, _, line in sorted(lines, key=lambda item: item[:2])]
