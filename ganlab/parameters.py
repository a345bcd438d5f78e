"""How a component declares its parameters: one line gives the default, the allowed range and the help text.

`ganlab check` reads the ranges, `ganlab show` the help, and a recipe is refused before any work starts.
Nothing here imports torch, so that listing components stays fast.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import attrs

REQUIRED: Any = attrs.NOTHING
"""Give this as the default of a parameter that a recipe must set."""


def parameter(
    default: Any = REQUIRED,
    *,
    help: str,
    unit: str = "",
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    choices: Collection[Any] | None = None,
    check: Callable[[Any], None] | None = None,
) -> Any:
    """A parameter of a component or of a recipe table, for use in an `attrs.frozen` class.

    `ge`, `gt`, `le`, `lt` bound a number, `choices` lists the allowed values, and `check(value)` raises `ValueError`
    saying what was expected. None is passed over by all of them where the annotation allows it.
    """
    bounds = {"ge": ge, "gt": gt, "le": le, "lt": lt}
    metadata = {
        "help": help,
        "unit": unit,
        "bounds": {name: bound for name, bound in bounds.items() if bound is not None},
        "choices": None if choices is None else tuple(choices),
    }

    def validate(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value is None:
            return
        try:
            problem = out_of_range(value, metadata)
            if problem:
                raise ValueError(problem)
            if check is not None:
                check(value)
        except ValueError as error:
            if instance is None:  # whoever asks without an instance knows the key
                raise
            raise ValueError(f"{attribute.name}: {error}") from error

    if isinstance(default, (list, dict, set)):
        return attrs.field(factory=default.copy, validator=validate, metadata=metadata, kw_only=True)
    return attrs.field(default=default, validator=validate, metadata=metadata, kw_only=True)


def component(kind: str, default: Any = REQUIRED, *, help: str, many: bool = False) -> Any:
    """A parameter that is itself a component of `kind`: a recipe names it, or gives a table with `name`.

    `default` is a name (or a tuple of names with `many`), looked up in the catalog like any other, so that a
    component never imports another plugin.
    """
    metadata = {"help": help, "component": kind, "many": many}
    return attrs.field(default=default, metadata=metadata, kw_only=True)


def out_of_range(value: Any, metadata: dict[str, Any]) -> str | None:
    """What is wrong with `value` by the bounds and choices in `metadata`, or None."""
    choices = metadata["choices"]
    if choices is not None and value not in choices:
        return f"{value!r} is not one of {', '.join(map(repr, choices))}"
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    tests: dict[str, Callable[[Any, float], bool]] = {
        "ge": lambda v, bound: v >= bound,
        "gt": lambda v, bound: v > bound,
        "le": lambda v, bound: v <= bound,
        "lt": lambda v, bound: v < bound,
    }
    for name, bound in metadata["bounds"].items():
        if not tests[name](value, bound):
            limit = bound if isinstance(bound, int) else f"{bound:g}"
            return f"expected {words[name]} {limit}, got {value!r}"
    return None


def check_together(component: Any, *names: str) -> None:
    """Raise `ValueError`, naming the parameter, where some of these are None and others are not."""
    unset = [name for name in names if getattr(component, name) is None]
    if unset and len(unset) < len(names):
        there = next(name for name in names if name not in unset)
        raise ValueError(f"{unset[0]}: expected a value, as {there} has one")
