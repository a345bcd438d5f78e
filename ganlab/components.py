"""Turns tables of a recipe into frozen components, strictly, and reports every problem with its key path.

cattrs does the work, made strict: unknown keys are refused, "false" is no boolean and 3.7 no integer. Components are
looked up by name in the registries; `name` is the only reserved key, the others are the component's parameters.
"""

from __future__ import annotations

import re
import typing
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import attrs
import cattrs
from cattrs.errors import ClassValidationError
from cattrs.gen import make_dict_structure_fn, override

from ganlab.errors import ComponentNotFound, PluginError, RecipeError
from ganlab.parameters import out_of_range
from ganlab.problems import Problem, Problems, dotted, parameter_names, problems_of, unknown_key
from ganlab.registry import OWN_DISTRIBUTION, Registry, suggestion, type_hints
from ganlab.values import shown, strict_literal, strict_scalar, type_name


class DeprecatedComponent(FutureWarning):
    """A recipe names a component that will go away."""


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
            self.converter.register_structure_hook(kind_of_scalar, strict_scalar)
        self.converter.register_structure_hook(Path, lambda value, _: Path(strict_scalar(value, str)))
        self.converter.register_structure_hook_func(_is_literal, strict_literal)
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
            raise Problems(problems_of(error)) from error

    def component(self, kind: str, spec: Any, default: str | None = None) -> Any:
        """A component from a bare name or a table; a table without `name` means `default`."""
        if not isinstance(spec, (str, Mapping)):
            if attrs.has(type(spec)):
                return spec
            raise Problems([Problem((), f"expected the name of a {kind} or a table, got {shown(spec)}")])
        table = {"name": spec} if isinstance(spec, str) else dict(spec)
        name = table.pop("name", default)
        if name is None:
            known = ", ".join(self.registries[kind].names())
            raise Problems([Problem(("name",), f"missing; it names the {kind} (known: {known})")])
        if not isinstance(name, str):
            raise Problems([Problem(("name",), f"expected a string, got {shown(name)}")])
        try:
            entry = self.registries[kind].entry(name)
            cls = entry.load()
            names = parameter_names(cls)
            problems = [Problem((key,), unknown_key(key, ["name", *names])) for key in table if key not in names]
            try:
                built = self.table(cls, {key: value for key, value in table.items() if key in names})
            except Problems as error:
                problems += error.problems
        except (ComponentNotFound, PluginError) as error:
            raise Problems([Problem(("name",) if isinstance(spec, Mapping) else (), str(error))]) from error
        if problems:
            raise Problems(problems)
        if entry.deprecated:
            warnings.warn(f"{kind} '{name}' is deprecated: {entry.deprecated}", DeprecatedComponent, stacklevel=2)
        return built

    # -- hooks ---------------------------------------------------------------------------------------------------------

    def _class_hook(self, cls: type) -> Callable[[Any, Any], Any]:
        overrides = {}
        defaults: dict[str, Any] = {}
        hints = type_hints(cls)
        for attribute in attrs.fields(cls):
            if "component" in attribute.metadata:
                default = self._default(cls, attribute)
                if default is not attrs.NOTHING:
                    defaults[attribute.name] = default
                overrides[attribute.name] = override(struct_hook=self._slot_hook(attribute, default))
            else:
                overrides[attribute.name] = override(struct_hook=self._field_hook(attribute, hints[attribute.name]))
        structure: Callable[[Any, Any], Any] = make_dict_structure_fn(
            cls,
            self.converter,
            _cattrs_forbid_extra_keys=True,
            _cattrs_detailed_validation=True,
            **overrides,  # type: ignore[arg-type]  # the keyword is one override a field, which the signature cannot say
        )

        def hook(value: Any, target: Any) -> Any:
            if not isinstance(value, Mapping):
                raise ValueError(f"expected a table, got {shown(value)}")
            return structure({**defaults, **value}, target)

        return hook

    def _default(self, cls: type, attribute: attrs.Attribute[Any]) -> Any:
        """The default of a slot. A name that others offer too means the one of whoever wrote `cls`.

        Nobody has written that name in a recipe, so that a plugin which happens to offer it must not break the recipe.
        """
        registry = self.registries[attribute.metadata["component"]]
        collisions = registry.collisions()
        owners = [entry for each in self.registries.values() for entry in each.entries() if entry.is_of(cls)]
        owner = owners[0].distribution if owners else OWN_DISTRIBUTION

        def qualified(name: Any) -> Any:
            offered = any(entry.distribution == owner for entry in collisions.get(name, ()))
            return f"{owner}:{name}" if offered else name

        default = attribute.default
        if isinstance(default, tuple):
            return tuple(map(qualified, default))
        return qualified(default) if isinstance(default, str) else default

    def _slot_hook(self, attribute: attrs.Attribute[Any], default: Any) -> Callable[[Any, Any], Any]:
        kind, many = attribute.metadata["component"], attribute.metadata.get("many", False)

        def hook(value: Any, _: Any) -> Any:
            if value is None:
                return None
            if not many:
                return self.component(kind, value, default if isinstance(default, str) else None)
            if not isinstance(value, (list, tuple)):
                remedy = f'; write ["{value}"]' if isinstance(value, str) else ""
                raise ValueError(f"expected a list of {kind} components, got {shown(value)}{remedy}")
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
        expected = " or ".join(type_name(member) for member in members)
        raise ValueError(f"expected {expected}, got {shown(value)}")

    def _sequence(self, value: Any, target: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"expected {type_name(target)}, got {shown(value)}")
        arguments = get_args(target) or (str, ...)
        if get_origin(target) is tuple and Ellipsis not in arguments and len(value) != len(arguments):
            raise ValueError(f"expected {len(arguments)} values, got {shown(value)}")
        types = arguments if len(arguments) == len(value) and Ellipsis not in arguments else arguments[:1] * len(value)
        items, problems = [], []
        for number, (item, item_type) in enumerate(zip(value, types, strict=True)):
            try:
                items.append(self.converter.structure(item, item_type))
            except Exception as error:
                problems += [Problem((number, *p.path), p.text) for p in problems_of(error)]
        if problems:
            raise Problems(problems)
        return items if get_origin(target) is list else tuple(items)

    def _mapping(self, value: Any, target: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ValueError(f"expected a table, got {shown(value)}")
        key_type, item_type = get_args(target)
        items, problems = {}, []
        for key, item in value.items():
            try:
                if key_type is int and isinstance(key, str):
                    if not re.fullmatch("0|[1-9][0-9]{0,17}", key):
                        raise ValueError(f"the key must be an integer such as 16, got '{key}'")
                    items[int(key)] = self.converter.structure(item, item_type)
                else:
                    items[self.converter.structure(key, key_type)] = self.converter.structure(item, item_type)
            except Exception as error:
                problems += [Problem((key, *p.path), p.text) for p in problems_of(error)]
        if problems:
            raise Problems(problems)
        return items


def _is_literal(target: Any) -> bool:
    origin: Any = get_origin(target)
    return origin is Literal


def _is_optional(target: Any) -> bool:
    return get_origin(target) in (Union, UnionType)
