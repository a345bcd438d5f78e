"""What the code really offers: recipe keys, commands, options, parameters and words, for comparing the docs with."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import attrs
import click

import ganlab
from ganlab.ablation.schema import AblationTable
from ganlab.cli import cli
from ganlab.interfaces import KINDS
from ganlab.recipe.schema import DataTable, MetricTable, Recipe

from .pages import ROOT


@cache
def catalog() -> ganlab.Catalog:
    """ganlab's own plugins."""
    return ganlab.load_plugins((), {"GANLAB_PLUGINS": ""})


@cache
def components(kind: str) -> dict[str, type]:
    """Name to class."""
    return {entry.name: entry.load() for entry in catalog().registry(kind).entries()}


@cache
def parameter_names() -> set[str]:
    """Every parameter of every component, and every key of a recipe's own tables."""
    classes = [cls for kind in KINDS for cls in components(kind).values()] + [*tables().values(), MetricTable, Recipe]
    return {attribute.name for cls in classes for attribute in attrs.fields(cls)} | {"name", "base"}


def tables() -> dict[str, type]:
    """`run`, `data`, ... to the class of the table."""
    hints = typing.get_type_hints(Recipe)
    tables = {a.name: hints[a.name] for a in attrs.fields(Recipe) if "component" not in a.metadata}
    return {name: cls for name, cls in tables.items() if attrs.has(cls)}


def schema_keys() -> dict[str, Any]:
    """`run.seed`, `metrics.label` and their like, with the attribute that declares it; components left out."""
    return {
        f"{table}.{attribute.name}": attribute
        for table, cls in [*tables().items(), ("metrics", MetricTable)]
        for attribute in attrs.fields(cls)
        if "component" not in attribute.metadata
    }


def recipe_slots() -> dict[str, Any]:
    """The components at the top of a recipe, and the lists of them."""
    slots = [it for it in attrs.fields(Recipe) if "component" in it.metadata or it.name == "metrics"]
    return {attribute.name: attribute for attribute in slots}


def is_key(path: str, extra: Mapping[str, Sequence[type]] | None = None) -> bool:
    """Whether a dotted path names something in a recipe, through any component that may stand there.

    `extra` has the component classes of a page's own examples by kind.
    """
    extra = extra or {}
    steps = path.split(".")
    if steps[:1] == ["scales"] and len(steps) > 1:  # a table of any name, with recipe tables in it
        steps = steps[2:]
    places: list[Any] = [Recipe]
    if steps[:1] == ["ablation"]:
        steps, places = steps[1:], [AblationTable]
        if steps[:1] == ["vary"]:
            return True
    for step in steps:
        places = [found for place in places for found in _below(place, step, extra)]
        if not places:
            return False
    return True


def _below(place: Any, step: str, extra: Mapping[str, Sequence[type]]) -> Iterator[Any]:
    if isinstance(place, list) and step.isdecimal():
        yield from place
    if place == "mapping" and step.isdecimal():
        yield "value"
    if not isinstance(place, type):
        return
    if step == "name" and place is not Recipe:
        yield "value"
    for attribute in attrs.fields(place):
        kind = attribute.metadata.get("component")
        if place is DataTable and attribute.name == "source":
            for cls in [*components("dataset").values(), *extra.get("dataset", ())]:
                yield from _below(cls, step, extra)
        elif place is MetricTable and attribute.name == "metric":
            for cls in [*components("metric").values(), *extra.get("metric", ())]:
                yield from _below(cls, step, extra)
        elif place is Recipe and attribute.name == step == "metrics":
            yield from (MetricTable, [MetricTable])
        elif attribute.name == step and kind:
            classes: list[Any] = [*components(kind).values(), *extra.get(kind, ())]
            yield from [classes] if attribute.metadata.get("many") else classes
        elif attribute.name == step:
            hint = typing.get_type_hints(place)[step]
            is_mapping = typing.get_origin(hint) is typing.get_origin(Mapping[int, int])
            yield hint if attrs.has(hint) else "mapping" if is_mapping else "value"


@cache
def command_names() -> dict[str, click.Command]:
    """`run`, `data pack`, ... to the command."""
    context = click.Context(cli)
    found: dict[str, click.Command] = {}
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        found[name] = command
        if isinstance(command, click.Group):
            found.pop(name)
            found.update({f"{name} {inner}": made for inner, made in command.commands.items()})
    return found


def options(command: click.Command) -> set[str]:
    """The long options of a command, without --help."""
    listed = [p for p in command.params if isinstance(p, click.Option)]
    return {word for option in listed for word in option.opts if word.startswith("--")}


def find_command(words: Sequence[str]) -> tuple[click.Command, list[str]]:
    """The command that `ganlab WORDS...` means, and its own words. Raises `LookupError`."""
    rest = list(words)
    while rest and rest[0] in options(cli):
        rest.pop(0)
    commands = command_names()
    for length in (2, 1):
        name = " ".join(rest[:length])
        if name in commands:
            return commands[name], rest[length:]
    raise LookupError(f"no command: ganlab {' '.join(words)}")


@cache
def source() -> str:
    """All program text, recipes and project settings."""
    files = [path for folder in ("ganlab", "plugins") for path in sorted((ROOT / folder).rglob("*.py"))]
    files += [*sorted((ROOT / "recipes").glob("*.toml")), ROOT / "pyproject.toml", ROOT / "tests/golden/golden.py"]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


@cache
def in_text(word: str, text: str) -> bool:
    """Whether `word` stands in `text` as a whole."""
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None
