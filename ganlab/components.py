"""Turns tables of a recipe into frozen components, strictly, and reports every problem with its key path.

cattrs does the work, made strict: unknown keys are refused, "false" is no boolean and 3.7 no integer. Components are
looked up by name in the registries; `name` is the only reserved key, the others are the component's parameters.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import attrs
import cattrs
from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError, IterableValidationError
from cattrs.gen import make_dict_structure_fn, override

from ganlab.errors import ComponentNotFound, PluginError, RecipeError
from ganlab.parameters import out_of_range
from ganlab.registry import Registry, suggestion

KeyPath = tuple[str | int, ...]


@attrs.frozen
class Problem:
    """One thing that is wrong, and where."""

    path: KeyPath
    text: str


class Problems(Exception):
    """Carries the problems of a nested table up through cattrs."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("; ".join(problem.text for problem in problems))


def dotted(path: KeyPath) -> str:
    """`("metrics", 0, "count")` as `metrics.0.count`."""
    return ".".join(map(str, path))


def create_component(registries: Mapping[str, Registry], kind: str, spec: str | Mapping[str, Any]) -> Any:
    """The component of `kind` that a name or table describes. Raises `RecipeError` with one line a problem."""
    try:
        return structurer(registries).component(kind, spec)
    except Problems as error:
        raise RecipeError(f"{dotted((kind, *problem.path))}: {problem.text}" for problem in error.problems) from error


def structurer(registries: Mapping[str, Registry]) -> Structurer:
    """A strict converter over these registries."""
    return Structurer(registries)


class Structurer:
    """Plain data to attrs classes. Every method raises `Problems` for what is wrong with the data."""

    def __init__(self, registries: Mapping[str, Registry]) -> None:
        self.registries = registries
        self.converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)
        for kind_of_scalar in (int, float, bool, str):
            self.converter.register_structure_hook(kind_of_scalar, _strict_scalar)
        self.converter.register_structure_hook(Path, lambda value, _: Path(_strict_scalar(value, str)))
        self.converter.register_structure_hook_func(lambda t: get_origin(t) is Literal, _literal)
        self.converter.register_structure_hook_func(_is_optional, self._optional)
        self.converter.register_structure_hook_func(
            lambda t: get_origin(t) in (list, tuple, typing.get_origin(Sequence[int])), self._sequence
        )
        self.converter.register_structure_hook_func(
            lambda t: get_origin(t) in (dict, typing.get_origin(Mapping[int, int])), self._mapping
        )
        self.converter.register_structure_hook_factory(attrs.has, self._class_hook)

    def table(self, cls: type, value: Any) -> Any:
        """An attrs class from a table."""
        try:
            return self.converter.structure(value, cls)
        except ClassValidationError as error:
            raise Problems(_problems(error)) from error

    def component(self, kind: str, spec: Any, default: str | None = None) -> Any:
        """A component from a bare name or a table; a table without `name` means `default`."""
        if not isinstance(spec, (str, Mapping)):
            if attrs.has(type(spec)):
                return spec
            raise Problems([Problem((), f"expected the name of a {kind} or a table, got {_shown(spec)}")])
        table = {"name": spec} if isinstance(spec, str) else dict(spec)
        name = table.pop("name", default)
        if name is None:
            known = ", ".join(self.registries[kind].names())
            raise Problems([Problem(("name",), f"missing; it names the {kind} (known: {known})")])
        if not isinstance(name, str):
            raise Problems([Problem(("name",), f"expected a string, got {_shown(name)}")])
        try:
            cls = self.registries[kind].entry(name).load()
        except (ComponentNotFound, PluginError) as error:
            raise Problems([Problem(("name",) if isinstance(spec, Mapping) else (), str(error))]) from error
        return self.table(cls, table)

    # -- hooks ---------------------------------------------------------------------------------------------------------

    def _class_hook(self, cls: type) -> Callable[[Any, Any], Any]:
        overrides = {}
        slots: dict[str, Any] = {}
        hints = typing.get_type_hints(cls)
        for attribute in attrs.fields(cls):
            if "component" in attribute.metadata:
                slots[attribute.name] = attribute
                overrides[attribute.name] = override(struct_hook=self._slot_hook(attribute))
            else:
                overrides[attribute.name] = override(struct_hook=self._field_hook(attribute, hints[attribute.name]))
        structure = make_dict_structure_fn(
            cls,
            self.converter,
            _cattrs_forbid_extra_keys=True,
            _cattrs_detailed_validation=True,
            **overrides,  # type: ignore[arg-type]  # the keyword is one override a field, which the signature cannot say
        )

        def hook(value: Any, target: Any) -> Any:
            if not isinstance(value, Mapping):
                raise ValueError(f"expected a table, got {_shown(value)}")
            named = {
                name: a.default for name, a in slots.items() if name not in value and a.default is not attrs.NOTHING
            }
            return structure({**value, **named}, target)

        return hook

    def _slot_hook(self, attribute: attrs.Attribute[Any]) -> Callable[[Any, Any], Any]:
        kind, many = attribute.metadata["component"], attribute.metadata.get("many", False)
        default = attribute.default if isinstance(attribute.default, str) else None

        def hook(value: Any, _: Any) -> Any:
            if value is None:
                return None
            if not many:
                return self.component(kind, value, default)
            if not isinstance(value, (list, tuple)):
                raise ValueError(f"expected a list of {kind} components, got {_shown(value)}")
            built, problems = [], []
            for number, item in enumerate(value):
                try:
                    built.append(self.component(kind, item))
                except Problems as error:
                    problems += [Problem((number, *problem.path), problem.text) for problem in error.problems]
            if problems:
                raise Problems(problems)
            return tuple(built)

        return hook

    def _field_hook(self, attribute: attrs.Attribute[Any], hint: Any) -> Callable[[Any, Any], Any]:
        def hook(value: Any, _: Any) -> Any:
            structured = self.converter.structure(value, hint)
            if structured is not None and "bounds" in attribute.metadata:
                problem = out_of_range(structured, attribute.metadata)
                if problem:
                    near = attribute.metadata["choices"] and isinstance(structured, str)
                    raise ValueError(problem + (suggestion(structured, attribute.metadata["choices"]) if near else ""))
                # The field's own validator runs again in __init__; here it gets the field's name for the message.
                if attribute.validator is not None:
                    attribute.validator(None, attribute, structured)
            return structured

        return hook

    def _optional(self, value: Any, target: Any) -> Any:
        if value is None:
            return None
        members = [member for member in get_args(target) if member is not type(None)]
        failures: list[Exception] = []
        for member in members:
            try:
                return self.converter.structure(value, member)
            except Exception as error:
                failures.append(error)
        if len(failures) == 1:
            raise failures[0]
        expected = " or ".join(_type_name(member) for member in members)
        raise ValueError(f"expected {expected}, got {_shown(value)}")

    def _sequence(self, value: Any, target: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"expected {_type_name(target)}, got {_shown(value)}")
        arguments = [argument for argument in get_args(target) if argument is not Ellipsis]
        item_type = arguments[0] if arguments else str
        items, problems = [], []
        for number, item in enumerate(value):
            try:
                items.append(self.converter.structure(item, item_type))
            except Exception as error:
                problems += [Problem((number, *p.path), p.text) for p in _problems(error)]
        if problems:
            raise Problems(problems)
        return items if get_origin(target) is list else tuple(items)

    def _mapping(self, value: Any, target: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ValueError(f"expected a table, got {_shown(value)}")
        key_type, item_type = get_args(target)
        items, problems = {}, []
        for key, item in value.items():
            try:
                if key_type is int and isinstance(key, str):
                    if not key.isdecimal():
                        raise ValueError(f"the key must be an integer, got '{key}'")
                    items[int(key)] = self.converter.structure(item, item_type)
                else:
                    items[self.converter.structure(key, key_type)] = self.converter.structure(item, item_type)
            except Exception as error:
                problems += [Problem((key, *p.path), p.text) for p in _problems(error)]
        if problems:
            raise Problems(problems)
        return items


def plain(value: Any, registries: Mapping[str, Registry]) -> Any:
    """An attrs class as plain TOML data, its components with their `name` first; None values are left out."""
    if attrs.has(type(value)):
        table: dict[str, Any] = {}
        for attribute in attrs.fields(type(value)):
            inner = getattr(value, attribute.name)
            kind = attribute.metadata.get("component")
            if kind and attribute.metadata.get("many"):
                table[attribute.name] = [plain_component(kind, item, registries) for item in inner]
            elif kind and inner is not None:
                table[attribute.name] = plain_component(kind, inner, registries)
            elif inner is not None:
                table[attribute.name] = plain(inner, registries)
        return table
    if isinstance(value, Mapping):
        return {str(key): plain(item, registries) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, registries) for item in value]
    return str(value) if isinstance(value, Path) else value


def plain_component(kind: str, value: Any, registries: Mapping[str, Registry]) -> dict[str, Any]:
    """A component as a table that recreates it, under its bare name where that is enough."""
    registry = registries[kind]
    for entry in registry.entries():
        if entry.target_text == f"{type(value).__module__}:{type(value).__qualname__}":
            name = entry.name if entry.name not in registry.collisions() else entry.qualified_name
            parameters: dict[str, Any] = plain(value, registries)
            return {"name": name, **parameters}
    raise PluginError(f"{type(value).__module__}:{type(value).__qualname__} is not registered as a {kind}")


# -- strict scalars and messages -----------------------------------------------------------------------------------------

_NAMES = {int: "an integer", float: "a number", bool: "true or false", str: "a string", Path: "a path (a string)"}


def _strict_scalar(value: Any, target: Any) -> Any:
    if target is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if (isinstance(value, bool) and target is not bool) or not isinstance(value, target):
        raise ValueError(f"expected {_NAMES[target]}, got {_shown(value)}")
    return value


def _literal(value: Any, target: Any) -> Any:
    choices = get_args(target)
    if any(value == choice and type(value) is type(choice) for choice in choices):
        return value
    near = suggestion(value, [c for c in choices if isinstance(c, str)]) if isinstance(value, str) else ""
    raise ValueError(f"{_shown(value)} is not one of {', '.join(map(repr, choices))}{near}")


def _is_optional(target: Any) -> bool:
    return get_origin(target) in (Union, UnionType)


def _type_name(target: Any) -> str:
    if get_origin(target) in (list, tuple, typing.get_origin(Sequence[int])):
        return "a list"
    return _NAMES.get(target, "a table")


def _shown(value: Any) -> str:
    kinds = {bool: "a boolean", int: "an integer", float: "a number", str: "a string", list: "a list", dict: "a table"}
    return f"{value!r} ({kinds.get(type(value), type(value).__name__)})"


def _help(cls: type, key: str) -> str:
    attribute = getattr(attrs.fields(cls), key)
    return f"it is required ({attribute.metadata.get('help', 'no default')})"


def _problems(error: BaseException, path: KeyPath = ()) -> list[Problem]:
    """Every leaf of a cattrs error, with its key path."""
    if isinstance(error, Problems):
        return [Problem((*path, *problem.path), problem.text) for problem in error.problems]
    if isinstance(error, ForbiddenExtraKeysError):
        allowed = [attribute.name for attribute in attrs.fields(error.cl)]
        listing = ", ".join(allowed) if allowed else "none; it has no parameters"
        return [
            Problem((*path, key), f"unknown key{suggestion(key, allowed)} (allowed: {listing})")
            for key in sorted(error.extra_fields)
        ]
    if isinstance(error, (ClassValidationError, IterableValidationError)):
        found = []
        for inner in error.exceptions:
            notes = getattr(inner, "__notes__", [])
            keys = [note.name if hasattr(note, "name") else note.index for note in notes if type(note) is not str]
            if isinstance(inner, KeyError) and isinstance(error, ClassValidationError):
                key = inner.args[0]
                found.append(Problem((*path, key), f"missing; {_help(error.cl, key)}"))
            else:
                found += _problems(inner, (*path, *keys))
        return found
    return [Problem(path, str(error))]
