"""Where each key of a TOML text stands, because tomllib keeps no positions and an error without a line is a search.

The text has been parsed by tomllib already, so this only has to find keys in valid TOML.
"""

from __future__ import annotations

import re
import tomllib

from ganlab.components import KeyPath

_HEADER = re.compile(r"^\s*(\[\[?)\s*(.+?)\s*\]\]?\s*(#.*)?$")
_PART = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_KEY = re.compile(rf"\s*({_PART}(?:\s*\.\s*{_PART})*)\s*=")
_INLINE = re.compile(rf"(?<=[{{,])\s*({_PART}(?:\s*\.\s*{_PART})*)\s*=")


def line_numbers(text: str) -> dict[KeyPath, int]:
    """Key path to line number (from 1), for tables, keys, and keys of inline tables."""
    found: dict[KeyPath, int] = {}
    table: KeyPath = ()
    counts: dict[KeyPath, int] = {}
    statement, started = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        header = None if statement else _HEADER.match(line)
        if header and _parses(line):
            table = _parts(header.group(2))
            if header.group(1) == "[[":
                index = counts.get(table, -1) + 1
                counts[table] = index
                table = (*table, index)
            table = _indexed(table, counts)
            for length in range(1, len(table) + 1):
                found.setdefault(table[:length], number)
            found[table] = number
            continue
        started = started if statement else number
        statement = f"{statement}\n{line}" if statement else line
        key = _KEY.match(statement)
        if not key or not _parses(statement):
            if not key:
                statement = ""
            continue
        path = (*table, *_parts(key.group(1)))
        for length in range(len(table) + 1, len(path) + 1):
            found.setdefault(path[:length], started)
        for inline in _INLINE.finditer(statement, key.end()):
            inner_line = started + statement.count("\n", 0, inline.start(1))
            found.setdefault((*path, *_parts(inline.group(1))), inner_line)
        statement = ""
    return found


def _parses(statement: str) -> bool:
    try:
        tomllib.loads(statement)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _parts(dotted: str) -> KeyPath:
    return tuple(part.strip("\"'") for part in re.findall(_PART, dotted))


def _indexed(table: KeyPath, counts: dict[KeyPath, int]) -> KeyPath:
    """`[metrics.options]` after `[[metrics]]` belongs to the latest of them."""
    path: KeyPath = ()
    for part in table:
        path = (*path, part)
        if path in counts and path != table[: len(path) + 1] and not isinstance(part, int):
            following = table[len(path) : len(path) + 1]
            if not (following and isinstance(following[0], int)):
                path = (*path, counts[path])
    return path
