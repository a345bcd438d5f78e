"""Contracts of every kind about the parameter class: it explains itself, and recipes can write it."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tomllib
from typing import Any

import attrs
import tomli_w
from cattrs.errors import StructureHandlerNotFoundError

from ganlab.components import structurer
from ganlab.plain import plain, plain_component
from ganlab.registry import OWN_DISTRIBUTION, type_hints
from ganlab.testing.contract import Broken, Contract, NotApplicable, expect, while_doing
from ganlab.testing.subject import Subject, shown

HEAVY = ("torch", "mlflow")


def loads(subject: Subject) -> None:
    """It is a class with a `build`."""
    cls = subject.cls
    expect(callable(getattr(cls, "build", None)), f"{cls.__qualname__} has no method build()", "add build(...)")


def _summary(subject: Subject) -> None:
    expect(bool(subject.entry.summary.strip()), "it was registered without a summary")


def _name(subject: Subject) -> None:
    entry = subject.entry
    if entry.distribution == OWN_DISTRIBUTION:
        return
    for word in (entry.name, *entry.aliases):
        ours = [
            other
            for other in subject.catalog.registry(entry.kind).entries()
            if other.distribution == OWN_DISTRIBUTION and word in (other.name, *other.aliases)
        ]
        expect(
            not ours,
            f"ganlab has a {entry.kind} '{word}' already; recipes that name it would have to choose",
        )


def _docstring(subject: Subject) -> None:
    expect(bool((subject.cls.__doc__ or "").strip()), f"the class {subject.cls.__qualname__} has no docstring")


def _parameters(subject: Subject) -> None:
    for attribute in attrs.fields(subject.cls):
        if attribute.init:
            explained = str(attribute.metadata.get("help", "")).strip()
            expect(bool(explained), f"the parameter '{attribute.name}' has no help text")


def _frozen(subject: Subject) -> None:
    cls = subject.cls
    instance: Any = object.__new__(cls)
    for name in [attribute.name for attribute in attrs.fields(cls)] or ["anything"]:
        try:
            setattr(instance, name, None)
        except attrs.exceptions.FrozenInstanceError:
            continue
        except AttributeError:
            pass
        expect(False, f"'{name}' of {cls.__qualname__} can be changed after it was made")


def _defaults(subject: Subject) -> None:
    if subject.given is None and subject.required and subject.examples is None:
        missing = ", ".join(subject.required)
        expect(False, f"no default for {missing}, and the class has no `examples`")
    tables = subject.described()
    if not tables:
        raise NotApplicable("its class says by an empty `examples` that there is nothing to try it with")
    for table in tables:
        with while_doing(shown(table)):
            subject.create(table)
    _typed(subject)


def _typed(subject: Subject) -> None:
    """Defaults are what their annotations say, as a recipe's values must be: nothing else looks at them."""
    structure = structurer(subject.catalog.registries).converter.structure
    hints = type_hints(subject.cls)
    for attribute in attrs.fields(subject.cls):
        name, default = attribute.name, attribute.default
        if not attribute.init or default is attrs.NOTHING or "component" in attribute.metadata:
            continue
        expect(
            not isinstance(default, (list, dict, set)),
            f"all instances share the default of '{name}', which can be changed: {default!r}",
            "give a tuple, or declare it by ganlab.parameter(...), which copies the default for each",
        )
        if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a function to type checkers
            if default.takes_self:
                continue
            default = default.factory()
        hint = hints[name]
        written = getattr(hint, "__name__", "") if isinstance(hint, type) else str(hint)
        try:
            structure(plain(default, subject.catalog.registries), hint)
        except StructureHandlerNotFoundError:  # nothing a recipe can write, as the contract "toml" says
            continue
        except Exception as error:
            raise Broken(
                f"the parameter '{name}' is annotated as {written}, its default is {default!r}: {error}",
                "give it a default of the type that it is annotated with, or annotate it with that of its default",
            ) from None


def _toml(subject: Subject) -> None:
    tables = subject.described()
    if not tables:
        raise NotApplicable("no defaults and no examples")
    for table in tables:
        with while_doing(shown(table)):
            try:
                made = subject.create(table)
                _typed(subject)
            except Broken as error:
                raise NotApplicable(f"it cannot be made: {error}") from None
            written = _written(subject, made)
            again = subject.catalog.create(subject.entry.kind, tomllib.loads(written))
            changed = [
                f"{attribute.name} is {getattr(again, attribute.name)!r} after it was {getattr(made, attribute.name)!r}"
                for attribute in attrs.fields(type(made))
                if getattr(again, attribute.name) != getattr(made, attribute.name)
            ]
            expect(
                not changed and again == made, f"written as TOML and read again, {'; '.join(changed) or 'it differs'}"
            )


def _written(subject: Subject, component: Any) -> str:
    table = plain_component(subject.entry.kind, component, subject.catalog.registries)
    try:
        return tomli_w.dumps(table)
    except TypeError as error:
        expect(False, f"its parameters cannot be written as TOML: {error}")
        raise


def _light(subject: Subject) -> None:
    module = subject.cls.__module__
    if subject.entry.plugin.startswith("file:"):
        raise NotApplicable("a file given with --plugin is loaded only by who wants it")
    entries = [entry for registry in subject.catalog.registries.values() for entry in registry.entries()]
    modules = sorted({entry.target_text.partition(":")[0] for entry in entries})
    wanted = _imports(tuple(modules), tuple(sys.path)).get(module)
    expect(not wanted, f"importing {module} imports {wanted}")


@functools.cache
def _imports(modules: tuple[str, ...], path: tuple[str, ...]) -> dict[str, str]:
    """Module of parameter classes to what heavy thing it imports, "" for none: of all plugins, by one process."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folder or os.getcwd() for folder in path)}
    command = [sys.executable, "-c", _TRY, json.dumps([modules, HEAVY])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


_TRY = """
import importlib, json, sys

class Watch:
    asked = ""
    def find_spec(self, name, path=None, target=None):
        if name in heavy:
            Watch.asked = name
            raise ImportError(name)

modules, heavy = json.loads(sys.argv[1])
sys.meta_path.insert(0, Watch())
found = {}
for name in modules:
    Watch.asked = ""
    try:
        importlib.import_module(name)
    except BaseException:
        pass
    found[name] = Watch.asked
print()
print(json.dumps(found))
"""
"""Nothing heavy is ever imported by it, so that each module is judged for itself."""


DESCRIBED = (
    Contract(
        "loads",
        "its target can be imported, and is a class made by attrs with a `build`",
        "register 'package.module:Class' of a class decorated with @attrs.frozen that can be imported",
        loads,
        of_class=True,
    ),
    Contract(
        "summary",
        "it is registered with a summary, which `ganlab list` shows",
        'give register(...) a summary="..." of one line',
        _summary,
        of_class=True,
    ),
    Contract(
        "name",
        "no component of ganlab's own has its name or an alias of it: recipes could not use the bare name any more",
        "take another name",
        _name,
        of_class=True,
    ),
    Contract(
        "docstring",
        "its class has a docstring, which `ganlab show` prints",
        "write a docstring below the class line: what it computes, its source",
        _docstring,
        of_class=True,
    ),
    Contract(
        "parameters explained",
        "every parameter has a help text",
        'declare it by ganlab.parameter(..., help="...") or ganlab.component(..., help="...")',
        _parameters,
        of_class=True,
    ),
    Contract(
        "frozen",
        "its parameters cannot be changed once it is made",
        "decorate the class with @attrs.frozen",
        _frozen,
        of_class=True,
    ),
    Contract(
        "defaults",
        "a recipe may name it without parameters; where it cannot, its class has `examples`; all are valid",
        "give each parameter a default within its own bounds and of its own type, or the class `examples`",
        _defaults,
        of_class=True,
    ),
    Contract(
        "toml",
        "written as TOML and read again it is equal: run folders keep it so",
        "annotate parameters with what TOML has: bool, int, float, str, Path, tuples, mappings and Literals of them",
        _toml,
        of_class=True,
    ),
    Contract(
        "light import",
        "the module of its class imports neither torch nor mlflow",
        "import torch inside build(), or in the module that build() imports; annotations may stand under TYPE_CHECKING",
        _light,
        of_class=True,
    ),
)
"""Contracts of components of every kind."""
