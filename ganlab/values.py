"""What a single value of a recipe must be, strictly, and the words for it: "false" is no boolean and 3.7 no integer."""

from __future__ import annotations

import errno
import math
from collections.abc import Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, get_args, get_origin

from ganlab.registry import suggestion

_ONE = {int: "an integer", float: "a number", bool: "true or false", str: "a string", Path: "a path (a string)"}
_MANY = {int: "integers", float: "numbers", bool: "booleans", str: "strings", Path: "paths (strings)"}
_KINDS = {
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "a table",
    datetime: "a date",
    date: "a date",
    time: "a time",
}
_LONGEST_SHOWN = 120


def strict_scalar(value: Any, target: Any) -> Any:
    """`value` if it is an int, float, bool or str as `target` says; an integer is also a number. Else `ValueError`."""
    if isinstance(value, bool) != (target is bool) or not isinstance(
        value, (int, float) if target is float else target
    ):
        raise ValueError(f"expected {_ONE[target]}, got {shown(value)}")
    if target is int and not -(2**63) <= value < 2**63:
        raise ValueError(f"expected an integer of at most 64 bits, got {shown(value)}")
    if target is float:
        value = float(value)
        if not math.isfinite(value):
            raise ValueError(f"expected a finite number, got {value}")
    return value


def strict_literal(value: Any, target: Any) -> Any:
    """`value` if it is one of the choices of a `Literal`, else `ValueError` naming them and the nearest."""
    choices = get_args(target)
    if any(value == choice and type(value) is type(choice) for choice in choices):
        return value
    near = suggestion(value, [c for c in choices if isinstance(c, str)]) if isinstance(value, str) else ""
    raise ValueError(f"{shown(value)} is not one of {', '.join(map(repr, choices))}{near}")


def located(folder: Path, written: str | Path) -> Path:
    """The absolute path that `written` means in `folder`. Raises `ValueError` for what can be no path.

    Whether something is there, and can be read, is another question.
    """
    try:
        path = (folder / Path(written).expanduser()).resolve()
        path.stat()
    except (ValueError, RuntimeError) as error:  # a NUL; no such user's home, and before Python 3.13 a loop of links
        raise ValueError(f"{shown(str(written))} is no path: {' '.join(str(error).split()).lower()}") from error
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENAMETOOLONG):
            raise ValueError(f"{shown(str(written))} is no path: {str(error.strerror).lower()}") from error
    return path


def type_name(target: Any) -> str:
    """A type hint in a recipe writer's words: `tuple[int, ...]` is "a list of integers"."""
    if get_origin(target) in (list, tuple, get_origin(Sequence[int])):
        items = [argument for argument in get_args(target) if argument is not Ellipsis]
        return f"a list of {_MANY[items[0]]}" if len(set(items)) == 1 and items[0] in _MANY else "a list"
    return _ONE.get(target, "a table")


def shown(value: Any) -> str:
    """A value of a recipe and what it is, as messages give it: `'3' (a string)`."""
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, (date, time)):
        text = str(value)
    else:
        text = repr(value)
    if len(text) > _LONGEST_SHOWN:
        text = f"{text[:_LONGEST_SHOWN]}..."
    return f"{text} ({_KINDS.get(type(value), type(value).__name__)})"
