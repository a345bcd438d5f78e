"""A new plugin's project: its parts, its files as text, and writing them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
from jinja2 import Environment, PackageLoader, StrictUndefined
from packaging.version import InvalidVersion, Version

from ganlab import __version__
from ganlab.errors import GanlabError
from ganlab.interfaces import KINDS
from ganlab.scaffold.kinds import EXAMPLES, Example
from ganlab.scaffold.names import class_name, package_name, prefix

LICENSES = ("Apache-2.0", "none")
"""Licences that a project can begin with."""


@attrs.frozen
class Part:
    """A component of the project."""

    kind: str
    component: str
    """Its name in recipes: `acme-margin`."""
    cls: str
    """Its class: `Margin`."""

    @property
    def example(self) -> Example:
        """What it begins as."""
        return EXAMPLES[self.kind]

    @property
    def plural(self) -> str:
        """The name of its module and the end of its hook's: `losses`."""
        return KINDS[self.kind]

    @property
    def module(self) -> str:
        """Where the class of its parameters is."""
        return f"{self.plural}.py"

    @property
    def built(self) -> str:
        """Where what it builds is."""
        return f"{self.plural}_built.py" if self.example.needs_build else self.module

    @property
    def targets(self) -> dict[str, str]:
        """The name to the class of each component that is registered; a network is two."""
        return {self.component + name: self.cls + cls for name, cls in self.example.registers.items()}

    @property
    def recipe(self) -> str:
        """The recipe that uses it, from the project's folder."""
        return f"recipes/{self.kind}.toml"


@attrs.frozen
class Project:
    """What is asked for. Raises `GanlabError` for names that cannot be."""

    name: str
    """Of the distribution: `acme-gan`."""
    kinds: tuple[str, ...] = ("loss",)
    component: str | None = None
    """Name of the component, of each kind; by default what the example is called, after the project's prefix."""
    license: str = "Apache-2.0"

    def __attrs_post_init__(self) -> None:
        if self.license not in LICENSES:
            raise GanlabError(f"'{self.license}' is not one of {', '.join(LICENSES)}")
        assert self.parts

    @property
    def package(self) -> str:
        """The package: `acme_gan`."""
        return package_name(self.name)

    @property
    def distribution(self) -> str:
        """The name as package indexes compare them."""
        return self.package.replace("_", "-")

    @property
    def parts(self) -> list[Part]:
        """One component of each kind."""
        parts = []
        for kind in dict.fromkeys(self.kinds):
            noun = EXAMPLES[kind].noun
            component = self.component or f"{prefix(self.package)}-{noun}"
            parts.append(Part(kind, component, class_name(self.component or noun)))
        return parts

    @property
    def requirement(self) -> str:
        """The ganlab it needs: this one or later."""
        try:
            return f"ganlab>={Version(__version__).public}"
        except InvalidVersion:  # ganlab is on the path without ever having been installed
            return "ganlab"


def files_of(project: Project) -> dict[str, str]:
    """Every file of a project, by its path from the project's folder with slashes."""
    environment = Environment(
        loader=PackageLoader("ganlab.scaffold"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # what is rendered is Python, TOML and Markdown
    )
    return {
        path: environment.get_template(template).render(project=project, package=project.package, **names)
        for path, template, names in _templates(project)
    }


def _templates(project: Project) -> Iterator[tuple[str, str, dict[str, Part]]]:
    """Path, template and what the template is given beside the project."""
    source = f"src/{project.package}"
    whole = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        "CHANGELOG.md": "CHANGELOG.md",
        ".gitignore": "gitignore",
        ".github/workflows/test.yml": "test.yml",
        f"{source}/__init__.py": "init.py",
        f"{source}/py.typed": "py.typed",
        "tests/test_conformance.py": "test_conformance.py",
    }
    if project.license != "none":
        whole["LICENSE"] = "LICENSE"
    for path, template in whole.items():
        yield path, f"project/{template}.jinja", {}
    for part in project.parts:
        own = {f"{source}/{part.module}": "component.py", part.recipe: "recipe.toml"}
        own[f"tests/test_{part.plural}.py"] = "test.py"
        if part.example.needs_build:
            own[f"{source}/{part.built}"] = "built.py"
        for path, template in own.items():
            yield path, f"kinds/{part.kind}/{template}.jinja", {"part": part}


def write_project(project: Project, folder: Path) -> Sequence[str]:
    """Write a project's files in `folder`, which must not exist or be empty; returns their paths, sorted.

    Raises `GanlabError` where that is impossible, before anything is written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise GanlabError(f"{folder} is there already; choose another folder with --dir, or another name")
    files = files_of(project)
    try:
        for path, text in files.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise GanlabError(f"cannot write {error.filename}: {error.strerror}") from error
    return sorted(files)
