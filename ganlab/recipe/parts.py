"""Parts of a document moved to another place, with the lines they were written at: for scales and for variants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ganlab.errors import RecipeError
from ganlab.problems import KeyPath
from ganlab.recipe.document import Document, Origin, merge, override
from ganlab.registry import suggestion
from ganlab.values import shown

SCALE_KEYS = ("scale", "scales")


def part(document: Document, at: KeyPath) -> Document:
    """The table at `at` as a document of its own."""
    origins = {path[len(at) :]: origin for path, origin in document.origins.items() if path[: len(at)] == at}
    return Document(document.at(at), {**origins, (): document.origin(at)}, document.file)


def placed(document: Document, at: KeyPath, to: Sequence[str]) -> Document:
    """The value at `at`, whatever it is, as a document that has it at `to` and nothing else."""
    data: Any = document.at(at)
    for key in reversed(to):
        data = {key: data}
    here = document.origin(at)
    origins: dict[KeyPath, Origin] = {tuple(to[:length]): here for length in range(len(to) + 1)}
    for path, origin in document.origins.items():
        if path[: len(at)] == at:
            origins[(*to, *path[len(at) :])] = origin
    return Document(data, origins, document.file)


def without(document: Document, *keys: str) -> Document:
    """The document without some of its tables."""
    data = {key: value for key, value in document.data.items() if key not in keys}
    origins = {path: origin for path, origin in document.origins.items() if not path or path[0] not in keys}
    return Document(data, origins, document.file)


def settled(document: Document, overrides: Sequence[str]) -> Document:
    """The document at its `scale`, a table of `[scales]` merged over it, and then with `--set` overrides over that."""
    early = [text for text in overrides if root_of(text) in SCALE_KEYS]
    for assignment in early:
        document = override(document, assignment)
    document = _scaled(document)
    for assignment in overrides:
        if assignment not in early:
            document = override(document, assignment)
    return document


def _scaled(document: Document) -> Document:
    scales, scale = document.data.get("scales", {}), document.data.get("scale")
    if not isinstance(scales, dict) or not all(isinstance(table, dict) for table in scales.values()):
        raise RecipeError([f"{document.origin(('scales',))}: scales: expected tables such as [scales.small]"])
    rest = without(document, *SCALE_KEYS)
    if scale is None:
        return rest
    where = f"{document.origin(('scale',))}: scale"
    if not isinstance(scale, str):
        raise RecipeError([f"{where}: expected the name of a scale, got {shown(scale)}"])
    if scale not in scales:
        known = ", ".join(scales) or "none; a table such as [scales.small] makes one"
        raise RecipeError([f"{where}: unknown scale '{scale}'{suggestion(scale, list(scales))} (known: {known})"])
    merged = merge(rest, part(document, ("scales", scale)))
    merged.origins[()] = rest.origin(())
    return merged


def root_of(assignment: str) -> str:
    """The table that a `--set` assignment changes."""
    return assignment.partition("=")[0].partition(".")[0].strip().strip("\"'")
