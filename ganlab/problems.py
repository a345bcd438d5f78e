"""What is wrong with a recipe, and where: cattrs' trees of errors become one text for each key path."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import attrs
from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError, IterableValidationError

from ganlab.registry import suggestion

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


def unknown_key(key: str, allowed: Sequence[str]) -> str:
    """What to say of a key that nobody knows."""
    listing = ", ".join(allowed) if allowed else "none; it has no parameters"
    return f"unknown key{suggestion(key, allowed)} (allowed: {listing})"


def parameter_names(cls: type) -> list[str]:
    """The parameters of an attrs class that can be given."""
    return [attribute.name for attribute in attrs.fields(cls) if attribute.init]


def _help(cls: type, key: str) -> str:
    attribute = getattr(attrs.fields(cls), key)
    return f"it is required ({attribute.metadata.get('help', 'no default')})"


def problems_of(error: BaseException, path: KeyPath = ()) -> list[Problem]:
    """Every leaf of a cattrs error, with its key path."""
    if isinstance(error, Problems):
        return [Problem((*path, *problem.path), problem.text) for problem in error.problems]
    if isinstance(error, ForbiddenExtraKeysError):
        allowed = parameter_names(error.cl)
        return [Problem((*path, key), unknown_key(key, allowed)) for key in sorted(error.extra_fields)]
    if isinstance(error, (ClassValidationError, IterableValidationError)):
        found = []
        names = parameter_names(error.cl) if isinstance(error, ClassValidationError) else []
        for inner in error.exceptions:
            notes = getattr(inner, "__notes__", [])
            keys = [note.name if hasattr(note, "name") else note.index for note in notes if type(note) is not str]
            if isinstance(inner, KeyError) and inner.args and inner.args[0] in names:
                found.append(Problem((*path, inner.args[0]), f"missing; {_help(error.cl, inner.args[0])}"))
            elif keys or isinstance(inner, (Problems, ForbiddenExtraKeysError, ClassValidationError)):
                found += problems_of(inner, (*path, *keys))
            else:
                found.append(keyed(path, str(inner), names))
        return found
    return [Problem(path, str(error))]


def keyed(path: KeyPath, text: str, names: Collection[str]) -> Problem:
    """A problem of a whole table; a text that begins with one of its keys, `fade_images: expected ...`, is that key's.

    Of several keys, `fade_images, stabilize_images: expected ...`, it is the first one's; `stddev.averaging: ...` is a
    key of the table `stddev`.
    """
    keys, colon, rest = text.partition(": ")
    first, *others = keys.split(", ")
    key = first.split(".")
    return Problem((*path, *key), text if others else rest) if colon and key[0] in names else Problem(path, text)
