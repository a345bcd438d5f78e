"""A recipe as plain data with the origin of every value: its files, `base` and `--set`, merged in that order."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from ganlab.components import KeyPath
from ganlab.errors import RecipeError
from ganlab.recipe.lines import line_numbers

_BARE_WORD = re.compile(r"[A-Za-z_~./][\w.:/@ ~+-]*")
_TABLES_THAT_ARE_NO_COMPONENTS = {("run",)}
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


def read_document(file: str | Path) -> Document:
    """A recipe file and its chain of bases. Raises `RecipeError` for what cannot be read or parsed."""
    return _read(Path(file), ())


def _read(file: Path, above: tuple[Path, ...]) -> Document:
    label = str(file)
    if file.resolve() in above:
        raise RecipeError([f"{label}: base: the recipe is its own base, through {', '.join(p.name for p in above)}"])
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RecipeError([_missing(file)]) from None
    except IsADirectoryError:
        raise RecipeError([f"{label}: is a folder; expected a recipe file such as recipes/pggan.toml"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError([f"{label}: cannot be read: {error}; expected a TOML file in UTF-8"]) from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError([f"{label}:{_line_of(error, text)}: not valid TOML: {error}"]) from error
    lines = line_numbers(text)
    folder = file.resolve().parent
    origins: dict[KeyPath, Origin] = {(): Origin(label, folder)}
    for path in _paths(data):
        origins[path] = Origin(label, folder, _nearest_line(lines, path))
    base = data.pop("base", None)
    own = Document(data, origins, file)
    if base is None:
        return own
    if not isinstance(base, str):
        raise RecipeError([f"{origins['base',]}: base: expected the path of a recipe (a string), got {base!r}"])
    parent_file = (folder / base) if not Path(base).is_absolute() else Path(base)
    try:
        shown = parent_file.relative_to(Path.cwd())
    except ValueError:
        shown = parent_file
    if not parent_file.exists():
        raise RecipeError([f"{origins['base',]}: base: no such file: {shown}; paths are relative to the recipe"])
    parent = _read(shown, (*above, file.resolve()))
    merged = merge(parent, own)
    merged.file = file
    return merged


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
    path: KeyPath = tuple(part.strip() for part in key_text.split("."))
    if not equals or not all(path):
        raise RecipeError([f"{label}: expected KEY=VALUE such as loss=lsgan or run.images=1000"])
    try:
        value = tomllib.loads(f"value = {value_text.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        if not _BARE_WORD.fullmatch(value_text.strip()):
            raise RecipeError(
                [f"{label}: {key_text}: {value_text!r} is not a TOML value; quote a string: {key_text}='\"...\"'"]
            ) from None
        value = value_text.strip()
    origin = Origin(label, Path.cwd())
    steps = [int(part) if isinstance(part, str) and part.isdecimal() else part for part in path]
    _replace_list_item(document, steps, value, label)
    data: dict[str, Any] = {}
    inner = data
    for part in path[:-1]:
        inner = inner.setdefault(str(part), {})
    inner[str(path[-1])] = value
    if _through_list(document.data, steps):
        return attrs.evolve(document, origins={**document.origins, tuple(steps): origin})
    child = Document(data, dict.fromkeys(_paths(data), origin), document.file)
    merged = merge(document, child)
    merged.origins[()] = document.origin(())
    return merged


def _through_list(data: Any, steps: Sequence[str | int]) -> bool:
    for step in steps:
        if isinstance(data, list):
            return True
        if not isinstance(data, dict):
            return False
        data = data.get(str(step))
    return False


def _replace_list_item(document: Document, steps: Sequence[str | int], value: Any, label: str) -> None:
    """`--set metrics.0.count=64`: reach into a list in place."""
    if not _through_list(document.data, steps):
        return
    inner: Any = document.data
    for number, step in enumerate(steps):
        last = number == len(steps) - 1
        if isinstance(inner, list) and not (isinstance(step, int) and step < len(inner)):
            raise RecipeError([f"{label}: there is no item {step} in a list of {len(inner)}"])
        if isinstance(inner, list) and isinstance(inner[step], str) and not last:  # type: ignore[index,call-overload]  # checked above
            inner[step] = {"name": inner[step]}  # type: ignore[index,call-overload]  # checked above
        if last:
            inner[step] = value
        else:
            inner = inner[step]


def _merge_tables(
    result: Document, child: Document, path: KeyPath, ours: dict[str, Any], theirs: Mapping[str, Any]
) -> dict[str, Any]:
    merged = dict(ours)
    for key, value in theirs.items():
        here = (*path, key)
        present = merged.get(key)
        if isinstance(value, Mapping) and isinstance(present, str) and value.get("name", present) == present:
            present = {"name": present}
        if isinstance(value, Mapping) and isinstance(present, Mapping) and not _other_component(here, present, value):
            merged[key] = _merge_tables(result, child, here, dict(present), value)
        else:
            for known in [known for known in result.origins if known[: len(here)] == here]:
                del result.origins[known]
            merged[key] = value
        for known, origin in child.origins.items():
            if known[: len(here)] == here and (known == here or not isinstance(value, Mapping) or known != here):
                result.origins[known] = origin
    return merged


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


def _line_of(error: tomllib.TOMLDecodeError, text: str) -> int:
    found = re.search(r"at line (\d+)", str(error))
    return int(found.group(1)) if found else max(1, text.count("\n"))


def _missing(file: Path) -> str:
    near = sorted(path.name for path in file.parent.glob("*.toml")) if file.parent.is_dir() else []
    hint = (
        f"; {file.parent} has {', '.join(near)}" if near else "; give the path of a recipe such as recipes/pggan.toml"
    )
    return f"{file}: no such file{hint}"
