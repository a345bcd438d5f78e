"""A recipe as plain data with the origin of every value: its files, `base` and `--set`, merged in that order."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from ganlab.errors import RecipeError
from ganlab.problems import KeyPath
from ganlab.recipe.lines import DEEPEST, TooDeep, line_numbers
from ganlab.recipe.schema import shared_data_keys, shared_metric_keys
from ganlab.recipe.syntax import explain_syntax
from ganlab.values import located, shown

_BARE_WORD = re.compile(r"[A-Za-z_~./][\w.:/@ ~+-]*")
_TABLES_THAT_ARE_NO_COMPONENTS = {("run",), ("ablation",)}
"""Their key `name` is an ordinary value; everywhere else another `name` means another component."""


@attrs.frozen
class Origin:
    """Where a value was written."""

    label: str
    """`recipes/pggan.toml` or `--set loss=lsgan`."""
    folder: Path
    """What a relative path in it is relative to."""
    line: int | None = None

    def __str__(self) -> str:
        return self.label if self.line is None else f"{self.label}:{self.line}"


@attrs.define
class Document:
    """Merged plain data and the origin of each key path."""

    data: dict[str, Any]
    origins: dict[KeyPath, Origin]
    file: Path | None = None

    def origin(self, path: KeyPath) -> Origin:
        """The origin of the value at `path`, or of the nearest table around it."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.origins:
                return self.origins[path[:length]]
        return Origin("recipe", Path.cwd())

    def at(self, path: KeyPath) -> Any:
        """The value at `path`, or None where there is none."""
        value: Any = self.data
        for step in path:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def drop_origins(self, path: KeyPath, *kept: KeyPath) -> None:
        """Forget the origins at and under `path`, but for those in `kept`."""
        for known in [known for known in self.origins if known[: len(path)] == path and known not in kept]:
            del self.origins[known]


def read_document(file: str | Path) -> Document:
    """A recipe file and its chain of bases. Raises `RecipeError` for what cannot be read or parsed."""
    return _read(Path(file), ())


def _read(file: Path, above: tuple[Path, ...]) -> Document:
    label = str(file)
    text = _text(file)
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        line, explained = explain_syntax(error, text)
        raise RecipeError([f"{label}{f':{line}' if line else ''}: {explained}"]) from error
    try:
        lines = line_numbers(text)
    except TooDeep as error:
        raise RecipeError([f"{label}:{error.line}: {error}"]) from error
    folder = file.resolve().parent
    origins: dict[KeyPath, Origin] = {(): Origin(label, folder)}
    for path in _paths(data):
        origins[path] = Origin(label, folder, _nearest_line(lines, path))
    base = data.pop("base", None)
    own = Document(data, origins, file)
    if base is None:
        return own
    where = f"{origins['base',]}: base"
    if not isinstance(base, str):
        raise RecipeError([f"{where}: expected the path of a recipe (a string), got {shown(base)}"])
    try:
        parent_file = located(folder, base)
    except ValueError as error:
        raise RecipeError([f"{where}: {error}; give the path of a recipe"]) from error
    known = (*above, file.resolve())
    if parent_file in known:
        chain = " -> ".join(path.name for path in (*known, parent_file))
        raise RecipeError([f"{where}: the recipe is its own base ({chain}); take one of these bases out"])
    if not parent_file.is_file():
        wrong = "is a folder" if parent_file.is_dir() else "no such file"
        raise RecipeError([f"{where}: {base}: {wrong}; paths are relative to the recipe, so this is {parent_file}"])
    here = Path.cwd()
    parent = _read(parent_file.relative_to(here) if parent_file.is_relative_to(here) else parent_file, known)
    merged = merge(parent, own)
    merged.file = file
    return merged


def _text(file: Path) -> str:
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise RecipeError([_missing(file)]) from None
    except IsADirectoryError:
        raise RecipeError([f"{file}: is a folder; expected a recipe file such as recipes/pggan.toml"]) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RecipeError([f"{file}: cannot be read: {reason}; expected a recipe file in TOML"]) from error
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RecipeError(
            [f"{file}:{line}: byte 0x{content[error.start]:02x} is not UTF-8; save the file in that encoding"]
        ) from error


def merge(parent: Document, child: Document) -> Document:
    """The parent with the child's values over it, table by table.

    A component table is replaced whole when the child names another component; lists are replaced whole.
    """
    result = Document(dict(parent.data), dict(parent.origins), child.file)
    result.data = _merge_tables(result, child, (), dict(parent.data), child.data)
    result.origins[()] = child.origins.get((), parent.origin(()))
    return result


def override(document: Document, assignment: str) -> Document:
    """The document with `key.path=VALUE` over it, as `--set` gives it. VALUE is TOML; a bare word is a string."""
    key_text, equals, value_text = assignment.partition("=")
    label = f"--set {assignment}"
    path = _key_path(key_text)
    if len(path) > DEEPEST:
        raise RecipeError([f"--set {TooDeep(path, 1)}"])
    if not equals or not all(path):
        raise RecipeError([f"{label}: expected KEY=VALUE such as loss=lsgan or run.images=1000"])
    if path[0] == "base":
        raise RecipeError([f"{label}: base: only a recipe file can have a base; write one, or give the base itself"])
    value = _value(label, key_text, value_text.strip())
    origin = Origin(label, Path.cwd())
    in_list = _in_list(document.data, path)
    if in_list is not None:
        _set_in_list(document, in_list, path[len(in_list) :], value, origin)
        return document
    data: dict[str, Any] = {}
    inner = data
    for part in path[:-1]:
        inner = inner.setdefault(part, {})
    inner[path[-1]] = value
    merged = merge(document, Document(data, dict.fromkeys(_paths(data), origin), document.file))
    merged.origins[()] = document.origin(())
    return merged


def _key_path(text: str) -> tuple[str, ...]:
    """A dotted key as TOML reads it, quotes and all; what is no TOML is only taken apart at its dots."""
    try:
        table = {} if re.search(r"[\[\n]", text) else tomllib.loads(f"{text} = 0")
    except ValueError:
        table = {}
    path: list[str] = []
    inner: Any = table
    while isinstance(inner, dict) and inner:
        key, inner = next(iter(inner.items()))
        path.append(key)
    return tuple(path) or tuple(part.strip() for part in text.split("."))


def _value(label: str, key: str, text: str) -> Any:
    try:
        table = tomllib.loads(f"value = {text}")
        line_numbers(f"value = {text}")
    except TooDeep as error:
        problem = f"nested too deeply; a key has at most {DEEPEST} parts"
        raise RecipeError([f"--set {key}: {problem}"]) from error
    except (ValueError, RecursionError):
        table = {}
    if list(table) == ["value"]:
        return table["value"]
    if not _BARE_WORD.fullmatch(text):
        raise RecipeError([f"{label}: {key}: {text!r} is not a TOML value; quote a string: {key}='\"...\"'"])
    return text


def _in_list(data: Any, path: Sequence[str]) -> KeyPath | None:
    """The beginning of `path` that leads to a list, if there is one."""
    for length, step in enumerate(path):
        data = data.get(step) if isinstance(data, Mapping) else None
        if isinstance(data, list) and length + 1 < len(path):
            return tuple(path[: length + 1])
    return None


def _set_in_list(document: Document, to_list: KeyPath, rest: Sequence[str], value: Any, origin: Origin) -> None:
    """`--set metrics.0.count=64`: reach into a list, whose items may be bare names."""
    items: Any = document.data
    for step in to_list:
        items = items[step]
    number, *keys = rest
    if not re.fullmatch("[0-9]{1,9}", number) or int(number) >= len(items):
        known = ", ".join(map(str, range(len(items)))) or "none; the list is empty"
        raise RecipeError([f"{origin}: {'.'.join(map(str, to_list))}: there is no item {number} (items: {known})"])
    here: KeyPath = (*to_list, int(number))
    written: Any = value
    for key in reversed(keys):
        written = {key: written}
    item = items[int(number)]
    if isinstance(item, str):
        item = {"name": item}
        document.origins[*here, "name"] = document.origin(here)
    if isinstance(written, Mapping) and isinstance(item, Mapping):
        if _other_component(here, item, written):
            item = {kept: item[kept] for kept in _kept_keys(here) if kept in item}
            document.drop_origins(here, *((*here, kept) for kept in item))
        child = Document({}, {(*here, *path): origin for path in _paths(written)}, document.file)
        items[int(number)] = _merge_tables(document, child, here, dict(item), written)
    else:
        document.drop_origins(here)
        items[int(number)] = written
    document.origins[here] = origin


def _merge_tables(
    result: Document, child: Document, path: KeyPath, ours: dict[str, Any], theirs: Mapping[str, Any]
) -> dict[str, Any]:
    merged = dict(ours)
    for key, value in theirs.items():
        here = (*path, key)
        present = merged.get(key)
        if isinstance(value, Mapping) and isinstance(present, str) and value.get("name", present) == present:
            present = {"name": present}
            result.origins[*here, "name"] = result.origin(here)
        elif isinstance(value, Mapping) and isinstance(present, Mapping) and _other_component(here, present, value):
            present = {kept: present[kept] for kept in _kept_keys(here) if kept in present}
            result.drop_origins(here, *((*here, kept) for kept in present))
        if isinstance(value, Mapping) and isinstance(present, Mapping):
            merged[key] = _merge_tables(result, child, here, dict(present), value)
        else:
            result.drop_origins(here)
            merged[key] = value
        result.origins.update({known: at for known, at in child.origins.items() if known[: len(here)] == here})
    return merged


def _kept_keys(path: KeyPath) -> list[str]:
    """What stays when a table names another component: the keys of `[data]` or `[[metrics]]` that are not its own."""
    if path == ("data",):
        return shared_data_keys()
    return shared_metric_keys() if path[:1] == ("metrics",) and len(path) == 2 else []


def _other_component(path: KeyPath, present: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    if path in _TABLES_THAT_ARE_NO_COMPONENTS or "name" not in value:
        return False
    return bool(present.get("name", value["name"]) != value["name"])


def _paths(data: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    items = data.items() if isinstance(data, Mapping) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from _paths(value, (*path, key))


def _nearest_line(lines: Mapping[KeyPath, int], path: KeyPath) -> int | None:
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


def _missing(file: Path) -> str:
    """What to say of a recipe that is not there: the nearest name in its folder, or in `recipes/`."""
    near = {path.stem: path for folder in (file.parent, Path("recipes")) for path in folder.glob("*.toml")}
    guess = difflib.get_close_matches(file.stem, near, n=1, cutoff=0.7)  # endings, which all have, make nothing alike
    if guess:
        return f"{file}: no such file; did you mean '{near[guess[0]]}'?"
    listing = f" (here are {', '.join(str(near[name]) for name in sorted(near)[:6])})" if near else ""
    return f"{file}: no such file; give the path of a recipe such as recipes/pggan.toml{listing}"
