"""Names to components, with who offers each; nothing is ever overwritten.

Two distributions may offer one name: both stay, and only using the bare name is an error that says what to write.
"""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Iterable
from importlib import import_module
from typing import Any

import attrs

from ganlab.errors import ComponentNotFound, PluginError

OWN_DISTRIBUTION = "ganlab"
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def suggestion(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the known word most like `word`, or nothing."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.55)
    return f"; did you mean '{near[0]}'?" if near else ""


def bare_name(name: str) -> str:
    """`ganlab:hinge` as `hinge`: which of the two is written depends on what else is installed."""
    return name.removeprefix(f"{OWN_DISTRIBUTION}:")


def canonical(name: str) -> str:
    """A distribution name as PyPI compares them: lower case, runs of `-_.` as one dash."""
    return re.sub(r"[-_.]+", "-", name).lower()


@attrs.frozen
class Entry:
    """One component on offer."""

    kind: str
    name: str
    target: str | type
    distribution: str
    version: str
    plugin: str
    summary: str = ""
    aliases: tuple[str, ...] = ()
    deprecated: str | None = None

    @property
    def qualified_name(self) -> str:
        """`distribution:name`, which is never ambiguous."""
        return f"{self.distribution}:{self.name}"

    @property
    def target_text(self) -> str:
        """`module:Class`, without importing anything."""
        return self.target if isinstance(self.target, str) else f"{self.target.__module__}:{self.target.__qualname__}"

    def is_of(self, cls: type) -> bool:
        """Whether it offers `cls`."""
        return self.target_text == f"{cls.__module__}:{cls.__qualname__}"

    def load(self) -> type:
        """The component class. Raises `PluginError` if it cannot be imported or is no component."""
        if isinstance(self.target, type):
            loaded: object = self.target
        else:
            module_name, _, class_name = self.target.partition(":")
            try:
                loaded = getattr(import_module(module_name), class_name)
            except (Exception, SystemExit) as error:
                reason = f"{type(error).__name__}: {error}".splitlines()[0]
                raise PluginError(
                    f"{self.kind} '{self.name}' of {self.distribution} {self.version} cannot be loaded from "
                    f"{self.target}: {reason}"
                ) from error
        if not (isinstance(loaded, type) and attrs.has(loaded)):
            raise PluginError(
                f"{self.kind} '{self.name}' of {self.distribution} {self.version}: {self.target_text} is not a class "
                "made with attrs.frozen"
            )
        type_hints(loaded)
        if not callable(getattr(loaded, "build", None)):
            raise PluginError(
                f"{self.kind} '{self.name}' of {self.distribution} {self.version}: {self.target_text} has no method "
                "build(), which makes what training uses"
            )
        return loaded


def type_hints(cls: type) -> dict[str, Any]:
    """The type of each field of an attrs class. Raises `PluginError`, also for tables within it, where one has none."""
    found: dict[type, dict[str, Any]] = {}
    waiting = [cls]
    while waiting:
        each = waiting.pop()
        found[each] = _own_type_hints(each)
        inner = [part for hint in found[each].values() for part in (hint, *typing.get_args(hint))]
        waiting += [part for part in inner if isinstance(part, type) and attrs.has(part) and part not in found]
    return found[cls]


def _own_type_hints(cls: type) -> dict[str, Any]:
    where = f"{cls.__module__}:{cls.__qualname__}"
    try:
        hints = typing.get_type_hints(cls)
    except Exception as error:
        raise PluginError(
            f"{where}: its annotations cannot be read ({error}); what they name must be imported when the module is, "
            "outside `if TYPE_CHECKING`"
        ) from error
    for attribute in attrs.fields(cls):
        if attribute.name not in hints:
            known = type(attribute.default) in (bool, int, float, str)
            wanted = type(attribute.default).__name__ if known else "TYPE"
            remedy = f"write `{attribute.name}: {wanted} = ...`"
            raise PluginError(f"{where}: parameter '{attribute.name}' has no type annotation; {remedy}")
    return {attribute.name: hints[attribute.name] for attribute in attrs.fields(cls)}


def check_registration(kind: str, name: Any, target: Any, aliases: Any) -> None:
    """Raise `ValueError` if a plugin's `register(...)` call is malformed."""
    if isinstance(aliases, str):
        raise ValueError(f"{kind} '{name}': aliases must be a list of names, not the string {aliases!r}")
    for word in (name, *aliases):
        if not isinstance(word, str) or not _NAME.fullmatch(word):
            raise ValueError(f"{kind} name {word!r} is not kebab-case such as 'my-{kind}'")
    if isinstance(target, str):
        if not _TARGET.fullmatch(target):
            raise ValueError(f"{kind} '{name}': target {target!r} is not of the form 'package.module:Class'")
    elif not isinstance(target, type):
        raise ValueError(f"{kind} '{name}': target must be a class or 'package.module:Class', not {target!r}")


class Registry:
    """All components of one kind."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: list[Entry] = []

    def add(self, entry: Entry) -> None:
        """Add an entry; raises `ValueError` if its own distribution already offers that name."""
        for word in (entry.name, *entry.aliases):
            for other in self._matches(word):
                if other.distribution == entry.distribution:
                    raise ValueError(f"{self.kind} '{word}' is registered twice by {entry.distribution}")
        self._entries.append(entry)

    def remove_plugin(self, plugin: str) -> None:
        """Forget everything a plugin registered (it turned out to be broken)."""
        self._entries = [entry for entry in self._entries if entry.plugin != plugin]

    def entries(self) -> list[Entry]:
        """Every entry, by name and then distribution."""
        return sorted(self._entries, key=lambda entry: (entry.name, entry.distribution))

    def names(self) -> list[str]:
        """Every bare name, sorted."""
        return sorted({entry.name for entry in self._entries})

    def collisions(self) -> dict[str, list[Entry]]:
        """Bare names, aliases among them, that more than one distribution offers."""
        words = sorted({word for entry in self._entries for word in (entry.name, *entry.aliases)})
        offers = {word: self._matches(word) for word in words}
        return {name: entries for name, entries in offers.items() if len(entries) > 1}

    def entry(self, name: str) -> Entry:
        """The entry for a bare or qualified name. Raises `ComponentNotFound` saying what to write instead."""
        distribution, _, bare = name.rpartition(":")
        matches = self._matches(bare)
        if distribution:
            named = [entry for entry in matches if entry.distribution == canonical(distribution)]
            if not named and matches:
                offered = " or ".join(f"'{entry.qualified_name}'" for entry in matches)
                raise ComponentNotFound(f"unknown {self.kind} '{name}'; did you mean {offered}?")
            matches = named
        if len(matches) == 1:
            return matches[0]
        if matches:
            offers = ", ".join(f"{entry.distribution} {entry.version}" for entry in matches)
            remedy = " or ".join(f"'{entry.qualified_name}'" for entry in matches)
            raise ComponentNotFound(f"{self.kind} '{name}' is provided by {offers}; write {remedy}")
        known = self.names()
        listing = ", ".join(known) if known else "none"
        raise ComponentNotFound(f"unknown {self.kind} '{name}'{suggestion(bare, known)} (known: {listing})")

    def _matches(self, bare: str) -> list[Entry]:
        return [entry for entry in self._entries if bare == entry.name or bare in entry.aliases]
