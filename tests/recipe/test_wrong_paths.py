"""Paths that can be none, and keys without end: one line with file, line and key, as for every other mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..commands import ganlab
from .wrong_recipes import HEAD

PATHS = {
    "a loop of links": "loop/x.toml",
    "a NUL": "x\\u0000y",
    "a home of nobody": "~nobody-of-this-name/x",
    "300 letters": "x" * 300,
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loop").symlink_to("loop")


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())
def test_a_path_that_can_be_none(path: str) -> None:
    Path("base.toml").write_text(f'# a recipe\nbase = "{path}"\n')
    Path("data.toml").write_text(f'[run]\nimages = 64\n[data]\nname = "shards"\nresolution = 8\npath = "{path}"\n')
    for recipe, where in (("base.toml", "base.toml:2: base: "), ("data.toml", "data.toml:6: data.path: ")):
        done = ganlab("check", recipe)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith(where)
        assert " is no path: " in done.err
        assert done.err.count("\n") == 1


def test_keys_without_end() -> None:
    long = ".".join(["a"] * 3000)
    for text in (f"{long} = 1\n", f"[{long}]\n", f"[[{long}]]\n", f"a = {{ {long} = 1 }}\n"):
        Path("recipe.toml").write_text("# a recipe\n" + text)
        done = ganlab("check", "recipe.toml")
        assert (done.code, done.out) == (2, "")
        assert done.err == "recipe.toml:2: a.a.a...: nested too deeply; a key has at most 32 parts\n"
    Path("recipe.toml").write_text(HEAD)
    for assignment in (f"{long}=1", f"loss={{ {long} = 1 }}"):
        done = ganlab("check", "recipe.toml", "--set", assignment)
        assert (done.code, done.out) == (2, "")
        assert "nested too deeply" in done.err
        assert len(done.err) < 200


def test_a_key_in_quotes_is_the_same_key() -> None:
    Path("recipe.toml").write_text(HEAD)
    assert ganlab("check", "recipe.toml", "--set", "'run'.images=5").code == 0
