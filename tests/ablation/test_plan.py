"""From a file to trials: variants, their differences, ids that follow from recipe and seed, and paired beginnings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlab import load_plugins
from ganlab.ablation.plan import AblationPlan, plan_ablation
from ganlab.errors import RecipeError
from ganlab.recipe import digest, load_recipe

from .wrong_ablations import HEAD

RECIPES = Path(__file__).parents[2] / "recipes"


def planned(folder: Path, text: str, *overrides: str) -> AblationPlan:
    """The plan of an ablation file with `text` after HEAD."""
    file = folder / "mine.toml"
    file.write_text(HEAD + text)
    return plan_ablation(file, overrides, load_plugins())


def test_a_grid_is_every_combination_with_every_seed(tmp_path: Path) -> None:
    plan = planned(
        tmp_path,
        '[ablation]\nseeds = [3, 5]\n[ablation.vary]\nloss = ["wgan-gp", "hinge"]\ndata.mirror = [true, false]\n',
    )
    assert [variant.label for variant in plan.variants] == [
        "wgan-gp, true",
        "wgan-gp, false",
        "hinge, true",
        "hinge, false",
    ]
    assert plan.variants[3].values == {"loss": "hinge", "data.mirror": "false"}
    assert [(trial.variant, trial.seed) for trial in plan.trials] == [
        (variant.label, seed) for seed in (3, 5) for variant in plan.variants
    ]
    last = plan.trials[-1].loaded.recipe
    assert (type(last.loss).__name__, last.data.mirror, last.run.seed) == ("Hinge", False, 5)


def test_labels_name_values_of_any_kind(tmp_path: Path) -> None:
    text = """[ablation.vary]
"discriminator.stddev" = ["none", { name = "minibatch-stddev", averaging = "flat" }]
"generator.widths" = [[8, 8, 6], [8, 8, 8]]
"optimizer.learning_rate" = [0.001, 1]
"""
    labels = [variant.label for variant in planned(tmp_path, text).variants]
    assert len(labels) == 8
    assert labels[-1] == "minibatch-stddev averaging=flat, 8 8 8, 1"


def test_a_variant_adds_to_the_one_it_comes_after(tmp_path: Path) -> None:
    text = """[[ablation.variant]]
label = "a"
set = { loss = { name = "wgan-gp", gp_weight = 5.0 }, run = { images = 128 } }
[[ablation.variant]]
label = "b"
after = "a"
set = { loss = { drift = 0.0 } }
[ablation.adjust.a.run]
images = 96
"""
    plan = planned(tmp_path, text)
    a, b = plan.variants
    assert "run.images: 64 -> 96" in a.differences
    assert (b.against, list(b.differences)) == ("a", ["loss.drift: 0.001 -> 0.0"])
    recipe = plan.trials[1].loaded.recipe
    assert (recipe.loss.gp_weight, recipe.loss.drift, recipe.run.images) == (5.0, 0.0, 96)  # type: ignore[attr-defined]


def test_overrides_reach_every_variant_and_the_ablation_itself(tmp_path: Path) -> None:
    text = '[ablation.vary]\nloss = ["wgan-gp", "hinge"]\n[scales.small.run]\nimages = 32\n'
    text += "[scales.small.ablation]\nseeds = [7]\n"
    plan = planned(tmp_path, text, "scale=small", "data.mirror=false")
    assert plan.scale == "small"
    assert {trial.seed for trial in plan.trials} == {7}
    assert {trial.loaded.recipe.run.images for trial in plan.trials} == {32}
    assert not any(trial.loaded.recipe.data.mirror for trial in plan.trials)
    assert planned(tmp_path, text, "scale=small", "ablation.seeds=[1]").table.seeds == (1,)


@settings(deadline=None, max_examples=20)
@given(seeds=st.lists(st.integers(0, 99), min_size=1, max_size=4, unique=True), images=st.integers(16, 99))
def test_ids_follow_from_recipe_and_seed_alone(
    tmp_path_factory: pytest.TempPathFactory, seeds: list[int], images: int
) -> None:
    folder = tmp_path_factory.mktemp("ids")
    text = f'[ablation]\nseeds = {seeds}\n[ablation.vary]\nloss = ["wgan-gp", "hinge"]\n'
    once = planned(folder, text, f"run.images={images}", "run.device=cpu")
    again = planned(folder, text, f"run.images={images}", "track.mlflow=false", "ablation.executor.at_once=3")
    ids = [trial.id for trial in once.trials]
    assert ids == [trial.id for trial in again.trials]
    assert len(set(ids)) == 2 * len(seeds)
    for trial in once.trials:
        assert digest(trial.loaded.plain()).startswith(trial.id)


def test_a_trial_is_the_recipe_that_run_would_train(tmp_path: Path) -> None:
    plan = planned(tmp_path, '[ablation]\nseeds = [4]\n[ablation.vary]\nloss = ["hinge"]\n')
    (tmp_path / "alone.toml").write_text(HEAD)
    alone = load_recipe(tmp_path / "alone.toml", ["loss=hinge", "run.seed=4"])
    assert digest(alone.plain()) == digest(plan.trials[0].loaded.plain())


@pytest.mark.parametrize("file", sorted((RECIPES / "ablations").glob("*.toml")), ids=lambda file: file.stem)
@pytest.mark.parametrize("scale", [(), ("scale=small",)], ids=["full", "small"])
def test_our_ablations_are_fine(file: Path, scale: tuple[str, ...]) -> None:
    if file.stem == "paper":
        load_recipe(file, scale)
        return
    plan = plan_ablation(file, scale, load_plugins())
    assert plan.table.question
    assert sum(not variant.differences for variant in plan.variants) <= 1, "only one can be the base recipe itself"
    if scale:
        assert plan.table.note, "a small scale says what it is not"


def test_table_1_has_every_row_as_its_difference_from_the_one_before() -> None:
    plan = plan_ablation(RECIPES / "ablations" / "pggan-table1.toml", [], load_plugins())
    rows = {variant.label: variant for variant in plan.variants}
    assert list(rows) == ["a", "b", "c", "d", "e*", "e", "f", "g", "h"]
    assert [rows[label].against for label in rows] == ["", "a", "b", "c", "d", "d", "e", "f", "g"]
    means = [rows[label].published["metric/swd/mean"] for label in rows]
    assert means == [9.28, 4.28, 46.23, 8.07, 9.84, 7.04, 4.39, 3.56, 2.96]
    assert "optimizer.learning_rate: 0.0001 -> 0.001" in rows["f"].differences
    for row in rows.values():
        levels = [row.published[f"metric/swd/{size}"] for size in (128, 64, 32, 16)]
        assert sum(levels) / 4 == pytest.approx(row.published["metric/swd/mean"], abs=0.011)


@pytest.mark.parametrize(
    ("text", "overrides", "says"),
    [
        ('[ablation.vary]\n"data.workers" = [1, 2]\n', (), "differ only in data.workers"),
        ('[[ablation.variant]]\nlabel = "a"\nset = { run = { seed = 3 } }\n', (), "set ablation.seeds"),
        ('[ablation.vary]\nloss = ["hinge"]\n', ("run.seed=3",), "set ablation.seeds"),
        ('[ablation.vary]\nloss = ["hinge"]\n', ('"run".name="x"',), "set ablation.name"),
        ('[ablation]\ndecide = ["metric/sdw/mean"]\n[ablation.vary]\nloss = ["hinge"]\n', (), "did you mean 'swd'?"),
    ],
)
def test_what_would_go_wrong_unnoticed_is_refused(
    tmp_path: Path, text: str, overrides: tuple[str, ...], says: str
) -> None:
    with pytest.raises(RecipeError, match=re.escape(says)):
        planned(tmp_path, text, *overrides)


def test_quoted_keys_reach_the_ablation(tmp_path: Path) -> None:
    plan = planned(tmp_path, '[ablation.vary]\nloss = ["hinge"]\n', '"ablation".seeds=[5]')
    assert plan.table.seeds == (5,)
