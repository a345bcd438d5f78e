"""Finds plugins, isolates the broken ones and remembers where everything came from.

pluggy's own entry-point loader skips a second plugin of the same entry-point name without a word and stops at the
first that fails to import, so the entry points are walked here, one at a time.
"""

from __future__ import annotations

import importlib.util
import inspect
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import EntryPoint, PackageNotFoundError, distributions
from importlib.metadata import version as installed_version
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import attrs
import pluggy
from packaging.requirements import InvalidRequirement, Requirement

from ganlab import hookspecs
from ganlab.components import create_component
from ganlab.errors import PluginError
from ganlab.interfaces import KINDS
from ganlab.registry import OWN_DISTRIBUTION, Entry, Registry, canonical, check_registration, suggestion

GROUP = "ganlab"
_FILE = "file:"
FILE_MODULE = "ganlab_plugin_file_"
"""What the names of modules begin with that were read from a file given by `--plugin`."""
_ENTRY_POINT = re.compile(r"[A-Za-z_][\w.]*(\s*:\s*[A-Za-z_][\w.]*)?(\s*\[.*\])?")


class PluginWarning(UserWarning):
    """A plugin was left out because it is broken, or a hook of it because it is not marked."""


@attrs.define
class Plugin:
    """One plugin, loaded or not, and why."""

    name: str
    """`distribution:entry-point`, or `file:stem` for `--plugin FILE`."""
    distribution: str
    version: str
    source: str
    """Module or file it comes from."""
    status: Literal["ok", "blocked", "failed"] = "ok"
    reason: str = ""
    traceback: str = ""
    hooks: list[str] = attrs.field(factory=list)
    warnings: list[str] = attrs.field(factory=list)
    """What its author should look at, though it works."""


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


def no_plugin(name: str) -> str:
    """What to say of a distribution that is installed without being a plugin; empty where it is not installed."""
    for distribution in distributions(name=name):
        groups = {entry_point.group for entry_point in distribution.entry_points} - {GROUP}
        near = suggestion(GROUP, groups).removeprefix("; did you mean ").removesuffix("?")
        misspelt = f" (only in {near})" if near else ""
        return (
            f'{name} {distribution.version} is installed but has no entry point in the group "{GROUP}"{misspelt}; '
            "see docs/plugins.md"
        )
    return ""


def modules_of_plugins() -> dict[str, str]:
    """Top-level module or package to `distribution version`, for all that other people's plugins are made of."""
    found = {}
    for plugin, entry_point in _entry_points():
        if plugin.distribution != OWN_DISTRIBUTION:
            listed = (entry_point.dist and entry_point.dist.read_text("top_level.txt")) or ""
            for name in (_package(plugin), *listed.split()):
                found[name] = f"{plugin.distribution} {plugin.version}"
    return found


def load_plugins(files: Sequence[str | Path] = (), environment: Mapping[str, str] | None = None) -> Catalog:
    """Load every installed plugin, and `files` given by `--plugin`.

    GANLAB_PLUGINS lists the other distributions to load ("" = none; ours always load), GANLAB_BLOCK_PLUGINS those to
    leave out, and GANLAB_STRICT_PLUGINS=1 makes a broken plugin raise `PluginError` instead of a warning.
    """
    environment = os.environ if environment is None else environment
    loader = _Loader(strict=environment.get("GANLAB_STRICT_PLUGINS", "") not in ("", "0"))
    allowed = _names(environment["GANLAB_PLUGINS"]) if "GANLAB_PLUGINS" in environment else None
    blocked = _names(environment.get("GANLAB_BLOCK_PLUGINS", ""))
    for plugin, entry_point in sorted(_entry_points(), key=lambda item: item[0].name):
        distribution = plugin.distribution
        names = {canonical(distribution), plugin.name}
        if names & blocked:
            plugin.status, plugin.reason = "blocked", "GANLAB_BLOCK_PLUGINS names it"
            loader.plugins.append(plugin)
        elif allowed is not None and distribution != OWN_DISTRIBUTION and not names & allowed:
            plugin.status, plugin.reason = "blocked", "GANLAB_PLUGINS does not name it"
            loader.plugins.append(plugin)
        else:
            loader.load(plugin, partial(_import_entry_point, entry_point, distribution))
    for path in dict.fromkeys(Path(file).expanduser().resolve() for file in files):
        plugin = Plugin(f"{_FILE}{path.stem}", canonical(path.stem), "0", str(path))
        loader.load(plugin, partial(_import_file, path))
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
        if plugin.distribution != OWN_DISTRIBUTION and not plugin.name.startswith(_FILE):  # a file is loaded when named
            plugin.warnings += _torch_imported(plugin, before)

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


def _torch_imported(plugin: Plugin, before: Collection[str]) -> list[str]:
    """A warning where loading a plugin has imported torch, which then makes every command slow."""
    package = _package(plugin)
    new = {name: module for name, module in sys.modules.items() if name not in before}
    own = {name: module for name, module in new.items() if name.partition(".")[0] == package}
    direct = [name for name, module in own.items() if any(map(_is_of_torch, getattr(module, "__dict__", {}).values()))]
    if not direct and "torch" not in new:
        return []
    place = direct[0] if direct else f"{package}, by way of what it imports,"
    return [
        f"{place} imports torch, which takes every ganlab command seconds; register 'package.module:Class' and import "
        "torch in that module's `build`, or where `build` imports from"
    ]


def _package(plugin: Plugin) -> str:
    """The top-level module or package of an installed plugin."""
    return plugin.source.partition(":")[0].partition(".")[0].strip()


def _is_of_torch(value: Any) -> bool:
    return isinstance(value, ModuleType) and value.__name__.partition(".")[0] == "torch"


def _check_arguments(name: str, hook: Callable[..., Any]) -> None:
    """Raises `TypeError` naming an argument that the hook does not have; pluggy's own text of it has several lines."""
    asked = inspect.signature(hook).parameters.values()
    known = list(inspect.signature(getattr(hookspecs, name)).parameters)
    for parameter in asked:
        positional = parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        if positional and parameter.default is parameter.empty and parameter.name not in known:
            near = suggestion(parameter.name, known)
            raise TypeError(f"the hook {name} has no argument '{parameter.name}'{near} (it has: {', '.join(known)})")


def _check_needs(requirements: Iterable[str]) -> None:
    """Raises `ImportError` where a distribution says that it needs another ganlab than this one."""
    for text in requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue  # of somebody else's; pip has judged it
        if canonical(requirement.name) != OWN_DISTRIBUTION:
            continue
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        try:
            present = installed_version(OWN_DISTRIBUTION)
        except PackageNotFoundError:  # a source tree on the path that was never installed
            continue
        if applies and not requirement.specifier.contains(present, prereleases=True):
            raise ImportError(f"it needs {requirement}, and this is ganlab {present}")


def _entry_points() -> Iterator[tuple[Plugin, EntryPoint]]:
    """Every entry point of our group, once even if its metadata is found twice on the path.

    Metadata that cannot be read is somebody else's trouble and is passed over.
    """
    seen = set()
    for distribution in distributions():
        try:
            found = [entry_point for entry_point in distribution.entry_points if entry_point.group == GROUP]
            name = canonical(distribution.metadata["Name"] or "unknown") if found else ""
            version = distribution.version or "0" if found else ""
        except Exception:
            continue
        for entry_point in found:
            plugin = Plugin(f"{name}:{entry_point.name}", name, version, entry_point.value)
            if plugin.name not in seen:
                seen.add(plugin.name)
                yield plugin, entry_point


def _import_entry_point(entry_point: EntryPoint, distribution: str) -> Any:
    if not _ENTRY_POINT.fullmatch(entry_point.value):
        raise ImportError(f"entry point {entry_point.value!r} is not of the form 'package.module'")
    if entry_point.dist is not None and distribution != OWN_DISTRIBUTION:
        _check_needs(entry_point.dist.requires or ())
    return entry_point.load()


def _import_file(path: Path) -> ModuleType:
    """Import a plugin from a file that is not installed."""
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    name = FILE_MODULE + path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    present = sys.modules.get(path.stem)
    if present is None or present.__name__.startswith(FILE_MODULE):  # "my_module:Class" targets and pickling find it
        sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        for each in (name, path.stem):
            if sys.modules.get(each) is module:
                del sys.modules[each]
        raise
    return module


def _names(text: str) -> set[str]:
    """A comma-separated list of distributions or `distribution:entry-point`, compared as PyPI compares names."""
    words = [word.strip().partition(":") for word in text.split(",") if word.strip()]
    return {canonical(distribution) + colon + entry_point for distribution, colon, entry_point in words}
