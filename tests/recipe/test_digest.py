"""A resolved recipe is whole, and its digest says whether two runs are the same experiment."""

from __future__ import annotations

from pathlib import Path

import pytest

import ganlab
from ganlab.plugins import Catalog
from ganlab.recipe import differences, digest, load_recipe

RECIPES = sorted((Path(__file__).parents[2] / "recipes").rglob("*.toml"))
TRAINED = [path for path in RECIPES if "[ablation]" not in path.read_text()]
TEXT = """
[run]
images = 64_000
[data]
name = "pixel-faces"
resolution = 16
[generator]
widths = [96, 96, 64, 32]
[discriminator]
widths = [96, 96, 64, 32]
[schedule]
minibatches = { 4 = 32 }
"""


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return ganlab.load_plugins()


@pytest.mark.parametrize("recipe", TRAINED, ids=lambda path: path.stem)
def test_a_resolved_recipe_loads_to_the_same_recipe_anywhere(tmp_path: Path, recipe: Path, catalog: Catalog) -> None:
    loaded = load_recipe(recipe, ["metrics=['swd']", "regularizers=['r1']", "data.labels=false"], catalog)
    (tmp_path / "resolved.toml").write_text(loaded.toml())
    again = load_recipe(tmp_path / "resolved.toml", (), catalog)
    assert again.recipe == loaded.recipe
    assert again.plain() == loaded.plain()
    assert digest(again.plain()) == digest(loaded.plain())
    assert again.name == loaded.name == recipe.stem
    assert differences(loaded.plain(), again.plain()) == []


def test_a_recipe_of_before_there_were_systems_and_augmentations_is_the_same(catalog: Catalog) -> None:
    plain = load_recipe(next(path for path in RECIPES if path.name == "pggan.toml"), (), catalog).plain()
    older = {key: value for key, value in plain.items() if key not in ("system", "augmentation")}
    assert digest(older) == digest(plain)
    assert differences(older, plain) == []
    changed = {**plain, "augmentation": {"name": "diffaugment", "cutout": 0.5}}
    assert digest(changed) != digest(plain)
    assert "augmentation.name: 'none' -> 'diffaugment'" in differences(older, changed)


def test_the_digest_is_the_same_in_every_process() -> None:
    """It is kept in run folders, so it may depend neither on hash seeds nor on the order of keys."""
    assert digest({"a": {"x": 1, "y": 2.5}, "b": [1]}) == digest({"b": [1], "a": {"y": 2.5, "x": 1}})
    assert digest({"a": 1}) == "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipes") / "faces.toml"
    path.write_text(TEXT)
    return path


CIRCUMSTANCES = [
    "run.device=cpu",
    "run.threads=3",
    "run.name=other",
    "run.check_memory=false",
    "data.workers=7",
    "data.cache=none",
    "data.cache_gigabytes=0.5",
    "track.mlflow=false",
    "track.samples=9",
    "track.checkpoint_every_ticks=9",
    "plugins.require=['ganlab']",
    "metrics=['swd']",
]
SUBSTANCE = [
    "run.seed=1",
    "run.images=65_000",
    "run.precision=bfloat16",
    "data.mirror=false",
    "data.resolution=8",
    "data.blend=bytes",
    "data.name=synthetic",
    "loss=lsgan",
    "loss.gp_weight=9.0",
    "generator.leaky_slope=0.1",
    "generator.widths=[96, 96, 64]",
    "discriminator.stddev.averaging=flat",
    "discriminator.weight_scaling=spectral",
    "regularizers=['r1']",
    "schedule=fixed",
    "schedule.minibatches.4=64",
    "optimizer.learning_rate=0.002",
    "updates.discriminator_steps=2",
    "ema.beta=0.99901",
]


@pytest.mark.parametrize("assignment", CIRCUMSTANCES)
def test_circumstances_do_not_change_the_digest(recipe: Path, catalog: Catalog, assignment: str) -> None:
    plain, changed = (load_recipe(recipe, sets, catalog).plain() for sets in ([], [assignment]))
    assert plain != changed
    assert digest(plain) == digest(changed)
    assert differences(plain, changed) == []


def test_the_place_of_the_data_does_not_change_the_digest(catalog: Catalog) -> None:
    recipe = next(path for path in TRAINED if path.name == "pggan-celebahq-1024.toml")
    here, there = (load_recipe(recipe, [f"data.path={path}"], catalog).plain() for path in ("/here", "/there"))
    assert digest(here) == digest(there)
    assert differences(here, there) == []


@pytest.mark.parametrize("assignment", SUBSTANCE)
def test_everything_else_changes_it_and_is_named(recipe: Path, catalog: Catalog, assignment: str) -> None:
    plain, changed = (load_recipe(recipe, sets, catalog).plain() for sets in ([], [assignment]))
    assert digest(plain) != digest(changed)
    key = assignment.partition("=")[0]
    assert any(line.startswith((f"{key}: ", f"{key}.")) for line in differences(plain, changed))


def test_differences_name_key_and_both_values(recipe: Path, catalog: Catalog) -> None:
    plain = load_recipe(recipe, ["regularizers=['r1']"], catalog).plain()
    changed = load_recipe(
        recipe, ["regularizers=['r1']", "loss.gp_weight=5", "regularizers.0.gamma=64", "loss.drift=0"], catalog
    )
    gamma = plain["regularizers"][0]["gamma"]
    assert differences(plain, changed.plain()) == [
        "loss.drift: 0.001 -> 0.0",
        "loss.gp_weight: 10.0 -> 5.0",
        f"regularizers.0.gamma: {gamma} -> 64.0",
    ]
    other = load_recipe(recipe, ["regularizers=['r1']", "loss=wgan"], catalog).plain()
    assert {"loss.clip: 'not set' -> 0.01", "loss.name: 'wgan-gp' -> 'wgan'"} < set(differences(plain, other))
