"""A wrong ablation file ends as a wrong recipe does: exit code 2, file, line, key and remedy; never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..commands import ganlab
from .wrong_ablations import FINE, HEAD, WRONG, Wrong


def test_the_beginning_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the mistakes are what is refused."""
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(HEAD + FINE)
    done = ganlab("check", "mine.toml")
    assert done.code == 0, done
    assert "2 variants x 2 seeds, 4 trials" in done.out


@pytest.mark.parametrize("command", [("check",), ("ablate", "--dry-run", "--seconds", "0")], ids=("check", "ablate"))
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_ablation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: Wrong, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(HEAD + wrong.text)
    done = ganlab(*command, "mine.toml", *(word for text in wrong.sets for word in ("--set", text)))
    assert done.code == 2, done
    assert "Traceback" not in done.err
    line = wrong.line_number()
    where = f"--set {wrong.sets[0]}" if wrong.sets else f"mine.toml:{line}" if line else "mine.toml:"
    fitting = [text for text in done.err.splitlines() if text.startswith(where) and f"{wrong.key}: " in text]
    assert fitting, f"no line with {where!r} and {wrong.key!r} in\n{done.err}"
    assert wrong.says in fitting[0]
    assert not Path("runs").exists()


def test_a_recipe_is_no_ablation_and_an_ablation_no_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recipe.toml").write_text(HEAD)
    Path("ablation.toml").write_text(HEAD + FINE)
    done = ganlab("ablate", "recipe.toml")
    assert done.code == 2
    assert "a recipe is trained by `ganlab run`" in done.err
    done = ganlab("run", "ablation.toml")
    assert done.code == 2
    assert "run it with `ganlab ablate ablation.toml`" in done.err


def test_the_same_mistake_of_many_variants_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(HEAD.replace("images = 64", "imagse = 64") + FINE)
    done = ganlab("check", "mine.toml")
    assert done.code == 2
    assert len(done.err.splitlines()) == len(set(done.err.splitlines()))
    assert done.err.count("imagse") == 1
