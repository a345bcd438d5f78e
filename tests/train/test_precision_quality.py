"""A run in bfloat16 ends as well as one in float32: distances of three seeds each, on the embedded set."""

from __future__ import annotations

from pathlib import Path

import pytest

from ganlab.recipe import load_recipe
from ganlab.track.journal import read

from .tiny import RECIPES, train_all

SEEDS = (0, 1, 2)
IMAGES = 4_500
"""Enough to be far from untrained; with the widths below, minutes for all six runs where bfloat16 is emulated."""


def final_distance(folder: Path, precision: str, seed: int, images: int = IMAGES) -> float:
    """`swd/mean` of a small run of `recipes/pggan.toml`'s kind; smaller is better."""
    settings = {
        "run.seed": seed,
        "run.images": images,
        "run.device": '"cpu"',
        "run.threads": 1,
        "run.check_memory": "false",
        "run.precision": precision,
        "generator.widths": [24, 24, 16],
        "generator.latent_size": 24,
        "discriminator.widths": [24, 24, 16],
        "schedule.stabilize_images": images // 9,
        "schedule.fade_images": images // 9,
        "metrics": '[{name="swd", count=2048, patches_per_image=32}]',
        "track.mlflow": "false",
    }
    loaded = load_recipe(RECIPES / "pggan.toml", [f"{key}={value}" for key, value in settings.items()])
    run = train_all(loaded, folder / f"{precision}-{seed}")
    return float(read(run.path)[-1].values["metric/swd/mean"])


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.filterwarnings("ignore:run.precision")
def test_bfloat16_ends_where_float32_ends(tmp_path: Path) -> None:
    full = [final_distance(tmp_path, "float32", seed) for seed in SEEDS]
    half = [final_distance(tmp_path, "bfloat16", seed) for seed in SEEDS]
    print(f"swd/mean: float32 {full}, bfloat16 {half}")
    assert max(full + half) < 120, "untrained networks are at about 170"
    assert max(min(full), min(half)) <= min(max(full), max(half)), (full, half)
