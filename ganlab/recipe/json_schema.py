"""A JSON Schema of recipes with the components that are installed here, for editors that complete and check TOML.

It is of draft 7, which every TOML language server reads. It says what can be said of the form of a file: tables, keys,
types, ranges, names. What depends on a program (a parameter's `check`) or on several tables at once is left to
`ganlab check`, and so is what a `base` brings: a file that has one need not be complete, and a table without a `name`
may then change any component.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import attrs

from ganlab.errors import PluginError
from ganlab.recipe.schema import DataTable, MetricTable, Recipe
from ganlab.registry import Entry, Registry

DRAFT = "http://json-schema.org/draft-07/schema#"
_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
_SCALARS = {bool: "boolean", int: "integer", float: "number", str: "string", Path: "string"}
_GENERATORS = ("generator", "translator")

Schema = dict[str, Any]


def recipe_schema(registries: Mapping[str, Registry], ablation: type) -> Schema:
    """The schema of recipe and ablation files; `ablation` is the class of the `[ablation]` table."""
    return _Writer(registries).files(ablation)


def fits(entry: Entry, slot: str) -> bool:
    """Whether a component may stand in `[generator]` or `[discriminator]`; any may in any other slot.

    A network that cannot be made without parameters is given the benefit of the doubt.
    """
    if entry.kind != "network" or slot not in ("generator", "discriminator"):
        return True
    try:
        role = getattr(entry.load()(), "role", slot)
    except Exception:
        return True
    return role in _GENERATORS if slot == "generator" else bool(role == slot)


class _Writer:
    """Collects the definitions that the tables refer to."""

    def __init__(self, registries: Mapping[str, Registry]) -> None:
        self.registries = registries
        self.definitions: dict[str, Schema] = {}

    def files(self, ablation: type) -> Schema:
        tables = {attribute.name: self._recipe_key(attribute) for attribute in attrs.fields(Recipe)}
        self.definitions["recipe"] = {**_closed(tables), "description": "recipe tables, any of them"}
        described = {"description": "variants of the recipe, compared by `ganlab ablate`"}
        with_ablation = {**tables, "ablation": {**self._ablation(ablation), **described}}
        self.definitions["scale"] = _closed(with_ablation)
        base = {"type": "string", "description": "path of one parent, relative to this file; its tables come first"}
        scale = {"type": "string", "description": "name of the table of [scales] that is merged over the rest"}
        scales = {
            "type": "object",
            "additionalProperties": _reference("scale"),
            "description": "tables that are merged over the rest when `scale` names them",
        }
        opens = {"additionalProperties": True}  # what is no whole table says so, for servers that close all others
        unfinished = [{"required": [key], **opens} for key in ("base", "scale", "ablation")]
        return {
            "$schema": DRAFT,
            "title": "Recipe of ganlab",
            **_closed({"base": base, "scale": scale, "scales": scales, **with_ablation}),
            "if": {"anyOf": unfinished, **opens},
            "else": self._complete(),
            "definitions": dict(sorted(self.definitions.items())),
        }

    # -- tables of a recipe --------------------------------------------------------------------------------------------

    def _recipe_key(self, attribute: attrs.Attribute[Any]) -> Schema:
        hint = typing.get_type_hints(Recipe)[attribute.name]
        if hint is DataTable:
            schema = self._flat(DataTable, "source", strict=False)
        elif attribute.name == "metrics":
            item = self._flat(MetricTable, "metric", strict=True)
            entries = self.registries["metric"].entries()
            schema = {"type": "array", "items": {"anyOf": [_names(self._loadable(entries), self.registries), item]}}
        else:
            schema = self._field(attribute, hint, attribute.name)
        return _described(schema, attribute)

    def _complete(self) -> Schema:
        """What a file must have that has neither base, scale nor variants: nothing else can bring it."""
        tables: dict[str, Schema] = {}
        required: list[str] = []
        for attribute in attrs.fields(Recipe):
            hint = typing.get_type_hints(Recipe)[attribute.name]
            if attribute.default is attrs.NOTHING:
                required.append(attribute.name)
            if hint is DataTable:
                tables[attribute.name] = self._flat(DataTable, "source", strict=True)
            elif attrs.has(hint) and _required(hint):
                tables[attribute.name] = {"required": _required(hint), "additionalProperties": True}
            elif "component" in attribute.metadata and isinstance(attribute.default, str):
                tables[attribute.name] = self._by_default(attribute.metadata["component"], attribute.default)
        properties = {key: schema for key, schema in tables.items() if schema}
        return {"required": required, "properties": properties, "additionalProperties": True}

    def _by_default(self, kind: str, default: str) -> Schema:
        """A table without a name has the parameters of the default."""
        registry = self.registries[kind]
        entry = next((entry for entry in self._loadable(registry.entries()) if entry.name == default), None)
        if entry is None:
            return {}
        nameless = {"type": "object", "additionalProperties": True, "not": {"required": ["name"]}}
        return {"if": nameless, "then": _reference(self._component(entry)), "additionalProperties": True}

    def _flat(self, table: type, slot: str, *, strict: bool) -> Schema:
        """A table that holds its own keys and the parameters of a component side by side."""
        shared = self._fields(table, slot)
        component = attrs.fields_dict(table)[slot].metadata["component"]
        registry = self.registries[component]
        choices = []
        for entry in self._loadable(registry.entries()):
            cls = entry.load()
            properties = {"name": _named(entry, registry), **self._fields(cls), **shared}
            required = ["name", *_required(cls), *_required(table, slot)]
            choice = {**_closed(properties), "title": entry.name, "description": _summary(entry)}
            choices.append({**choice, "required": required} if strict else choice)
        return {"anyOf": choices}

    def _ablation(self, table: type) -> Schema:
        properties = self._table(table)["properties"]
        recipe, recipes = _reference("recipe"), {"type": "object", "additionalProperties": _reference("recipe")}
        axes = {"type": "object", "additionalProperties": {"type": ["array", "object"]}}
        properties["vary"] = {**properties["vary"], **axes}
        properties["adjust"] = {**properties["adjust"], **recipes}
        variant = properties["variant"]["items"]["properties"]
        variant["set"] = {"allOf": [recipe], "description": variant["set"]["description"]}
        return _closed(properties)

    # -- components ----------------------------------------------------------------------------------------------------

    def _slot(self, kind: str, slot: str, *, many: bool) -> Schema:
        """A bare name, or a table with a name and parameters."""
        registry = self.registries[kind]
        entries = [entry for entry in self._loadable(registry.entries()) if fits(entry, slot)]
        tables = [_reference(self._component(entry)) for entry in entries]
        if not many:
            return {"anyOf": [_names(entries, self.registries), *tables]}
        strict = [
            {"allOf": [table], "required": ["name", *_required(entry.load())]}
            for entry, table in zip(entries, tables, strict=True)
        ]
        return {"type": "array", "items": {"anyOf": [_names(entries, self.registries), *strict]}}

    def _component(self, entry: Entry) -> str:
        """The name of a component's definition, which is made when it is first asked for."""
        key = f"{entry.kind}.{entry.qualified_name}"
        if key not in self.definitions:
            self.definitions[key] = {}  # a component may have slots of its own kind
            name = _named(entry, self.registries[entry.kind])
            self.definitions[key] = {
                "title": entry.name,
                "description": _summary(entry),
                **_closed({"name": name, **self._fields(entry.load())}),
            }
        return key

    def _loadable(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Those that work; `ganlab plugins` tells of the others."""
        for entry in entries:
            try:
                entry.load()
            except PluginError:
                continue
            yield entry

    # -- values --------------------------------------------------------------------------------------------------------

    def _table(self, cls: type) -> Schema:
        return _closed(self._fields(cls))

    def _fields(self, cls: type, *left_out: str) -> dict[str, Schema]:
        hints = typing.get_type_hints(cls)
        fields = [attribute for attribute in attrs.fields(cls) if attribute.name not in left_out]
        return {attribute.name: self._field(attribute, hints[attribute.name]) for attribute in fields}

    def _field(self, attribute: attrs.Attribute[Any], hint: Any, slot: str = "") -> Schema:
        metadata = attribute.metadata
        if "component" in metadata:
            schema = self._slot(metadata["component"], slot, many=metadata.get("many", False))
        else:
            schema = self._value(hint)
            bounds = {_BOUNDS[name]: bound for name, bound in metadata.get("bounds", {}).items()}
            schema = {**schema, **bounds}
            if metadata.get("choices"):
                schema["enum"] = list(metadata["choices"])
        return _described(schema, attribute)

    def _value(self, hint: Any) -> Schema:
        origin, arguments = get_origin(hint), get_args(hint)
        if hint in _SCALARS or origin is get_origin(Literal[1]):
            return {"type": _SCALARS[hint]} if hint in _SCALARS else {"enum": list(arguments)}
        if origin in (Union, UnionType):
            members = [self._value(each) for each in arguments if each is not type(None)]
            return members[0] if len(members) == 1 else {"anyOf": members}
        if origin in (list, tuple, get_origin(Sequence[int])):
            return self._sequence(origin, arguments)
        if origin in (dict, get_origin(Mapping[int, int])):
            return self._mapping(*arguments)
        return self._table(hint) if isinstance(hint, type) and attrs.has(hint) else {}

    def _mapping(self, key: Any, item: Any) -> Schema:
        if key is not int:
            return {"type": "object", "additionalProperties": self._value(item)}
        numbers = {"^(0|[1-9][0-9]{0,17})$": self._value(item)}
        return {"type": "object", "patternProperties": numbers, "additionalProperties": False}

    def _sequence(self, origin: Any, arguments: tuple[Any, ...]) -> Schema:
        if origin is tuple and Ellipsis not in arguments:
            items = [self._value(each) for each in arguments]
            return {"type": "array", "items": items, "minItems": len(items), "maxItems": len(items)}
        item = self._value(arguments[0])
        if isinstance(arguments[0], type) and attrs.has(arguments[0]):
            item["required"] = _required(arguments[0])  # lists are replaced whole, so that nothing else can bring it
        return {"type": "array", "items": item}


def _closed(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _reference(definition: str) -> Schema:
    return {"$ref": f"#/definitions/{definition}"}


def _required(cls: type, *left_out: str) -> list[str]:
    fields = attrs.fields(cls)
    return [each.name for each in fields if each.default is attrs.NOTHING and each.name not in left_out]


def _names(entries: Iterable[Entry], registries: Mapping[str, Registry]) -> Schema:
    """A component by its name alone."""
    return {"enum": [name for entry in entries for name in _all_names(entry, registries[entry.kind])]}


def _named(entry: Entry, registry: Registry) -> Schema:
    return {"enum": _all_names(entry, registry), "description": _summary(entry)}


def _all_names(entry: Entry, registry: Registry) -> list[str]:
    """What may be written for a component, what should be first."""
    collisions = registry.collisions()
    names = [name for name in (entry.name, *entry.aliases) if name not in collisions]
    return [*names, *(f"{entry.distribution}:{name}" for name in (entry.name, *entry.aliases))]


def _summary(entry: Entry) -> str:
    text = entry.summary or inspect.cleandoc(entry.load().__doc__ or "").partition("\n\n")[0]
    return f"deprecated: {entry.deprecated}. {text}" if entry.deprecated else text


def _described(schema: Schema, attribute: attrs.Attribute[Any]) -> Schema:
    """With help, unit and default. Beside a reference nothing else counts, so that one is wrapped."""
    unit = f" [{attribute.metadata['unit']}]" if attribute.metadata.get("unit") else ""
    found = {"allOf": [schema]} if "$ref" in schema else dict(schema)
    found["description"] = attribute.metadata.get("help", "") + unit
    default: Any = attribute.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # attrs.Factory is a class at run time
        default = default.factory()
    if isinstance(default, Path):
        default = str(default)
    if default is not attrs.NOTHING and default is not None and not attrs.has(type(default)):
        found["default"] = list(default) if isinstance(default, tuple) else default
    return found
