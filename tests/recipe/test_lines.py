"""The line that is reported for a key really holds it, however the TOML is written."""

from __future__ import annotations

import json
import tomllib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ganlab.problems import KeyPath
from ganlab.recipe.lines import line_numbers

# Pieces of text that look like something else: keys, headers, comments and ends of strings inside of strings.
STRINGS = st.sampled_from(
    [
        '"plain"',
        '"a = 1, b = 2"',
        '"# no comment"',
        '"[no.table]"',
        r'"quote \" and bracket ]"',
        r'"\\"',
        "'C:\\path\\'",
        "'it is \"so\" = {'",
        '""',
        "''",
        '"""\nseed = 1\n[loss]\ndrift = 2\n"""',
        '"""\\\n  folded """',
        '"""one " and two "" quotes"""',
        '""""quoted""""',
        r'"""escaped \""" quotes"""',
        "'''\nx = [1,\n# 2\n'''",
        "''''quoted''''",
    ]
)
NUMBERS = st.sampled_from(["1", "-3_000", "0x1F", "1.5e-3", "inf", "true", "1979-05-27 07:32:00Z", "07:32:00"])
BARE = st.text("abcXYZ019_-", min_size=1, max_size=4)
QUOTED = st.sampled_from(["a b", "x.y", "=", "#", "[z]", 'say "so"', "back\\slash", "é", "tab\t", "line\nend", ""])


@st.composite
def keys(draw: st.DrawFn) -> tuple[str, str]:
    """(as written, what it means)."""
    if draw(st.booleans()):
        bare = draw(BARE)
        return bare, bare
    meaning = draw(QUOTED)
    if draw(st.booleans()) and not set(meaning) & {"'", "\n", "\t"}:
        return f"'{meaning}'", meaning
    return json.dumps(meaning, ensure_ascii=False), meaning


class Writer:
    """Writes TOML at random and keeps in `lines` where it put each key and item."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.text = ""
        self.lines: dict[KeyPath, int] = {}

    def document(self) -> None:
        self.noise()
        self.assignments(())
        taken = {path[0] for path in self.lines}
        for _ in range(self.draw(st.integers(0, 4))):
            written, meaning = self.draw(keys())
            if meaning in taken:
                continue
            taken.add(meaning)
            if self.draw(st.booleans()):
                self.table(written, (meaning,))
            else:
                self.list_of_tables(written, (meaning,))

    def table(self, written: str, path: KeyPath) -> None:
        inner, meaning = self.draw(keys())
        if self.draw(st.booleans()):  # [a.b], which makes [a] on the way
            self.note(path)
            self.note((*path, meaning))
            self.put(f"[{written}{self.space()}.{self.space()}{inner}]")
            self.end()
            self.assignments((*path, meaning))
        else:
            self.note(path)
            self.put(f"{self.space()}[{self.space()}{written}{self.space()}]")
            self.end()
            self.assignments(path)

    def list_of_tables(self, written: str, path: KeyPath) -> None:
        for number in range(self.draw(st.integers(1, 3))):
            self.note(path)
            self.note((*path, number))
            self.put(f"[[{written}]]")
            self.end()
            self.assignments((*path, number))
            inner, meaning = self.draw(keys())
            if (*path, number, meaning) not in self.lines and self.draw(st.booleans()):
                self.note((*path, number, meaning))
                self.put(f"[{written}.{inner}]")
                self.end()
                self.assignments((*path, number, meaning))

    def assignments(self, table: KeyPath) -> None:
        for _ in range(self.draw(st.integers(0, 3))):
            self.assignment(table)
            self.end()

    def assignment(self, table: KeyPath) -> bool:
        parts = self.draw(st.lists(keys(), min_size=1, max_size=3))
        path = (*table, *(meaning for _, meaning in parts))
        if (*table, parts[0][1]) in self.lines:
            return False
        for length in range(len(table) + 1, len(path) + 1):
            self.note(path[:length])
        self.put(f"{self.space()}.".join(written for written, _ in parts) + f"{self.space()}={self.space()}")
        self.value(path, depth=0)
        return True

    def value(self, path: KeyPath, depth: int) -> None:
        kind = self.draw(st.sampled_from(["string", "number", "list", "table"] if depth < 3 else ["string", "number"]))
        if kind == "list":
            self.put("[")
            for number in range(self.draw(st.integers(0, 3))):
                self.put("," if number else "")
                self.noise()
                self.note((*path, number))
                self.value((*path, number), depth + 1)
            self.noise()
            self.put("]")
        elif kind == "table":
            self.put("{" + self.space())
            count = 0
            for _ in range(self.draw(st.integers(0, 3))):
                written, meaning = self.draw(keys())
                if (*path, meaning) in self.lines:
                    continue
                self.put(f",{self.space()}" if count else "")
                self.note((*path, meaning))
                self.put(f"{written}{self.space()}=")
                self.value((*path, meaning), depth + 1)
                count += 1
            self.put(self.space() + "}")
        else:
            self.put(self.draw(STRINGS if kind == "string" else NUMBERS))

    def note(self, path: KeyPath) -> None:
        self.lines.setdefault(path, self.text.count("\n") + 1)

    def noise(self) -> None:
        """Nothing, or line breaks and comments."""
        self.put(self.draw(st.sampled_from(["", "", " ", "\n", " # seed = 1\n", "\n\n# [loss]\n  ", "\n#'''\n"])))

    def end(self) -> None:
        self.put(self.draw(st.sampled_from(["\n", "\n\n", " # drift = 1\n", "\n# [[metrics]]\n"])))

    def space(self) -> str:
        return self.draw(st.sampled_from(["", "", " ", "\t"]))

    def put(self, text: str) -> None:
        self.text += text


@st.composite
def documents(draw: st.DrawFn) -> Writer:
    writer = Writer(draw)
    writer.document()
    return writer


@settings(max_examples=300)
@given(documents())
def test_every_key_is_found_on_the_line_it_was_written_on(writer: Writer) -> None:
    data = tomllib.loads(writer.text)
    found = line_numbers(writer.text)
    assert set(found) == set(_paths(data, ())), "every key of the data, and nothing else"
    assert found == {path: writer.lines[path] for path in found}


def test_the_example_that_people_write() -> None:
    text = """\
# a recipe
base = "pggan.toml"

[run]
seed = 1        # a comment
"images" = 64_000
device.name = '''
x = 1
'''
[discriminator.stddev]
averaging = "all"
[schedule]
minibatches = { 4 = 32, 8 = 16, rest = [
  1,
  2,
] }

[[metrics]]
name = "swd"
[metrics.options]
count = 3
[[metrics]]
name = "ms-ssim"
"""
    found = line_numbers(text)
    assert found["base",] == 2
    assert found["run", "seed"] == 5
    assert found["run", "images"] == 6
    assert found["run", "device", "name"] == 7
    assert found["discriminator",] == found["discriminator", "stddev"] == 10
    assert found["discriminator", "stddev", "averaging"] == 11
    assert found["schedule", "minibatches", "8"] == 13
    assert found["schedule", "minibatches", "rest", 1] == 15
    assert found["metrics", 0, "name"] == 19
    assert found["metrics", 0, "options", "count"] == 21
    assert found["metrics", 1] == 22
    assert found["metrics", 1, "name"] == 23


def _paths(data: Any, path: KeyPath) -> list[KeyPath]:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [found for key, value in items for found in ((*path, key), *_paths(value, (*path, key)))]
