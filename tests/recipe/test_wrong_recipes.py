"""A wrong recipe ends with exit code 2 and a line that names file, line, key and remedy; never with a traceback."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ..commands import GANLAB, ganlab
from .wrong_recipes import HEAD, WRONG, Wrong


def test_there_are_more_than_fifty() -> None:
    assert len(WRONG) >= 50
    assert len({wrong.recipe() + str(wrong.sets) for wrong in WRONG.values()}) == len(WRONG)


def test_what_is_wrong_is_only_what_was_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HEAD is a right recipe, so that the mistakes above are what is refused."""
    monkeypatch.chdir(tmp_path)
    Path("recipe.toml").write_text(HEAD)
    assert ganlab("check", "recipe.toml").code == 0


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: Wrong) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recipe.toml").write_text(wrong.recipe())
    options = [word for assignment in wrong.sets for word in ("--set", assignment)]

    done = ganlab("check", "recipe.toml", *options)

    assert done.code == 2, done
    assert "Traceback" not in done.err
    assert done.out == ""
    line = wrong.line_number()
    where = f"--set {wrong.sets[0]}" if wrong.sets else f"recipe.toml:{line}" if line else "recipe.toml"
    prefix = f"{where}: {wrong.key}: " if wrong.key else f"{where}: "
    fitting = [text for text in _messages(done.err) if text.startswith(prefix)]
    assert fitting, f"no line begins with {prefix!r} in\n{done.err}"
    assert wrong.says in fitting[0]


def test_all_mistakes_are_told_at_once_in_the_order_of_the_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recipe.toml").write_text(
        '[run]\nimages = "3"\nsede = 1\n[data]\nname = "synthetic"\nresolution = 8\nmiror = 1\n'
        '[loss]\nname = "hinge"\ndrift = 1\n[schedule]\nminibatch = 0\n'
    )
    done = ganlab("check", "recipe.toml")
    assert [line.split(": ")[:2] for line in done.err.splitlines()] == [
        ["recipe.toml:2", "run.images"],
        ["recipe.toml:3", "run.sede"],
        ["recipe.toml:7", "data.miror"],
        ["recipe.toml:10", "loss.drift"],
        ["recipe.toml:12", "schedule.minibatch"],
    ]


FILES = {
    "nothing there": (None, "wrong.toml: no such file; give the path of a recipe such as recipes/pggan.toml"),
    "nothing in it": (b"", "wrong.toml: data: missing; it is required (the real images)"),
    "not UTF-8": (
        b"[run]\nimages = 3\n# caf\xe9\n",
        "wrong.toml:3: byte 0xe9 is not UTF-8; save the file in that encoding",
    ),
    "not text": (bytes(range(256)), "wrong.toml:2: byte 0x80 is not UTF-8"),
    "zero bytes": (b"\0" * 100, "wrong.toml:1: not valid TOML"),
}


@pytest.mark.parametrize(("content", "says"), FILES.values(), ids=FILES.keys())
def test_a_file_that_is_no_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path("wrong.toml").write_bytes(content)
    for command in ("check", "show", "run"):
        done = ganlab(command, "wrong.toml")
        assert (done.code, done.out) == (2, "")
        assert says in done.err


def test_a_folder_is_no_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = ganlab("check", ".")
    assert (done.code, done.err) == (2, ".: is a folder; expected a recipe file such as recipes/pggan.toml\n")


def test_a_mistyped_file_is_told_the_nearest_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recipes").mkdir()
    Path("recipes/pggan.toml").write_text(HEAD)
    for typed in ("pggan", "pgan.toml", "recipes/pgan.toml"):
        assert ganlab("check", typed).err == f"{typed}: no such file; did you mean 'recipes/pggan.toml'?\n"


def test_a_byte_order_mark_and_windows_line_ends_are_no_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recipe.toml").write_bytes(b"\xef\xbb\xbf" + HEAD.replace("\n", "\r\n").encode())
    assert ganlab("check", "recipe.toml").code == 0
    Path("recipe.toml").write_bytes((HEAD + "[loss]\nnmae = 3\n").replace("\n", "\r\n").encode())
    assert ganlab("check", "recipe.toml").err.startswith("recipe.toml:7: loss.nmae: ")


def test_a_cycle_of_bases_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, base in (("a", "b"), ("b", "c"), ("c", "a")):
        Path(f"{name}.toml").write_text(f'# {name}\nbase = "{base}.toml"\n')
    done = ganlab("check", "a.toml")
    assert done.code == 2
    assert done.err.startswith("c.toml:2: base: the recipe is its own base (a.toml -> b.toml -> c.toml -> a.toml); ")


def test_a_mistake_in_a_base_is_told_at_the_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bases").mkdir()
    Path("bases/parent.toml").write_text(HEAD + "[loss]\ndrfit = 3\n")
    Path("child.toml").write_text('base = "bases/parent.toml"\n[run]\nseed = "x"\n')
    done = ganlab("check", "child.toml")
    assert [line.split(": ")[:2] for line in done.err.splitlines()] == [
        ["bases/parent.toml:7", "loss.drfit"],
        ["child.toml:3", "run.seed"],
    ]


WHEN_RUN = {
    "missing data": (
        ["data={name='shards', path='nowhere', resolution=8}"],
        "--set data={name='shards', path='nowhere', resolution=8}: data.path: ",
        "ganlab data pack",
    ),
    "a missing device": (["run.device=cuda:99"], "--set run.device=cuda:99: run.device: cuda:99: ", ""),
    "a resolution the data has not": (
        ["data.name=pixel-faces", "data.resolution=1024"],
        "--set data.resolution=1024: data.resolution: pixel-faces has no images at 1024 (it has 4, 8, 16, 32, 64)",
        "",
    ),
    "labels the data has not": (
        ["data.name=synthetic", "data.labels=true", "regularizers=['ac-gan']"],
        "--set data.labels=true: data.labels: synthetic has no labels",
        "",
    ),
}


@pytest.mark.parametrize(("sets", "begins", "says"), WHEN_RUN.values(), ids=WHEN_RUN.keys())
def test_what_only_a_run_can_find_has_its_line_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sets: list[str], begins: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recipe.toml").write_text(HEAD + "[track]\nmlflow = false\n")
    done = ganlab("run", "recipe.toml", *(word for assignment in sets for word in ("--set", assignment)))
    assert done.code == 2, done
    assert done.err.splitlines()[-1].startswith(begins)
    assert says in done.err
    assert "Traceback" not in done.err


def test_data_that_is_not_there_is_told_at_the_line_of_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = '[run]\nimages = 64\n[data]\nname = "shards"\npath = "../faces"\nresolution = 8\n[track]\nmlflow = false\n'
    Path("recipe.toml").write_text(text)
    done = ganlab("run", "recipe.toml")
    assert done.code == 2
    assert done.err.startswith(f"recipe.toml:5: data.path: {tmp_path.parent / 'faces'}: ")
    checked = ganlab("check", "recipe.toml")
    assert checked.code == 0, "data can be made later"
    faces = tmp_path.parent / "faces"
    assert f"note: data.path: nothing at {faces} yet; `ganlab data pack SRC {faces}` makes it\n" in checked.out


def test_data_of_others_that_is_not_there_is_a_note_without_our_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(
        "from pathlib import Path\nimport attrs, ganlab\n@attrs.frozen\nclass Photos:\n"
        "    path: Path = ganlab.parameter(help='a folder of pictures')\n    def build(self): ...\n"
        "@ganlab.hookimpl\ndef register_datasets(register): register('photos', Photos)\n"
    )
    Path("recipe.toml").write_text(HEAD.replace('"synthetic"', '"photos"\npath = "pictures"'))
    checked = ganlab("check", "recipe.toml", "--plugin", "mine.py")
    assert checked.code == 0, checked.err
    assert f"note: data.path: nothing at {tmp_path / 'pictures'} yet\n" in checked.out


@pytest.mark.parametrize("about", ["typo - a key", "syntax - an open string", "set - an unknown component"])
def test_the_real_executable_says_the_same(tmp_path: Path, about: str) -> None:
    wrong = WRONG[about]
    (tmp_path / "recipe.toml").write_text(wrong.recipe())
    options = [word for assignment in wrong.sets for word in ("--set", assignment)]
    done = subprocess.run(
        [GANLAB, "run", "recipe.toml", *options], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert wrong.says in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "recipe.toml"], "nothing is begun"


def test_debug_shows_the_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = ganlab("--debug", "check", "nowhere.toml")
    assert done.code == 2
    assert "Traceback" in done.err


def _messages(text: str) -> list[str]:
    """The lines, and the whole for a `--set` that holds a line break itself."""
    return [*text.splitlines(), text]
