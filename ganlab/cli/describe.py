"""A component as plain data: what `ganlab show` and `ganlab list` print, and what the pages on kinds are made from."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any

import attrs

from ganlab.ablation.schema import AblationTable
from ganlab.errors import PluginError
from ganlab.plugins import Catalog
from ganlab.recipe.json_schema import fits
from ganlab.recipe.schema import DataTable, MetricTable, Recipe
from ganlab.registry import Entry, Registry, type_hints

SIGNS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


def offer(entry: Entry, registry: Registry) -> dict[str, Any]:
    """Who offers a component, and under which names; loads nothing."""
    return {
        "kind": entry.kind,
        "name": entry.name,
        "write": name_to_write(entry, registry),
        "qualified_name": entry.qualified_name,
        "aliases": list(entry.aliases),
        "summary": entry.summary,
        "deprecated": entry.deprecated,
        "distribution": entry.distribution,
        "version": entry.version,
        "plugin": entry.plugin,
        "target": entry.target_text,
    }


def component(entry: Entry, catalog: Catalog) -> dict[str, Any]:
    """All that is known of a component. Raises `PluginError` where it cannot be loaded."""
    cls = entry.load()
    file, line = _source(cls)
    return {
        **offer(entry, catalog.registry(entry.kind)),
        "description": inspect.cleandoc(cls.__doc__ or entry.summary or "no description"),
        "file": file,
        "line": line,
        "places": places(entry.kind, catalog),
        "parameters": parameters(cls, catalog),
    }


def parameters(cls: type, catalog: Catalog) -> list[dict[str, Any]]:
    """The parameters of a component's class, in its order."""
    hints = type_hints(cls)
    return [_parameter(attribute, hints[attribute.name], catalog) for attribute in attrs.fields(cls)]


def _parameter(attribute: attrs.Attribute[Any], hint: Any, catalog: Catalog) -> dict[str, Any]:
    metadata = attribute.metadata
    kind, many = metadata.get("component"), metadata.get("many", False)
    required = attribute.default is attrs.NOTHING
    text = type_text(hint)
    if kind:
        text = f"list of {kind} components" if many else f"{kind} component"
    return {
        "name": attribute.name,
        "type": text,
        "required": required,
        "default": None if required else plain_default(attribute),
        "bounds": dict(metadata.get("bounds", {})),
        "choices": choices(metadata, hint),
        "unit": metadata.get("unit", ""),
        "help": metadata.get("help", ""),
        "component": kind,
        "names": names_to_write(catalog.registry(kind)) if kind else [],
    }


def choices(metadata: Mapping[str, Any], hint: Any) -> list[Any]:
    """The allowed values where they are listed, else nothing."""
    literals = [each for each in (hint, *typing.get_args(hint)) if _is_literal(each)]
    return list(metadata.get("choices") or (typing.get_args(literals[0]) if literals else ()))


def plain_default(attribute: attrs.Attribute[Any]) -> Any:
    """The default as JSON and TOML know it; None where it is none."""
    default: Any = attribute.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # attrs.Factory is a class at run time
        default = default.factory()
    if isinstance(default, Path):
        return str(default)
    if isinstance(default, (list, tuple)):
        return list(default)
    return dict(default) if isinstance(default, Mapping) else default


def name_to_write(entry: Entry, registry: Registry) -> str:
    """What a recipe says for a component: its bare name, unless another distribution offers that too."""
    return entry.qualified_name if entry.name in registry.collisions() else entry.name


def names_to_write(registry: Registry) -> list[str]:
    """What a recipe can say for a component of a kind, without the names that will go away."""
    return [name_to_write(entry, registry) for entry in registry.entries() if not entry.deprecated]


def places(kind: str, catalog: Catalog) -> list[str]:
    """The keys of recipes and ablations that a component of `kind` is named at: `loss`, `generator.normalization`.

    Components that cannot be loaded are passed over.
    """
    found = [key for slot, key in _top() if slot == kind]
    for top, key in _top():
        for entry in catalog.registry(top).entries():
            if fits(entry, key):
                found += [f"{key}.{name}" for slot, name in _slots(entry) if slot == kind]
    return list(dict.fromkeys(found))


def _top() -> Iterator[tuple[str, str]]:
    """Kind and key of what a recipe or ablation names itself."""
    for attribute in attrs.fields(Recipe):
        if "component" in attribute.metadata:
            yield attribute.metadata["component"], attribute.name
    yield attrs.fields_dict(DataTable)["source"].metadata["component"], "data"
    yield attrs.fields_dict(MetricTable)["metric"].metadata["component"], "metrics"
    yield attrs.fields_dict(AblationTable)["executor"].metadata["component"], "ablation.executor"


def _slots(entry: Entry) -> Iterator[tuple[str, str]]:
    try:
        cls = entry.load()
    except PluginError:
        return
    for attribute in attrs.fields(cls):
        if "component" in attribute.metadata:
            yield attribute.metadata["component"], attribute.name


def type_text(hint: Any) -> str:
    """A type hint as its author wrote it; of a `Literal`, whose values stand elsewhere, the type of these."""
    if _is_literal(hint):
        return " | ".join(dict.fromkeys(type(value).__name__ for value in typing.get_args(hint)))
    if isinstance(hint, type) and not typing.get_args(hint):
        return hint.__name__
    if typing.get_origin(hint) in (typing.Union, UnionType):
        return " | ".join("None" if each is type(None) else type_text(each) for each in typing.get_args(hint))
    return str(hint).replace("typing.", "").replace("collections.abc.", "").replace("pathlib.", "")


def range_text(parameter: Mapping[str, Any]) -> str:
    """`>= 0, < 1`, or the choices; empty where any value of the type will do."""
    bounds = parameter["bounds"].items()
    found = [f"{SIGNS[name]} {bound if isinstance(bound, int) else f'{bound:g}'}" for name, bound in bounds]
    if parameter["choices"]:
        found.append("one of " + ", ".join(map(toml, parameter["choices"])))
    return ", ".join(found)


def toml(value: Any) -> str:
    """A value as a recipe has it; `none` for none."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + "}"
    return str(value)


def _is_literal(hint: Any) -> bool:
    origin: Any = typing.get_origin(hint)
    return origin is typing.Literal


def _source(cls: type) -> tuple[str | None, int | None]:
    try:
        return inspect.getsourcefile(cls), inspect.getsourcelines(cls)[1]
    except (OSError, TypeError):  # made without a file
        return None, None
