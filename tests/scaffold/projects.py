"""Projects of new plugins for tests: written, and installed without pip, as pip would leave them."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

import ganlab
from ganlab.interfaces import KINDS
from ganlab.plugins import Catalog
from ganlab.scaffold import Project, write_project


@attrs.frozen
class Written:
    """A project in a folder, and the catalog with it beside our own plugins."""

    project: Project
    folder: Path
    catalog: Catalog


def write_and_install(folder: Path, project: Project) -> Written:
    """Write a project and put its package, with metadata, on the path."""
    write_project(project, folder)
    settings = tomllib.loads((folder / "pyproject.toml").read_text())
    metadata = folder / "src" / f"{project.package}-{settings['project']['version']}.dist-info"
    metadata.mkdir()
    name, version = settings["project"]["name"], settings["project"]["version"]
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    points = settings["project"]["entry-points"]["ganlab"].items()
    (metadata / "entry_points.txt").write_text("[ganlab]\n" + "".join(f"{name} = {value}\n" for name, value in points))
    sys.path.insert(0, str(folder / "src"))
    strict = {"GANLAB_STRICT_PLUGINS": "1", "GANLAB_PLUGINS": project.distribution}
    return Written(project, folder, ganlab.load_plugins(environment=strict))


def of_every_kind(folder: Path) -> Iterator[Written]:
    """A project with a component of each kind, on the path for as long as the generator is not gone on with."""
    project = Project("scaffolded-gan", tuple(KINDS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", list(sys.path))
        yield write_and_install(folder, project)
    for module in [name for name in sys.modules if name.partition(".")[0] == project.package]:
        del sys.modules[module]
