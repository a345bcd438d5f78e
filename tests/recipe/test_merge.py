"""Files, bases and `--set` are merged table by table; a component is replaced whole when another is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import ganlab
from ganlab.plugins import Catalog
from ganlab.recipe import LoadedRecipe, load_recipe

from .wrong_recipes import HEAD


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return ganlab.load_plugins()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(catalog: Catalog, text: str, *sets: str, name: str = "recipe.toml") -> LoadedRecipe:
    Path(name).write_text(text)
    return load_recipe(name, sets, catalog)


def loss(loaded: LoadedRecipe) -> Any:
    return loaded.plain()["loss"]


def test_a_child_changes_only_what_it_names(folder: Path, catalog: Catalog) -> None:
    Path("parent.toml").write_text(HEAD + "[loss]\ngp_weight = 5\ndrift = 0.5\n[schedule]\nminibatches = { 4 = 8 }\n")
    merged = load(catalog, 'base = "parent.toml"\n[loss]\ndrift = 0.25\n[schedule.minibatches]\n8 = 4\n').plain()
    assert (merged["loss"]["gp_weight"], merged["loss"]["drift"]) == (5.0, 0.25)
    assert merged["schedule"]["minibatches"] == {"4": 8, "8": 4}
    assert merged["run"]["images"] == 64


def test_a_chain_of_bases_is_read_from_the_far_end(folder: Path, catalog: Catalog) -> None:
    Path("a.toml").write_text(HEAD + "[loss]\ngp_weight = 1\ndrift = 1\ntarget = 1\n")
    Path("b.toml").write_text('base = "a.toml"\n[loss]\ndrift = 2\ntarget = 2\n')
    merged = loss(load(catalog, 'base = "b.toml"\n[loss]\ntarget = 3\n'))
    assert [merged[key] for key in ("gp_weight", "drift", "target")] == [1.0, 2.0, 3.0]


def test_another_component_replaces_the_whole_table(folder: Path, catalog: Catalog) -> None:
    text = HEAD + '[loss]\nname = "wgan-gp"\ngp_weight = 5\n'
    assert loss(load(catalog, text, "loss=hinge")) == {"name": "hinge"}
    assert loss(load(catalog, text, "loss.name=hinge")) == {"name": "hinge"}
    assert loss(load(catalog, text, "loss={name='wgan', clip=0.5}")) == {"name": "wgan", "clip": 0.5}
    assert loss(load(catalog, text, "loss.name=wgan-gp"))["gp_weight"] == 5.0


def test_another_data_set_keeps_what_is_not_the_source_s_own(folder: Path, catalog: Catalog) -> None:
    text = (
        '[run]\nimages = 3\n[data]\nname = "shards"\npath = "faces"\nresolution = 8\nmirror = false\nblend = "bytes"\n'
    )
    data = load(catalog, text, "data.name=synthetic", "data.count=32").plain()["data"]
    assert (data["name"], data["count"]) == ("synthetic", 32)
    assert (data["resolution"], data["mirror"], data["blend"]) == (8, False, "bytes")
    assert "path" not in data
    assert load(catalog, text, "data.name=synthetic").document.origin(("data", "mirror")).line == 7


def test_a_parameter_turns_a_bare_name_into_a_table(folder: Path, catalog: Catalog) -> None:
    stddevs = ["", 'stddev = "minibatch-stddev"', '[discriminator.stddev]\nname = "minibatch-stddev"']
    for stddev in stddevs:
        text = f"{HEAD}[discriminator]\nleaky_slope = 0.1\n{stddev}\n"
        merged = load(catalog, text, "discriminator.stddev.averaging=gpool").plain()["discriminator"]
        assert (merged["stddev"]["name"], merged["stddev"]["averaging"]) == ("minibatch-stddev", "gpool")
        assert merged["leaky_slope"] == 0.1
    assert loss(load(catalog, f'loss = "lsgan"\n{HEAD}', "loss.fake_weight=0.5"))["name"] == "lsgan"
    assert loss(load(catalog, HEAD, "loss.gp_weight=2")) | {"norm_of": ""} == {
        "name": "wgan-gp",
        "gp_weight": 2.0,
        "drift": 0.001,
        "target": 1.0,
        "norm_of": "",
    }


def test_lists_are_replaced_whole_and_reached_into_by_number(folder: Path, catalog: Catalog) -> None:
    text = f'metrics = ["swd", "ms-ssim"]\n{HEAD.replace("= 8", "= 16")}[generator]\nwidths = [8, 8, 8, 8]\n'
    merged = load(catalog, text, "generator.widths=[4, 4, 4]", "metrics.0.count=128").plain()
    assert merged["generator"]["widths"] == [4, 4, 4]
    assert (merged["metrics"][0]["name"], merged["metrics"][0]["count"]) == ("swd", 128)
    assert merged["metrics"][1]["name"] == "ms-ssim"
    other = load(catalog, text, "metrics.0={name='ms-ssim', label='other'}").plain()["metrics"]
    assert [metric["name"] for metric in other] == ["ms-ssim"] * 2
    assert load(catalog, text, "metrics=[]").plain()["metrics"] == []
    sets = ("metrics=['swd']", "metrics.0.count=128", "metrics.0.every_images=500", "metrics.0.name=ms-ssim")
    replaced = load(catalog, text, *sets).plain()["metrics"][0]
    assert replaced.pop("every_images") == 500, "what belongs to no metric stays"
    defaults = load(catalog, text).plain()["metrics"][1]
    assert replaced == {key: defaults[key] for key in replaced}, "another metric has its own defaults"


def test_set_wins_over_the_file_and_the_last_set_over_the_others(folder: Path, catalog: Catalog) -> None:
    Path("parent.toml").write_text(HEAD)
    loaded = load(catalog, 'base = "parent.toml"\n[run]\nimages = 5\n', "run.images=6", "run.images=7")
    assert loaded.recipe.run.images == 7
    assert str(loaded.document.origin(("run", "images"))) == "--set run.images=7"


VALUES = [
    ("run.images=64_000", ("run", "images"), 64_000),
    ("ema.beta=9e-1", ("ema", "beta"), 0.9),
    ("ema.beta=0", ("ema", "beta"), 0.0),
    ("data.mirror=false", ("data", "mirror"), False),
    ("track.experiment=my faces", ("track", "experiment"), "my faces"),
    ('track.experiment="3"', ("track", "experiment"), "3"),
    ("track.experiment='a = b'", ("track", "experiment"), "a = b"),
    (" run.images = 3 ", ("run", "images"), 3),
    ("schedule.minibatches.4=2", ("schedule", "minibatches"), {"4": 2}),
    ("schedule.minibatches={4=2, 8=1}", ("schedule", "minibatches"), {"4": 2, "8": 1}),
    ("track.uri=http://host:5000", ("track", "uri"), "http://host:5000"),
]


@pytest.mark.parametrize(("assignment", "path", "value"), VALUES, ids=[assignment for assignment, _, _ in VALUES])
def test_set_takes_toml_and_bare_words(
    folder: Path, catalog: Catalog, assignment: str, path: tuple[str, str], value: object
) -> None:
    table, key = path
    found = load(catalog, HEAD, assignment).plain()[table][key]
    assert found == value
    assert type(found) is type(value)


def test_paths_are_relative_to_the_file_that_wrote_them(folder: Path, catalog: Catalog) -> None:
    Path("deep/er").mkdir(parents=True)
    Path("deep/parent.toml").write_text('[run]\nimages = 3\n[data]\nname = "shards"\npath = "faces"\nresolution = 8\n')
    child = 'base = "../parent.toml"\n[run]\nseed = 1\n'
    written_in_parent = load(catalog, child, name="deep/er/child.toml")
    assert written_in_parent.plain()["data"]["path"] == str(folder / "deep/faces")
    written_in_child = load(catalog, child + '[data]\npath = "../faces"\n', name="deep/er/child.toml")
    assert written_in_child.plain()["data"]["path"] == str(folder / "deep/faces")
    on_the_command_line = load(catalog, child, "data.path=faces", name="deep/er/child.toml")
    assert on_the_command_line.plain()["data"]["path"] == str(folder / "faces")
    absolute = load(catalog, child, "data.path=/tmp/faces", name="deep/er/child.toml")
    assert absolute.plain()["data"]["path"] == "/tmp/faces"


def test_every_value_knows_where_it_was_written(folder: Path, catalog: Catalog) -> None:
    Path("parent.toml").write_text(HEAD + '[loss]\nname = "wgan-gp"\ndrift = 0.5\n')
    text = 'base = "parent.toml"\n[loss]\ngp_weight = 5\n[discriminator]\nstddev = "minibatch-stddev"\n'
    origins = load(catalog, text, "discriminator.stddev.averaging=gpool").document.origins
    assert {path: str(origin) for path, origin in origins.items() if len(path) > 1} == {
        ("run", "images"): "parent.toml:2",
        ("data", "name"): "parent.toml:4",
        ("data", "resolution"): "parent.toml:5",
        ("loss", "name"): "parent.toml:7",
        ("loss", "drift"): "parent.toml:8",
        ("loss", "gp_weight"): "recipe.toml:3",
        ("discriminator", "stddev"): "--set discriminator.stddev.averaging=gpool",
        ("discriminator", "stddev", "name"): "recipe.toml:5",
        ("discriminator", "stddev", "averaging"): "--set discriminator.stddev.averaging=gpool",
    }


def test_a_file_s_name_that_cannot_name_a_folder_is_made_to(folder: Path, catalog: Catalog) -> None:
    for name, run_name in {
        "my faces (2).toml": "my-faces-2",
        "gesichter-ä.toml": "gesichter-ä",
        ".toml": "toml",
        "a.b.toml": "a.b",
    }.items():
        assert load(catalog, HEAD, name=name).recipe.run.name == run_name
