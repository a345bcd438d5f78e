"""Tables become components strictly, whatever a plugin's author declares, and each mistake has its key."""

from __future__ import annotations

from pathlib import Path

import pytest

import ganlab
from ganlab.errors import RecipeError
from ganlab.recipe import load_recipe

from ..commands import ganlab as command
from ..recipe.wrong_recipes import HEAD
from .conftest import WriteFile

PLUGIN = '''
import attrs, ganlab
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

@attrs.frozen
class Inner:
    """Settings in a table of their own."""
    rate: float = ganlab.parameter(0.5, gt=0, lt=1, help="a rate")

def even(value):
    if value % 2:
        raise ValueError(f"expected an even number, got {value}")

def careless(value):
    raise KeyError("no such entry")

@attrs.frozen
class Everything:
    """One field of every sort."""
    count: int = ganlab.parameter(2, check=even, help="even")
    pair: tuple[float, float] = ganlab.parameter((0.0, 0.9), help="two numbers")
    mixed: tuple[int, str] = ganlab.parameter((1, "x"), help="a number and a word")
    many: Sequence[int] = ganlab.parameter((), help="numbers")
    words: list[str] = ganlab.parameter([], help="words")
    table: Mapping[int, float] = ganlab.parameter({}, help="by resolution")
    names: dict[str, int] = ganlab.parameter({}, help="by name")
    either: int | str = ganlab.parameter(0, help="a number or a word")
    maybe: float | None = ganlab.parameter(None, ge=0, help="a number or nothing")
    mode: Literal["fast", "slow", 3] = ganlab.parameter("fast", help="how")
    choice: str = ganlab.parameter("red", choices=("red", "green"), help="colour")
    path: Path | None = ganlab.parameter(None, help="a file")
    paths: tuple[Path, ...] = ganlab.parameter((), help="files")
    inner: Inner = ganlab.parameter(attrs.Factory(Inner), help="a table")
    plain: int = attrs.field(default=1, validator=attrs.validators.ge(1), kw_only=True)
    low: int = ganlab.parameter(0, help="at most high")
    high: int = ganlab.parameter(9, help="at least low")
    lost: int = ganlab.parameter(0, check=lambda value: careless(value) if value else None, help="raises KeyError")
    derived: int = attrs.field(init=False, default=7)

    def __attrs_post_init__(self):
        if self.low > self.high:
            raise ValueError(f"low: expected at most high = {self.high}, got {self.low}")
        if self.low == self.high == 5:
            raise ValueError("low and high are both 5")

    def build(self): ...

    def check_run(self, *, resolution, stages):
        if self.count > resolution:
            raise ValueError(f"count: expected at most the resolution {resolution}, got {self.count}")
        if self.count == max(stage.minibatch for stage in stages):
            raise ValueError("count and minibatch must differ")

@attrs.frozen
class Climber:
    """A schedule that climbs too high."""
    top: int = ganlab.parameter(64, help="last resolution")

    def build(self, *, resolution, total_images, learning_rate):
        return BuiltClimber(self.top)

@attrs.frozen
class BuiltClimber:
    top: int
    def at(self, images_shown):
        return ganlab.Stage(4 if images_shown < 64 else self.top, 1.0, 4, 0.001, 0.001, 16)

@ganlab.hookimpl
def register_losses(register):
    register("everything", Everything)

@ganlab.hookimpl
def register_schedules(register):
    register("climber", Climber)
'''


@pytest.fixture
def catalog(in_folder: WriteFile) -> ganlab.Catalog:
    return ganlab.load_plugins([in_folder("everything.py", PLUGIN)])


GOOD = [
    ("pair = [1, 0.5]", "pair", (1.0, 0.5)),
    ("mixed = [3, 'y']", "mixed", (3, "y")),
    ("many = [1, 2]", "many", (1, 2)),
    ("words = ['a']", "words", ["a"]),
    ("table = { 4 = 1, 16 = 0.5 }", "table", {4: 1.0, 16: 0.5}),
    ("names = { '4' = 1 }", "names", {"4": 1}),
    ("either = 3", "either", 3),
    ("either = '3'", "either", "3"),
    ("maybe = 0", "maybe", 0.0),
    ("mode = 3", "mode", 3),
    ("inner = { rate = 0.25 }", "inner.rate", 0.25),
]


@pytest.mark.parametrize(("line", "key", "value"), GOOD, ids=[line for line, _, _ in GOOD])
def test_what_is_right_is_taken(
    catalog: ganlab.Catalog, in_folder: WriteFile, line: str, key: str, value: object
) -> None:
    recipe = in_folder("recipe.toml", f'{HEAD}[loss]\nname = "everything"\n{line}\n')
    loaded = load_recipe(recipe, (), catalog)
    found: object = loaded.recipe.loss
    for part in key.split("."):
        found = getattr(found, part)
    assert found == value
    assert type(found) is type(value)
    again = load_recipe(in_folder("resolved.toml", loaded.toml()), (), catalog)
    assert again.recipe.loss == loaded.recipe.loss


BAD = [
    ("count = 3", "count", "expected an even number, got 3"),
    ("pair = [1]", "pair", "expected 2 values, got [1] (a list)"),
    ("pair = [1, 2, 3]", "pair", "expected 2 values, got [1, 2, 3] (a list)"),
    ("pair = [1, 'x']", "pair.1", "expected a number, got 'x' (a string)"),
    ("mixed = ['x', 'y']", "mixed.0", "expected an integer, got 'x' (a string)"),
    ("many = 3", "many", "expected a list of integers, got 3 (an integer)"),
    ("many = [1, true]", "many.1", "expected an integer, got true (a boolean)"),
    ("words = 'abc'", "words", "expected a list of strings, got 'abc' (a string)"),
    ("table = { 04 = 1 }", "table.04", "the key must be an integer such as 16, got '04'"),
    ("table = { 4 = 'x' }", "table.4", "expected a number, got 'x' (a string)"),
    ("names = { a = 1.5 }", "names.a", "expected an integer, got 1.5 (a number)"),
    ("either = 1.5", "either", "expected an integer or a string, got 1.5 (a number)"),
    ("maybe = -1", "maybe", "expected at least 0, got -1.0"),
    ("mode = 'fats'", "mode", "'fats' (a string) is not one of 'fast', 'slow', 3; did you mean 'fast'?"),
    ("choice = 'gren'", "choice", "'gren' is not one of 'red', 'green'; did you mean 'green'?"),
    ("path = 3", "path", "expected a string, got 3 (an integer)"),
    ("inner = 3", "inner", "expected a table, got 3 (an integer)"),
    ("inner = { rate = 2 }", "inner.rate", "expected less than 1, got 2.0"),
    ("inner = { rat = 2 }", "inner.rat", "unknown key; did you mean 'rate'? (allowed: rate)"),
    ("plain = 0", "", "'plain' must be >= 1: 0"),
    ("low = 10", "low", "expected at most high = 9, got 10"),
    ("low = 5\nhigh = 5", "", "low and high are both 5"),
    ("lost = 1", "lost", "'no such entry'"),
    ("derived = 3", "derived", "unknown key"),
    ("count = 16", "count", "expected at most the resolution 8, got 16"),
    ("count = 4", "", "count and minibatch must differ"),
]


@pytest.mark.parametrize(("line", "key", "text"), BAD, ids=[line for line, _, _ in BAD])
def test_what_is_wrong_is_told_at_its_key(
    catalog: ganlab.Catalog, in_folder: WriteFile, line: str, key: str, text: str
) -> None:
    text_before = f"schedule = {{ minibatch = 4 }}\n{HEAD}"
    recipe = in_folder("recipe.toml", f'{text_before}[loss]\n{line}\nname = "everything"\n')
    with pytest.raises(RecipeError) as raised:
        load_recipe(recipe, (), catalog)
    [problem] = raised.value.problems
    number = 8 if key else 7
    assert problem.startswith(f"{recipe}:{number}: loss{'.' + key if key else ''}: {text}")


DEFAULTS = [
    ("maybe: float | None = ganlab.parameter(None", "maybe: float | None = ganlab.parameter(-1.0", "maybe",
     "expected at least 0, got -1.0"),
    ("count: int = ganlab.parameter(2", "count: int = ganlab.parameter(3", "count", "expected an even number, got 3"),
    ("rate: float = ganlab.parameter(0.5", "rate: float = ganlab.parameter(2.0", "inner.rate",
     "expected less than 1, got 2.0"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "key", "text"), DEFAULTS, ids=[key for _, _, key, _ in DEFAULTS])
def test_a_default_that_is_wrong_is_told_at_its_key(
    in_folder: WriteFile, before: str, after: str, key: str, text: str
) -> None:
    plugin = PLUGIN.replace(before, after)
    assert plugin != PLUGIN
    given = "\ninner = {}" if key.startswith("inner") else ""
    recipe = in_folder("recipe.toml", f'{HEAD}[loss]\nname = "everything"{given}\n')
    with pytest.raises(RecipeError) as raised:
        load_recipe(recipe, (), ganlab.load_plugins([in_folder("everything.py", plugin)]))
    assert raised.value.problems == (f"{recipe}:{8 if given else 6}: loss.{key}: {text}",)


def test_the_catalog_makes_components_with_the_same_checks(catalog: ganlab.Catalog) -> None:
    assert catalog.create("loss", {"name": "everything", "count": 6}).count == 6
    assert catalog.create("loss", "everything", count=6, low=1).low == 1
    with pytest.raises(RecipeError) as raised:
        catalog.create("loss", "everything", count=3, pair=[1], nothing=1)
    assert [problem.split(": ")[0] for problem in raised.value.problems] == ["loss.nothing", "loss.count", "loss.pair"]


def test_paths_of_a_plugin_s_component_are_relative_to_the_recipe_too(
    catalog: ganlab.Catalog, in_folder: WriteFile
) -> None:
    recipe = in_folder("recipe.toml", f'{HEAD}[loss]\nname = "everything"\npath = "a/b"\npaths = ["c", "/d"]\n')
    recipe.parent.joinpath("sub").mkdir()
    moved = recipe.rename(recipe.parent / "sub" / "recipe.toml")
    loss = load_recipe(moved, (), catalog).recipe.loss
    assert loss.path == recipe.parent / "sub/a/b"  # type: ignore[attr-defined]  # the plugin's own parameter
    assert loss.paths == (recipe.parent / "sub/c", Path("/d"))  # type: ignore[attr-defined]  # the plugin's own parameter


def test_a_schedule_may_not_grow_beyond_the_data(catalog: ganlab.Catalog, in_folder: WriteFile) -> None:
    recipe = in_folder("recipe.toml", f'{HEAD}[schedule]\nname = "climber"\n')
    with pytest.raises(RecipeError, match="schedule: it grows to 64, but the data's resolution is 8"):
        load_recipe(recipe, (), catalog)
    assert load_recipe(recipe, ["schedule.top=8"], catalog).recipe.schedule


def test_a_plugin_file_serves_every_command_that_takes_one(catalog: ganlab.Catalog, in_folder: WriteFile) -> None:
    recipe = in_folder("recipe.toml", f'{HEAD}[loss]\nname = "everything"\ncount = 6\n')
    assert command("check", recipe).code == 2
    option = ["--plugin", recipe.parent / "everything.py"]
    assert command("check", recipe, *option).code == 0
    assert "loss.count = 6" in command("show", recipe, *option).out
    assert "everything" in command("list", "loss", *option).out
    assert "One field of every sort." in command("show", "loss", "everything", *option).out
    assert f"file:everything 0  ok  ({recipe.parent / 'everything.py'})" in command("plugins", *option).out
