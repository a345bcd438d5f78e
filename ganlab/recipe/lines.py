"""Where each key of a TOML text stands, because tomllib keeps no positions and an error without a line is a search.

The text has been parsed by tomllib already, so this only walks over valid TOML: keys and values are told apart, and
what a value is does not matter. Every array item and every key of an inline table is found as well.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Sequence

from ganlab.problems import KeyPath, dotted

_SPACE = re.compile(r"[ \t]*")
_SPACE_AND_COMMENTS = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|' r"'''.*?'{3,5}|" r'"(?:[^"\\\n]|\\.)*"|' r"'[^'\n]*'",
    re.DOTALL,
)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_OTHER_VALUE = re.compile(r"[^,\]}#\n]+")

DEEPEST = 32
"""Most parts of a key; components in components need a handful, and what follows is recursive."""


class TooDeep(ValueError):
    """A key of more parts than `DEEPEST`."""

    def __init__(self, path: Sequence[str | int], line: int) -> None:
        self.line = line
        super().__init__(f"{dotted(tuple(path[:3]))}...: nested too deeply; a key has at most {DEEPEST} parts")


def line_numbers(text: str) -> dict[KeyPath, int]:
    """Key path to line number (from 1) of every table, key and array item of a valid TOML text. Raises `TooDeep`."""
    return _Walk(text).lines


class _Walk:
    """One pass over the text; `position` is where it has come to."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.lines: dict[KeyPath, int] = {}
        self._newlines = [match.start() for match in re.finditer("\n", text)]
        self._last_item: dict[KeyPath, int] = {}
        table: KeyPath = ()
        while self._skip(_SPACE_AND_COMMENTS) < len(text):
            table = self._header() if self._at("[") else self._assignment(table)

    def _header(self) -> KeyPath:
        """`[a.b]` or `[[a.b]]`: the path of the table that the following keys belong to."""
        line, double = self._line(), self._at("[[")
        self.position += 2 if double else 1
        *outer, last = self._key()
        path: KeyPath = ()
        for part in outer:
            path = self._note((*path, part), line)
            if path in self._last_item:  # [metrics.options] after [[metrics]] belongs to the latest of them
                path = (*path, self._last_item[path])
        path = self._note((*path, last), line)
        if double:
            self._last_item[path] = self._last_item.get(path, -1) + 1
            path = (*path, self._last_item[path])
        self.lines[path] = line
        self.position += 2 if double else 1
        return path

    def _assignment(self, table: KeyPath) -> KeyPath:
        """`a.b = value` inside `table`, which comes back."""
        line, path = self._line(), table
        for part in self._key():
            path = self._note((*path, part), line)
        self._skip(_SPACE)
        self.position += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)
        return table

    def _value(self, path: KeyPath) -> None:
        if self._at("["):
            self.position += 1
            number = 0
            while not self._ends("]"):
                self._value(self._note((*path, number), self._line()))
                number += 1
        elif self._at("{"):
            self.position += 1
            while not self._ends("}"):
                self._assignment(path)
        else:
            self._skip(_STRING if self._at('"') or self._at("'") else _OTHER_VALUE)

    def _ends(self, bracket: str) -> bool:
        """Pass over space, comments and a comma; whether the array or inline table ends here."""
        self._skip(_SPACE_AND_COMMENTS)
        if self._at(","):
            self.position += 1
            self._skip(_SPACE_AND_COMMENTS)
        found = self._at(bracket)
        self.position += found
        return found

    def _key(self) -> list[str]:
        """A dotted key, with its quotes resolved."""
        parts = []
        while True:
            self._skip(_SPACE)
            start = self.position
            if self._at('"') or self._at("'"):
                self._skip(_STRING)
                parts.append(tomllib.loads(f"key = {self.text[start : self.position]}")["key"])
            else:
                self._skip(_BARE_KEY)
                parts.append(self.text[start : self.position])
            self._skip(_SPACE)
            if not self._at("."):
                return parts
            self.position += 1

    def _note(self, path: KeyPath, line: int) -> KeyPath:
        if len(path) > DEEPEST:
            raise TooDeep(path, line)
        self.lines.setdefault(path, line)
        return path

    def _line(self) -> int:
        return bisect_right(self._newlines, self.position - 1) + 1

    def _at(self, sign: str) -> bool:
        return self.text.startswith(sign, self.position)

    def _skip(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self.text, self.position)
        assert match is not None, f"not valid TOML at character {self.position}"
        self.position = match.end()
        return self.position
