"""Which folder a run gets, and when it starts, goes on, is done or is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import ganlab as package
from ganlab.errors import RunError
from ganlab.plugins import Catalog
from ganlab.recipe import LoadedRecipe, digest, load_recipe
from ganlab.track.folder import RunFolder, State
from ganlab.train.choose import Choice, choose_folder

from ..commands import ganlab
from ..plugin_core.test_observers import TINY


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return package.load_plugins()


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


def began(path: Path, loaded: LoadedRecipe, state: State | None) -> Path:
    """A folder in which a run was begun, as the trainer leaves it; without `state` it was killed at once."""
    folder = RunFolder.create(path)
    folder.write_info({"digest": digest(loaded.plain())})
    folder.write_recipe(loaded.toml())
    if state is not None:
        folder.set_status(state, 16)
    return path


def choose(loaded: LoadedRecipe, run_dir: Path | str | None = None, *, resume: bool = False) -> Choice:
    return choose_folder(loaded, None if run_dir is None else Path(run_dir), resume=resume, runs=Path("runs"))


def test_a_new_and_an_empty_folder_are_started_in(recipe: Path, catalog: Catalog) -> None:
    loaded = load_recipe(recipe, (), catalog)
    Path("empty").mkdir()
    for name in ("new/deep", "empty"):
        for resume in (False, True):
            assert choose(loaded, name, resume=resume) == Choice(Path(name).absolute(), "start")


def test_what_a_killed_start_left_is_started_in_again(recipe: Path, catalog: Catalog) -> None:
    loaded = load_recipe(recipe, (), catalog)
    folder = RunFolder.create("killed")
    with folder.lock():
        folder.write_info({})
    assert choose(loaded, "killed").plan == "start"


def test_a_file_and_a_folder_of_something_else_are_refused(recipe: Path, catalog: Catalog) -> None:
    loaded = load_recipe(recipe, (), catalog)
    Path("photos").mkdir()
    Path("photos/cat.png").write_bytes(b"")
    for name, says in (
        ("tiny.toml", "is a file; --run-dir wants a folder"),
        ("photos", "is not empty and holds no run"),
    ):
        for resume in (False, True):
            with pytest.raises(RunError, match=says):
                choose(loaded, name, resume=resume)


@pytest.mark.parametrize("state", ["running", "interrupted", "failed", None])
@pytest.mark.parametrize("resume", [False, True])
def test_an_unfinished_run_of_the_same_recipe_goes_on(
    recipe: Path, catalog: Catalog, state: State | None, resume: bool
) -> None:
    loaded = load_recipe(recipe, (), catalog)
    path = began(Path("run"), loaded, state)
    assert choose(loaded, path, resume=resume) == Choice(path.absolute(), "resume")
    elsewhere = load_recipe(recipe, ["run.device=cpu", "data.workers=5", "track.samples=2", "run.threads=2"], catalog)
    assert choose(elsewhere, path, resume=resume).plan == "resume", "where and how fast it runs may change"


@pytest.mark.parametrize("state", ["running", "finished"])
@pytest.mark.parametrize("resume", [False, True])
def test_a_changed_recipe_is_refused_with_the_keys(recipe: Path, catalog: Catalog, state: State, resume: bool) -> None:
    path = began(Path("run"), load_recipe(recipe, (), catalog), state)
    changed = load_recipe(recipe, ["loss.gp_weight=5", "schedule.minibatches.4=4"], catalog)
    with pytest.raises(RunError) as raised:
        choose(changed, path, resume=resume)
    assert str(raised.value) == (
        f"{path.absolute()} holds a run of another recipe; undo these changes or give another --run-dir:\n"
        "  loss.gp_weight: 10.0 -> 5.0\n"
        "  schedule.minibatches.4: 'not set' -> 4"
    )


def test_a_finished_run_is_done_with_resume_and_refused_without(recipe: Path, catalog: Catalog) -> None:
    loaded = load_recipe(recipe, (), catalog)
    path = began(Path("run"), loaded, "finished")
    assert choose(loaded, path, resume=True) == Choice(path.absolute(), "done")
    with pytest.raises(RunError, match="holds a finished run of this recipe; give another --run-dir for a new one"):
        choose(loaded, path)


def test_without_a_folder_each_run_has_its_own(recipe: Path, catalog: Catalog) -> None:
    loaded = load_recipe(recipe, (), catalog)
    choices = [choose(loaded) for _ in range(12)]
    assert {choice.plan for choice in choices} == {"start"}
    assert len({choice.path for choice in choices}) == 12, "also within one second"
    assert all(choice.path.parent == Path("runs/tiny").absolute() for choice in choices)
    assert all(choice.path.is_dir() for choice in choices)


def test_resume_without_a_folder_takes_the_newest_unfinished_run_of_the_recipe(recipe: Path, catalog: Catalog) -> None:
    loaded = load_recipe(recipe, (), catalog)
    other = load_recipe(recipe, ["run.seed=6"], catalog)
    home = Path("runs/tiny")
    began(home / "20260101-000000", loaded, "interrupted")
    newest = began(home / "20260102-000000", loaded, "running")
    began(home / "20260103-000000", loaded, "finished")
    began(home / "20260104-000000", other, "interrupted")
    (home / "20260105-000000").mkdir()
    (home / "notes.txt").write_text("mine")
    assert choose(loaded, resume=True) == Choice(newest.absolute(), "resume")
    assert choose(load_recipe(recipe, ["run.seed=7"], catalog), resume=True).plan == "start"


@pytest.mark.parametrize("status", ["", "{}x", "[]", '{"state":"x"}'])
def test_a_damaged_run_is_passed_over_and_told_where_it_is_named(recipe: Path, catalog: Catalog, status: str) -> None:
    loaded = load_recipe(recipe, (), catalog)
    home = Path("runs/tiny")
    sound = began(home / "20260101-000000", loaded, "interrupted")
    damaged = began(home / "20260102-000000", loaded, "interrupted")
    (damaged / "status.json").write_text(status)
    other = began(home / "20260103-000000", loaded, "interrupted")
    (other / "run.json").write_text(status)
    assert choose(loaded, resume=True) == Choice(sound.absolute(), "resume")
    with pytest.raises(RunError, match=r"status\.json: "):
        choose(loaded, damaged)


def test_a_folder_name_that_can_be_none_is_refused(recipe: Path, catalog: Catalog) -> None:
    with pytest.raises(RunError, match=r"--run-dir: .* is no path: file name too long; give another one"):
        choose(load_recipe(recipe, (), catalog), "x" * 300)


def test_resume_without_any_run_starts_one(recipe: Path, catalog: Catalog) -> None:
    choice = choose(load_recipe(recipe, (), catalog), resume=True)
    assert (choice.plan, choice.path.parent) == ("start", Path("runs/tiny").absolute())


def test_a_damaged_run_folder_is_told(recipe: Path, catalog: Catalog) -> None:
    loaded = load_recipe(recipe, (), catalog)
    path = began(Path("run"), loaded, "running")
    (path / "recipe.toml").write_text("[run\n")
    with pytest.raises(RunError, match=r"run/recipe\.toml: "):
        choose(loaded, path)
    (path / "recipe.toml").write_text(loaded.toml())
    (path / "status.json").write_text("{")
    with pytest.raises(RunError, match=r"run/status\.json: "):
        choose(loaded, path)


def test_the_whole_road_at_the_command_line(recipe: Path) -> None:
    first = ganlab("run", recipe, "--run-dir", "run")
    assert first.code == 0, first.err
    assert "run folder: " in first.err
    weights = Path("run/generator.safetensors").read_bytes()

    again = ganlab("run", recipe, "--run-dir", "run")
    assert (again.code, again.err.count("\n")) == (2, 1)
    assert "holds a finished run of this recipe" in again.err
    done = ganlab("run", recipe, "--run-dir", "run", "--resume")
    assert (done.code, done.out) == (0, f"{Path('run').absolute()} is finished already\n")
    changed = ganlab("run", recipe, "--run-dir", "run", "--resume", "--set", "ema.beta=0.5")
    assert changed.code == 2
    assert "\n  ema.beta: 0.999 -> 0.5\n" in changed.err
    assert Path("run/generator.safetensors").read_bytes() == weights

    assert ganlab("run", recipe, "--run-dir", recipe).code == 2
    quiet = ganlab("run", recipe, "--run-dir", "quiet", "--quiet")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    assert Path("quiet/generator.safetensors").read_bytes() == weights

    made = ganlab("generate", "run", "--out", "images", "--num", 3)
    assert made.code == 0, made.err
    assert sorted(os.listdir("images")) == ["000000.png", "000001.png", "000002.png"]


def test_a_place_that_cannot_be_written_to_is_told(recipe: Path, catalog: Catalog) -> None:
    Path("runs").write_text("a file is in the way")
    with pytest.raises(RunError, match=r"cannot write .*runs/tiny: "):
        choose(load_recipe(recipe, (), catalog))
