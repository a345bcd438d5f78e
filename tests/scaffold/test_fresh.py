"""From an environment of its own: for each kind `ganlab new-plugin`, `pip install` of its wheel, its tests, its recipe.

The environment borrows ganlab and what it needs from the one that the tests run in. GANLAB_FRESH=1 installs everything
anew from this tree instead, which takes minutes and the package index.
"""

from __future__ import annotations

import json
import zipfile

import pytest

from ganlab.interfaces import KINDS
from ganlab.scaffold import EXAMPLES, Project

from .environments import Environment, make_environment

TINY = ["--set", "run.images=64", "--set", "track.mlflow=false", "--set", "track.samples=4"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """One for all kinds; each plugin leaves it as it was."""
    return make_environment(tmp_path_factory.mktemp("fresh"))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_installs_passes_its_tests_and_is_used_by_its_recipe(kind: str, environment: Environment) -> None:
    name = f"fresh-{kind}"
    environment.ganlab("new-plugin", name, "--kind", kind)
    project = environment.work / name
    wheel = environment.wheel(project)
    package = Project(name, (kind,)).package
    assert {f"{package}/__init__.py", f"{package}/py.typed"} <= set(zipfile.ZipFile(wheel).namelist())
    environment.install(wheel)
    try:
        (row,) = (row for row in plugins(environment) if row["distribution"] == name)
        assert (row["status"], list(row["components"])) == ("ok", [kind])
        said = environment.call("-m", "pytest", "-q", "-p", "no:cacheprovider", within=project)
        assert " passed" in said
        recipe = f"recipes/{kind}.toml"
        if EXAMPLES[kind].command == "ablate":
            said = environment.ganlab("ablate", recipe, "--dir", "trials", *TINY, within=project)
            assert "2 of 2 trials are finished" in said
        else:
            environment.ganlab("run", recipe, "--run-dir", "run", *TINY, within=project)
            facts = json.loads((project / "run/run.json").read_text())
            assert facts["plugins"][name] == "0.1.0"
            assert json.loads((project / "run/status.json").read_text())["state"] == "finished"
    finally:
        environment.uninstall(name)
    assert not any(row["distribution"] == name for row in plugins(environment))


def plugins(environment: Environment) -> list[dict[str, object]]:
    """What `ganlab plugins` tells."""
    rows: list[dict[str, object]] = json.loads(environment.ganlab("plugins", "--json"))["plugins"]
    return rows
