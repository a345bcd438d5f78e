"""The files of a new plugin: well-formed whatever it is called, of every kind."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import ganlab
from ganlab.errors import GanlabError
from ganlab.interfaces import KINDS
from ganlab.scaffold import Project, files_of, write_project

ROOT = Path(__file__).parents[2]
EVERY_KIND = tuple(KINDS)
NAMED = {
    "usual": Project("acme-gan", EVERY_KIND),
    "long": Project("a" * 30, EVERY_KIND),
    "shortest": Project("a", EVERY_KIND, "b"),
    "longest": Project("a" * 30, EVERY_KIND, "b" * 24),
    "first": Project("Aaa.Gan", EVERY_KIND),
    "last": Project("zzz_gan", EVERY_KIND, "zzz"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_project_of_each_kind_has_all_it_needs(kind: str) -> None:
    files = files_of(Project("acme-gan", (kind,)))
    assert {
        ".github/workflows/test.yml",
        ".gitignore",
        "CHANGELOG.md",
        "LICENSE",
        "README.md",
        "pyproject.toml",
        f"recipes/{kind}.toml",
        "src/acme_gan/__init__.py",
        f"src/acme_gan/{KINDS[kind]}.py",
        "src/acme_gan/py.typed",
        "tests/test_conformance.py",
        f"tests/test_{KINDS[kind]}.py",
    } <= set(files)
    for path, text in files.items():
        assert "{{" not in text.replace("${{ matrix.python }}", ""), path
        assert "{%" not in text, path
        assert not path.endswith(".py") or ast.parse(text), path
        assert not path.endswith(".toml") or tomllib.loads(text), path


def test_the_package_imports_nothing_heavy_when_ganlab_lists_it() -> None:
    for path, text in files_of(NAMED["usual"]).items():
        if path.startswith("src/") and not path.endswith(("_built.py", "py.typed")):
            top = [node for node in ast.parse(text).body if isinstance(node, (ast.Import, ast.ImportFrom))]
            heavy = {"torch", "numpy", "acme_gan"} & {ast.unparse(node).split()[1].split(".")[0] for node in top}
            assert not heavy, path


def test_pyproject_names_what_ganlab_and_pytest_look_for() -> None:
    settings = tomllib.loads(files_of(Project("acme-gan", ("loss",)))["pyproject.toml"])
    assert settings["project"]["entry-points"]["ganlab"] == {"acme_gan": "acme_gan"}
    assert settings["tool"]["pytest"]["ini_options"]["ganlab_plugins"] == ["acme-gan"]
    (needed,) = map(Requirement, settings["project"]["dependencies"])
    assert needed.name == "ganlab"
    assert needed.specifier.contains(ganlab.__version__, prereleases=True)


def test_the_readme_says_that_recipes_need_a_checkout() -> None:
    """pip installs the package, not `recipes/`."""
    for kinds, commands in (
        (("loss",), ["run recipes/loss"]),
        (("layer", "executor"), ["run recipes/layer", "ablate"]),
    ):
        text = files_of(Project("acme-gan", kinds))["README.md"]
        installed, _, checkout = text.partition("which pip does not install")
        assert "$ pip install acme-gan" in installed
        assert "recipes/" not in installed
        assert "From a checkout:" in checkout
        assert all(f"$ ganlab {command}" in checkout for command in commands)


def test_without_a_licence_nothing_speaks_of_one() -> None:
    files = files_of(Project("acme-gan", ("loss",), license="none"))
    assert "LICENSE" not in files
    assert not any("licen" in text.lower() for text in files.values())


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for folder in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(GanlabError, match="is there already"):
            write_project(Project("acme-gan"), folder)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("project", NAMED.values(), ids=NAMED)
def test_ruff_finds_nothing_to_say_under_the_projects_own_settings(project: Project, tmp_path: Path) -> None:
    pytest.importorskip("ruff")
    write_project(project, tmp_path)
    for words in (["check"], ["format", "--check", "--diff"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, "--no-cache", "."],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_mypy_finds_nothing_to_say_under_the_projects_own_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mypy")
    write_project(NAMED["usual"], tmp_path)
    monkeypatch.setenv("MYPYPATH", str(ROOT))  # an editable ganlab is found by a hook that mypy does not run
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
