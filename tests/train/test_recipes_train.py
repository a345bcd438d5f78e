"""Every recipe that comes with ganlab trains: some steps of each, on small synthetic data, through all its levels."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from ganlab.recipe import load_recipe

from .tiny import RECIPES, tiny, train_all

SMALL = (
    "data={name='synthetic', resolution=16, workers=0, classes=3}",
    "run.images=96",
    "run.threads=1",
    "track.mlflow=false",
    "track.samples=4",
    "metrics=[]",
)
SIDE_BY_SIDE = "data={name='two-sets', a='synthetic', b={name='synthetic', count=99}}"
"""For systems that are shown two data sets."""
SMALL_WHERE_THERE_IS_SUCH_A_KEY = (
    "generator.widths=[8, 8, 8]",
    "generator.width=8",
    "generator.latent_size=8",
    "discriminator.widths=[8, 8, 8]",
    "discriminator.width=8",
    "schedule.stabilize_images=24",
    "schedule.fade_images=16",
    "schedule.minibatch=8",
    "schedule.minibatches={4=8, 8=8, 16=8, 32=8}",
    "schedule.tick_images=32",
)


def small(recipe: Path) -> list[str]:
    """What makes this recipe small, as far as its components have such parameters."""
    found = load_recipe(recipe, SMALL).recipe
    paths = [(override.partition("=")[0].split("."), override) for override in SMALL_WHERE_THERE_IS_SUCH_A_KEY]
    there = {slot: attrs.fields_dict(type(getattr(found, slot))) for (slot, _), _ in paths}
    data = [SIDE_BY_SIDE] if found.system.domains == 2 else []
    return [*SMALL, *data, *(override for (slot, key), override in paths if key in there[slot])]


@pytest.mark.parametrize("recipe", sorted(path.name for path in RECIPES.glob("*.toml")))
def test_a_recipe_trains_on_synthetic_data(tmp_path: Path, recipe: str) -> None:
    folder = train_all(load_recipe(RECIPES / recipe, small(RECIPES / recipe)), tmp_path / "run")
    resolutions = {line["values"]["growth/resolution"] for line in _journal(folder.path)}
    assert max(resolutions) == 16
    assert folder.sample_steps()
    assert folder.status().state == "finished"  # type: ignore[union-attr]  # a finished run has a status


AVERAGINGS = ["all", "spatial", "gpool", "flat", "none", "group2"]


@pytest.mark.parametrize("averaging", AVERAGINGS)
def test_every_averaging_trains_with_lsgan(tmp_path: Path, averaging: str) -> None:
    loaded = tiny(tmp_path, "run.images=60", "loss=lsgan", f"discriminator.stddev.averaging={averaging}")
    train_all(loaded, tmp_path / "run")


@pytest.mark.parametrize("loss", ["wgan-gp", "lsgan", "wgan", "non-saturating", "hinge"])
@pytest.mark.parametrize("terms", ["[]", "['r1']"])
def test_every_loss_trains_with_and_without_r1(tmp_path: Path, loss: str, terms: str) -> None:
    scaling = ["discriminator.weight_scaling=none"] if loss == "wgan" else []
    loaded = tiny(tmp_path, "run.images=40", f"loss={loss}", f"regularizers={terms}", *scaling)
    train_all(loaded, tmp_path / "run")


@pytest.mark.parametrize("scaling", ["equalized", "spectral", "none"])
@pytest.mark.parametrize("normalization", ["pixel", "batch", "layer", "instance", "none"])
def test_every_normalization_trains_with_every_weight_scaling(tmp_path: Path, normalization: str, scaling: str) -> None:
    sets = [
        f"{player}.{key}" for player in ("generator", "discriminator") for key in ("normalization", "weight_scaling")
    ]
    values = dict(zip(sets, [normalization, scaling] * 2, strict=True))
    train_all(tiny(tmp_path, "run.images=40", *(f"{key}={value}" for key, value in values.items())), tmp_path / "run")


def test_labels_condition_both_networks(tmp_path: Path) -> None:
    loaded = tiny(
        tmp_path,
        "data={name='synthetic', classes=3, resolution=16, labels=true}",
        "regularizers=['ac-gan']",
        "run.images=120",
    )
    folder = train_all(loaded, tmp_path / "run")
    assert all("cross_entropy/fake" in line["values"] for line in _journal(folder.path))


def test_the_mnist_pair_trains(tmp_path: Path) -> None:
    loaded = tiny(
        tmp_path,
        "generator={name='mnist-generator'}",
        "discriminator={name='mnist-discriminator'}",
        "data={name='synthetic', channels=1, resolution=16}",
        "run.images=60",
    )
    train_all(loaded, tmp_path / "run")


def test_metrics_are_measured_at_the_end(tmp_path: Path) -> None:
    loaded = tiny(tmp_path, "run.images=300", "metrics=[{name='swd', count=64, patches_per_image=16}]")
    folder = train_all(loaded, tmp_path / "run")
    assert "metric/swd/mean" in _journal(folder.path)[-1]["values"]


def _journal(folder: Path) -> list[dict[str, dict[str, float]]]:
    import json

    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
