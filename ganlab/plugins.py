"""Finds plugins, isolates the broken ones and remembers where everything came from.

pluggy's own entry-point loader skips a second plugin of the same entry-point name without a word and stops at the
first that fails to import, so the entry points are walked here, one at a time.
"""

from __future__ import annotations

import inspect
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pluggy
from packaging.requirements import InvalidRequirement, Requirement

from ganlab import hookspecs
from ganlab.components import create_component
from ganlab.discovery import FILE, Plugin, entry_points, import_entry_point, import_file, no_plugin, torch_imported
from ganlab.errors import PluginError
from ganlab.interfaces import KINDS
from ganlab.registry import OWN_DISTRIBUTION, Entry, Registry, canonical, check_registration, suggestion


class PluginWarning(UserWarning):
    """A plugin was left out because it is broken, or a hook of it because it is not marked."""


@attrs.frozen
class Catalog:
    """Everything that is installed: an explicit value, handed to whoever needs it."""

    registries: Mapping[str, Registry]
    plugins: Sequence[Plugin]
    manager: pluggy.PluginManager

    def registry(self, kind: str) -> Registry:
        """The registry of a kind such as "loss"; raises `PluginError` for an unknown kind."""
        if kind not in self.registries:
            raise PluginError(
                f"unknown kind '{kind}'{suggestion(kind, self.registries)} (known: {', '.join(self.registries)})"
            )
        return self.registries[kind]

    def create(self, kind: str, spec: str | Mapping[str, Any], **parameters: Any) -> Any:
        """A component from a name or a table, checked as a recipe is. Raises `RecipeError` with every problem."""
        self.registry(kind)
        table = {"name": spec} if isinstance(spec, str) else dict(spec)
        return create_component(self.registries, kind, {**table, **parameters})

    def failed(self) -> list[Plugin]:
        """The plugins that could not be loaded."""
        return [plugin for plugin in self.plugins if plugin.status == "failed"]

    def versions(self) -> dict[str, str]:
        """Distribution to version, for every distribution with a working plugin."""
        return {plugin.distribution: plugin.version for plugin in self.plugins if plugin.status == "ok"}

    def require(self, requirements: Iterable[str]) -> list[str]:
        """What is wrong with a recipe's `[plugins] require`: one text with the pip command for each unmet one."""
        problems = []
        installed = {canonical(name): version for name, version in self.versions().items()}
        left_out = {canonical(plugin.distribution): plugin for plugin in self.plugins if plugin.status != "ok"}
        for text in requirements:
            try:
                requirement = Requirement(text)
            except InvalidRequirement:
                problems.append(f"'{text}' is not a requirement such as 'acme-gan>=0.2'")
                continue
            name = canonical(requirement.name)
            remedy = f"run: pip install '{text}'"
            if requirement.marker is not None and not requirement.marker.evaluate():
                continue
            if name in left_out and left_out[name].status == "blocked":
                problems.append(f"plugin {requirement.name} is blocked: {left_out[name].reason}; change that variable")
            elif name in left_out:
                reason = left_out[name].reason
                problems.append(f"plugin {requirement.name} is installed but broken ({reason}); repair it, or {remedy}")
            elif name not in installed:
                problems.append(no_plugin(requirement.name) or f"plugin {requirement.name} is not installed; {remedy}")
            elif not requirement.specifier.contains(installed[name], prereleases=True):
                problems.append(f"plugin {requirement.name} is {installed[name]}, the recipe needs {text}; {remedy}")
        return problems


def load_plugins(files: Sequence[str | Path] = (), environment: Mapping[str, str] | None = None) -> Catalog:
    """Load every installed plugin, and `files` given by `--plugin`.

    GANLAB_PLUGINS lists the other distributions to load ("" = none; ours always load), GANLAB_BLOCK_PLUGINS those to
    leave out, and GANLAB_STRICT_PLUGINS=1 makes a broken plugin raise `PluginError` instead of a warning.
    """
    environment = os.environ if environment is None else environment
    loader = _Loader(strict=environment.get("GANLAB_STRICT_PLUGINS", "") not in ("", "0"))
    allowed = _names(environment["GANLAB_PLUGINS"]) if "GANLAB_PLUGINS" in environment else None
    blocked = _names(environment.get("GANLAB_BLOCK_PLUGINS", ""))
    for plugin, entry_point in sorted(entry_points(), key=lambda item: item[0].name):
        distribution = plugin.distribution
        names = {canonical(distribution), plugin.name}
        if names & blocked:
            plugin.status, plugin.reason = "blocked", "GANLAB_BLOCK_PLUGINS names it"
            loader.plugins.append(plugin)
        elif allowed is not None and distribution != OWN_DISTRIBUTION and not names & allowed:
            plugin.status, plugin.reason = "blocked", "GANLAB_PLUGINS does not name it"
            loader.plugins.append(plugin)
        else:
            loader.load(plugin, partial(import_entry_point, entry_point, distribution))
    for path in dict.fromkeys(Path(file).expanduser().resolve() for file in files):
        plugin = Plugin(f"{FILE}{path.stem}", canonical(path.stem), "0", str(path))
        loader.load(plugin, partial(import_file, path))
    return Catalog(loader.registries, loader.plugins, loader.manager)


class _Loader:
    """Loads one plugin after another into one manager and one set of registries."""

    def __init__(self, *, strict: bool) -> None:
        self.strict = strict
        self.plugins: list[Plugin] = []
        self.registries = {kind: Registry(kind) for kind in KINDS}
        self.manager = pluggy.PluginManager("ganlab")
        self.manager.add_hookspecs(hookspecs)

    def load(self, plugin: Plugin, import_module: Callable[[], Any]) -> None:
        again = self.manager.has_plugin(plugin.name)
        self.plugins.append(plugin)
        try:
            if again:
                raise ValueError(f"another plugin is called {plugin.name} already; rename one of the two")
            before = set(sys.modules)
            self._register(plugin, import_module())
        except (Exception, SystemExit) as error:
            plugin.status = "failed"
            plugin.reason = f"{type(error).__name__}: {error}".splitlines()[0]
            plugin.traceback = traceback.format_exc()
            if not again:
                for registry in self.registries.values():
                    registry.remove_plugin(plugin.name)
                if self.manager.has_plugin(plugin.name):
                    self.manager.unregister(name=plugin.name)
            message = f"plugin {plugin.name} ({plugin.version}) is left out: {plugin.reason}"
            if self.strict:
                raise PluginError(message) from error
            warnings.warn(message, PluginWarning, stacklevel=4)
            return
        for text in plugin.warnings:
            warnings.warn(f"plugin {plugin.name} ({plugin.version}): {text}", PluginWarning, stacklevel=4)
        if plugin.distribution != OWN_DISTRIBUTION and not plugin.name.startswith(FILE):  # a file is loaded when named
            plugin.warnings += torch_imported(plugin, before)

    def _register(self, plugin: Plugin, module: Any) -> None:
        known = {name for name in vars(hookspecs) if hasattr(getattr(hookspecs, name), "ganlab_spec")}
        members = dict(inspect.getmembers(module))
        marked = [name for name, value in members.items() if hasattr(value, "ganlab_impl")]
        for name in sorted((known & members.keys()) - set(marked)):
            if inspect.isroutine(members[name]) and not hasattr(members[name], "ganlab_spec"):
                plugin.warnings.append(f"{name} is not marked with @ganlab.hookimpl, so that it is never called")
        for name in marked:
            if name not in known:
                raise AttributeError(f"'{name}' is no hook of ganlab{suggestion(name, known)}")
            _check_arguments(name, getattr(module, name))
        if self.manager.is_registered(module):
            raise ValueError(f"{plugin.source} is already loaded under another name")
        self.manager.register(module, name=plugin.name)
        plugin.hooks = sorted(marked)
        others = [other for other in self.manager.get_plugins() if other is not module]
        for kind, plural in KINDS.items():
            hook = f"register_{plural}"
            if hook in plugin.hooks:
                self.manager.subset_hook_caller(hook, others)(register=self._bound_register(plugin, kind))

    def _bound_register(self, plugin: Plugin, kind: str) -> Callable[..., None]:
        def register(
            name: str,
            target: str | type,
            *,
            summary: str = "",
            aliases: Sequence[str] = (),
            deprecated: str | None = None,
            **others: Any,
        ) -> None:
            for other in others:
                known = ("name", "target", "summary", "aliases", "deprecated")
                near = suggestion(other, known)
                raise TypeError(f"register has no argument '{other}'{near} (it has: {', '.join(known)})")
            check_registration(kind, name, target, aliases)
            self.registries[kind].add(
                Entry(
                    kind=kind,
                    name=name,
                    target=target,
                    distribution=plugin.distribution,
                    version=plugin.version,
                    plugin=plugin.name,
                    summary=summary,
                    aliases=tuple(aliases),
                    deprecated=deprecated,
                )
            )

        register.__qualname__ = "register"  # as Python names it where an argument is missing
        return register


def _check_arguments(name: str, hook: Callable[..., Any]) -> None:
    """Raises `TypeError` naming an argument that the hook does not have; pluggy's own text of it has several lines."""
    asked = inspect.signature(hook).parameters.values()
    known = list(inspect.signature(getattr(hookspecs, name)).parameters)
    for parameter in asked:
        positional = parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        if positional and parameter.default is parameter.empty and parameter.name not in known:
            near = suggestion(parameter.name, known)
            raise TypeError(f"the hook {name} has no argument '{parameter.name}'{near} (it has: {', '.join(known)})")


def _names(text: str) -> set[str]:
    """A comma-separated list of distributions or `distribution:entry-point`, compared as PyPI compares names."""
    words = [word.strip().partition(":") for word in text.split(",") if word.strip()]
    return {canonical(distribution) + colon + entry_point for distribution, colon, entry_point in words}
