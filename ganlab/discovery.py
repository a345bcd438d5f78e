"""Where plugins come from: the entry points of what is installed, and files; and what can be told of them by looking.

What they register is `ganlab.plugins`' business.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from importlib.metadata import EntryPoint, PackageNotFoundError, distributions
from importlib.metadata import version as installed_version
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import attrs
from packaging.requirements import InvalidRequirement, Requirement

from ganlab.registry import OWN_DISTRIBUTION, canonical, suggestion

GROUP = "ganlab"
FILE = "file:"
"""What the names of plugins begin with that were given by `--plugin`."""
FILE_MODULE = "ganlab_plugin_file_"
"""What the names of modules begin with that were read from a file given by `--plugin`."""
_ENTRY_POINT = re.compile(r"[A-Za-z_][\w.]*(\s*:\s*[A-Za-z_][\w.]*)?(\s*\[.*\])?")


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
    for plugin, entry_point in entry_points():
        if plugin.distribution != OWN_DISTRIBUTION:
            listed = (entry_point.dist and entry_point.dist.read_text("top_level.txt")) or ""
            for name in (_package(plugin), *listed.split()):
                found[name] = f"{plugin.distribution} {plugin.version}"
    return found


def torch_imported(plugin: Plugin, before: Collection[str]) -> list[str]:
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


def entry_points() -> Iterator[tuple[Plugin, EntryPoint]]:
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


def import_entry_point(entry_point: EntryPoint, distribution: str) -> Any:
    """The module or object that an entry point names. Raises `ImportError`, and whatever importing it raises."""
    if not _ENTRY_POINT.fullmatch(entry_point.value):
        raise ImportError(f"entry point {entry_point.value!r} is not of the form 'package.module'")
    if entry_point.dist is not None and distribution != OWN_DISTRIBUTION:
        _check_needs(entry_point.dist.requires or ())
    return entry_point.load()


def import_file(path: Path) -> ModuleType:
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
