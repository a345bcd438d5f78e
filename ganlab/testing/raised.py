"""An exception that a component raised, told in its author's terms: the call, the error, the line of their own code.

The last frame is mostly deep in torch or NumPy, and the first ones are the suite's: neither is the mistake's place.
"""

from __future__ import annotations

import dis
import linecache
import traceback
from types import FrameType
from typing import Any

import attrs

from ganlab.testing.contract import Broken

SUITE = __name__.rpartition(".")[0]
_LONGEST_SHOWN = 40


def told(error: BaseException, package: str = "") -> str:
    """An exception in one line: what of `package` was called, and the last line there that it came through."""
    raised = _Raised.of(error, package)
    lines = str(error).strip().splitlines()
    call = f"{_called(raised.own[0][0])} raised " if raised.own else ""
    place = (raised.own or raised.frames)[-1:]
    where = "".join(f" ({frame.f_code.co_filename}:{line})" for frame, line in place)
    return f"{call}{type(error).__name__}: {lines[0] if lines else 'no text'}{where}"


def where_to_look(error: BaseException, package: str) -> str:
    """What to do about it: the line of the component's own code, or how ganlab uses it where none was reached."""
    raised = _Raised.of(error, package)
    if raised.own:
        return f"see the last line of your code that ran: {_line(*raised.own[-1])}"
    if raised.suite:
        return (
            f"see ganlab.interfaces for what is asked of it; it was found where ganlab does {_line(*raised.suite[-1])}"
        )
    return "see the place that is named above"


def found_in(broken: Broken, package: str) -> str:
    """What was found, with the exception where one was raised."""
    if broken.error is None:
        return str(broken)
    text = told(broken.error, package)
    return ": ".join(filter(None, (str(broken), text if " raised " in text else f"raised {text}")))


@attrs.frozen
class _Raised:
    """The frames of a traceback, with their lines: all, the component's own, and the suite's."""

    frames: list[tuple[FrameType, int]]
    own: list[tuple[FrameType, int]]
    suite: list[tuple[FrameType, int]]

    @classmethod
    def of(cls, error: BaseException, package: str) -> _Raised:
        frames = list(traceback.walk_tb(error.__traceback__))
        suite = [each for each in frames if f"{_module(each[0])}.".startswith(f"{SUITE}.")]
        own = [each for each in frames if each not in suite and _module(each[0]).partition(".")[0] == package]
        return cls(frames, own, suite)


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _line(frame: FrameType, number: int) -> str:
    file = frame.f_code.co_filename
    return f"{file}:{number}: {linecache.getline(file, number, frame.f_globals).strip()}"


def _called(frame: FrameType) -> str:
    """The call that a frame is of, with its arguments in words; those that it has assigned anew are left out."""
    code = frame.f_code
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    assigned = {each.argval for each in dis.get_instructions(code) if each.opname.startswith("STORE")}
    arguments = [
        f"{name}={'...' if name in assigned else _words(frame.f_locals[name])}"
        for name in names
        if name != "self" and name in frame.f_locals
    ]
    return f"{code.co_qualname.rpartition('<locals>.')[2]}({', '.join(arguments)})"


def _words(value: Any) -> str:
    """A value for who reads it: what it is, or what kind of thing."""
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    if isinstance(value, (bool, int, float, str, type(None))) and len(repr(value)) <= _LONGEST_SHOWN:
        return repr(value)
    return type(value).__name__
