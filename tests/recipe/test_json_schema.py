"""The JSON Schema for editors takes every right recipe and refuses the ones whose form is wrong."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from jsonschema.exceptions import best_match

import ganlab
from ganlab.ablation.schema import AblationTable
from ganlab.recipe import load_recipe
from ganlab.recipe.json_schema import recipe_schema

from ..commands import ganlab as command
from .wrong_recipes import HEAD, WRONG, Wrong

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").rglob("*.toml"))

BEYOND_FORM = {
    "typo - an averaging": "a parameter's own `check`",
    "type - float for integer": "JSON has one kind of number: 16.0 is an integer",
    "type - exponent for integer": "JSON has one kind of number: 1e6 is an integer",
    "range - a device": "a parameter's own `check`",
    "range - a name": "a parameter's own `check`",
    "range - a resolution": "a parameter's own `check`",
    "range - not a number": "JSON has no nan",
    "range - infinity": "JSON has no inf",
    "range - a store": "a parameter's own `check`",
    "range - a width": "a parameter's own `check`",
    "range - a first level": "a parameter's own `check`",
    "range - a level": "a parameter's own `check`",
    "range - a group": "a parameter's own `check`",
    "missing - the base": "whether a file is there",
    "missing - a base that is a folder": "what a file is",
}
"""Mistakes that a schema cannot see, and why; `ganlab check` does."""

WRONG_IN_FORM = {
    name: wrong
    for name, wrong in WRONG.items()
    if name.startswith(("typo", "type", "range", "missing")) and name not in BEYOND_FORM
}


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    catalog = ganlab.load_plugins((), {"GANLAB_PLUGINS": ""})
    return recipe_schema(catalog.registries, AblationTable)


@pytest.fixture(scope="module")
def validator(schema: dict[str, Any]) -> Draft7Validator:
    return Draft7Validator(schema)


def mistake(validator: Draft7Validator, data: dict[str, Any]) -> str | None:
    found = best_match(validator.iter_errors(data))
    return None if found is None else f"{'.'.join(map(str, found.absolute_path))}: {found.message}"


def test_it_is_a_schema_of_the_draft_it_names(schema: dict[str, Any]) -> None:
    assert schema["$schema"] == Draft7Validator.META_SCHEMA["$schema"]
    Draft7Validator.check_schema(schema)


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: str(file.relative_to(ROOT / "recipes")))
def test_every_recipe_and_ablation_is_valid(validator: Draft7Validator, file: Path) -> None:
    assert mistake(validator, tomllib.loads(file.read_text())) is None


def test_a_resolved_recipe_is_valid(validator: Draft7Validator) -> None:
    loaded = load_recipe(ROOT / "recipes/pggan.toml", ['metrics=["swd"]', 'regularizers=["r1"]'])
    assert mistake(validator, json.loads(json.dumps(loaded.plain()))) is None


def test_the_head_of_the_wrong_recipes_is_valid(validator: Draft7Validator) -> None:
    assert mistake(validator, tomllib.loads(HEAD)) is None


@pytest.mark.parametrize("wrong", WRONG_IN_FORM.values(), ids=WRONG_IN_FORM.keys())
def test_a_recipe_that_is_wrong_in_its_form_is_invalid(validator: Draft7Validator, wrong: Wrong) -> None:
    assert mistake(validator, tomllib.loads(wrong.recipe())) is not None


@pytest.mark.parametrize("name", BEYOND_FORM)
def test_what_is_said_to_be_beyond_a_schema_is(validator: Draft7Validator, name: str) -> None:
    """So that the list above has no mistake in it that could be found after all."""
    assert mistake(validator, tomllib.loads(WRONG[name].recipe())) is None


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('base = "a.toml"\n[run]\nsede = 1\n', "run"),
        ('base = "a.toml"\n[scales.small.run]\nimages = 0\n', "scales.small.run.images"),
        ('base = "a.toml"\n[scales.small]\nscale = "x"\n', "scales.small"),
        ('base = "a.toml"\n[ablation]\nseeds = ["0"]\n', "ablation.seeds.0"),
        ('base = "a.toml"\n[[ablation.variant]]\nnote = "no label"\n', "ablation.variant.0"),
        ('base = "a.toml"\n[[ablation.variant]]\nlabel = "a"\nset = { lose = "x" }\n', "ablation.variant.0.set"),
        ('base = "a.toml"\n[ablation.vary]\n"run.seed" = 3\n', "ablation.vary.run.seed"),
        ('base = "a.toml"\n[schedule]\nminibatches = { 16 = "8" }\n', "schedule"),
        ('base = "a.toml"\n[[metrics]]\ncount = 64\n', "metrics.0"),
    ],
)
def test_what_stands_beside_a_base_is_checked_too(validator: Draft7Validator, text: str, key: str) -> None:
    found = mistake(validator, tomllib.loads(text))
    assert found is not None
    assert found.startswith(f"{key}"), found


def test_with_a_base_a_nameless_table_may_change_any_component(validator: Draft7Validator) -> None:
    table = "[loss]\nfake_weight = 0.5\n"
    assert mistake(validator, tomllib.loads(f'base = "pggan-lsgan.toml"\n{table}')) is None
    assert mistake(validator, tomllib.loads(HEAD + table)) is not None, "without one it is the default, wgan-gp"


def test_every_default_is_what_its_own_schema_takes(validator: Draft7Validator, schema: dict[str, Any]) -> None:
    inner = [found for found in inner_schemas(schema) if "default" in found]
    assert len(inner) > 100
    for each in inner:
        assert list(validator.evolve(schema=each).iter_errors(each["default"])) == [], each


def test_every_key_is_described(schema: dict[str, Any]) -> None:
    conditions = inner_schemas(schema["else"])
    known = {id(each) for each in conditions}
    for each in inner_schemas(schema):
        for key, inner in each.get("properties", {}).items():
            assert id(inner) in known or inner.get("description"), f"{key}: {inner}"


def inner_schemas(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from inner_schemas(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from inner_schemas(inner)


PLUGIN = '''
import attrs, ganlab

@attrs.frozen
class Square:
    """A loss of one's own."""
    power: int = ganlab.parameter(ge=1, help="how much")
    terms: tuple = ganlab.component("loss", (), many=True, help="losses in a loss")
    def build(self): ...

@attrs.frozen
class Hinge:
    """Another hinge."""
    def build(self): ...

@ganlab.hookimpl
def register_losses(register):
    register("square", Square, summary="the scores squared", aliases=["quadratic"], deprecated="use hinge")
    register("hinge", Hinge)
    register("gone", "no_such_module_at_all:Loss")
'''


def test_other_peoples_components_are_in_it(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN)
    printed = command("schema", "--plugin", tmp_path / "mine.py")
    assert (printed.code, printed.err) == (0, "")
    written = command("schema", "--plugin", tmp_path / "mine.py", "--out", tmp_path / "recipe.schema.json")
    assert (written.code, written.out) == (0, f"{tmp_path / 'recipe.schema.json'}\n")
    assert (tmp_path / "recipe.schema.json").read_text() == printed.out
    schema = json.loads(printed.out)
    validator = Draft7Validator(schema)
    right = [
        '[loss]\nname = "square"\npower = 2\n',
        '[loss]\nname = "mine:quadratic"\npower = 2\nterms = ["mine:hinge", {name = "square", power = 1}]\n',
        '[loss]\nname = "ganlab:hinge"\n',
    ]
    wrong = [
        '[loss]\nname = "square"\npower = 0\n',
        '[loss]\nname = "square"\npower = 2\nterms = [{name = "square"}]\n',
        '[loss]\nname = "hinge"\n',  # offered twice
        '[loss]\nname = "gone"\n',  # cannot be loaded
    ]
    assert [mistake(validator, tomllib.loads(HEAD + text)) for text in right] == [None] * len(right)
    assert all(mistake(validator, tomllib.loads(HEAD + text)) for text in wrong)
    assert schema["definitions"]["loss.mine:square"]["description"] == "deprecated: use hinge. the scores squared"


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    done = command("schema", "--out", tmp_path / "nowhere" / "x.json")
    assert (done.code, done.out) == (2, "")
    assert done.err == f"--out {tmp_path / 'nowhere' / 'x.json'}: cannot be written: no such file or directory\n"
