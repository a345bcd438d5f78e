"""docs/new-plugin.md: what it shows is what the command says and writes, and its changes work."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import ganlab
from ganlab.ablation.plan import plan_ablation
from ganlab.interfaces import KINDS
from ganlab.scaffold import EXAMPLES, Project, files_of
from ganlab.testing import check
from ganlab.train.choose import Choice
from ganlab.train.run import run

from ..commands import ganlab as command
from ..docs.pages import PAGES
from .projects import write_and_install

PAGE = PAGES["new-plugin.md"]
TINY = ["run.images=48", "run.check_memory=false", "schedule.tick_images=16", "track.mlflow=false", "track.samples=4"]


def test_the_command_prints_what_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = next(each for each in PAGE.commands() if each.words[:2] == ("ganlab", "new-plugin"))
    assert command(*shown.words[1:]).out.splitlines() == list(shown.output)


def test_the_files_are_those_listed() -> None:
    listed = next(block.text for block in PAGE.blocks if "/pyproject.toml " in block.text)
    names = [line.split()[0].removeprefix("sharp-gan/") for line in listed.splitlines()]
    assert sorted(names) == sorted(files_of(Project("sharp-gan")))


def test_every_kind_has_a_row() -> None:
    rows = [row[0].strip("`") for row in PAGE.rows if row[0].strip("`") in KINDS]
    assert rows == list(KINDS) == list(EXAMPLES)


def test_the_changes_it_shows_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    changed = {block.file_name: block.text for block in PAGE.blocks if block.language == "python"}
    assert set(changed) <= {f"src/sharp_gan/{name}" for name in ("losses.py", "losses_built.py")}
    written = write_and_install(tmp_path / "sharp-gan", Project("sharp-gan"))
    for name, text in changed.items():
        (written.folder / str(name)).write_text(text.partition("\n")[2])
    check("loss", "sharp-margin", catalog=written.catalog)
    recipe = written.folder / "recipes/loss.toml"
    loaded = ganlab.load_recipe(recipe, ["loss.sharpness=2.0", *TINY], written.catalog)
    assert run(loaded, Choice(tmp_path / "run", "start"), say=lambda text: None) == 0
    against = next(block.text for block in PAGE.blocks if "[ablation]" in block.text)
    (tmp_path / "against.toml").write_text(against)
    plan = plan_ablation(tmp_path / "against.toml", [], written.catalog)
    assert [variant.label for variant in plan.variants] == re.findall(r'^label = "(.+)"$', against, re.MULTILINE)
    for module in [name for name in sys.modules if name.partition(".")[0] == "sharp_gan"]:
        monkeypatch.delitem(sys.modules, module)
