"""Distributions of plugins as they lie in a site-packages folder, made in a moment and gone after the test."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import attrs
import pytest

HINGE = '''
import attrs
import ganlab

@attrs.frozen
class Hinge:
    """A hinge of one's own."""
    margin: float = ganlab.parameter(1.0, gt=0, help="where it stops")

    def build(self): ...
'''
REGISTERS_HINGE = """
import ganlab

@ganlab.hookimpl
def register_losses(register):
    register("hinge", "{module}_parts:Hinge", summary="a hinge of one's own")
"""


@attrs.frozen
class Site:
    """A folder on the path."""

    path: Path

    def install(
        self,
        name: str,
        modules: Mapping[str, str],
        *,
        version: str = "0.3",
        entry_points: str | None = None,
    ) -> None:
        """Write a distribution: its modules, and the metadata that pip would write. The first module is the plugin."""
        for module, text in modules.items():
            (self.path / f"{module}.py").write_text(text)
        folder = self.path / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir(exist_ok=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        points = f"[ganlab]\nmain = {next(iter(modules))}\n" if entry_points is None else entry_points
        (folder / "entry_points.txt").write_text(points)

    def install_hinge(self, name: str, module: str, version: str = "0.3") -> None:
        """A distribution that offers a loss `hinge`, as ganlab does."""
        modules = {module: REGISTERS_HINGE.format(module=module), f"{module}_parts": HINGE}
        self.install(name, modules, version=version)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site-packages folder that this process looks in."""
    path = tmp_path / "site"
    path.mkdir()
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(path))
    for variable in ("GANLAB_PLUGINS", "GANLAB_BLOCK_PLUGINS", "GANLAB_STRICT_PLUGINS"):
        monkeypatch.delenv(variable, raising=False)
    importlib.invalidate_caches()
    yield Site(path)
    for name in set(sys.modules) - before:
        if str(path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


WriteFile = Callable[[str, str], Path]


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteFile:
    """Writes a file into a fresh working folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def write(name: str, text: str) -> Path:
        (folder / name).write_text(text)
        return folder / name

    return write
