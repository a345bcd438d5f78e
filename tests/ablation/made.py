"""Folders of ablations as training leaves them: real run folders with journals, grids and small files, in no time."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from PIL import Image

from ganlab.track.folder import RunFolder

SWD, SSIM, LEVEL = "metric/swd/mean", "metric/ms-ssim", "metric/swd/16"
TICK = 1000
Measure = Callable[[int, int, int], Mapping[str, float]]
"""Number of the variant, seed, images shown, to values of metrics."""


def usual(variant: int, seed: int, shown: int) -> dict[str, float]:
    """Falling SWD and rising MS-SSIM with noise of the seed that variants share, and some of their own."""
    shared = np.random.default_rng([seed, shown]).normal()
    own = np.random.default_rng([variant, seed, shown]).normal()
    swd = 3 + 0.4 * variant + 40 * math.exp(-shown / 3000) + 0.3 * shared + 0.1 * own
    return {SWD: swd, LEVEL: swd * 1.5, SSIM: 0.3 + 0.01 * variant + 0.01 * own}


def make_ablation(
    folder: Path,
    labels: Sequence[str] = ("all", "spatial", "none"),
    seeds: Sequence[int] = (0, 1, 2),
    *,
    ticks: int = 8,
    measure: Measure = usual,
    states: Mapping[tuple[str, int], tuple[str, int]] | None = None,
    axes: Sequence[str] = ("discriminator.stddev",),
    values: Sequence[Mapping[str, Any]] | None = None,
    **plan: Any,
) -> Path:
    """Make `folder`. `states` has (label, seed) to (state, ticks trained) of trials that are not finished."""
    folder.mkdir(parents=True)
    trials = []
    for seed in seeds:
        for number, label in enumerate(labels):
            name = f"{re.sub(r'[^a-z0-9]+', '-', label.lower()).strip('-') or 'v'}-s{seed}-{number:04x}{seed:04x}"
            trials.append({"id": name[-8:], "variant": label, "seed": seed, "folder": name})
            state, trained = (states or {}).get((label, seed), ("finished", ticks))
            if state != "waiting":
                train(folder / name, number, seed, range(1, trained + 1), measure, state)
    variants = [
        {
            "label": label,
            "values": dict(values[number]) if values else {axes[0]: label},
            "against": labels[number - 1] if number else "",
            "differences": [f"discriminator.stddev: {labels[number - 1]} -> {label}"] if number else [],
            "published": {},
            "note": "",
        }
        for number, label in enumerate(labels)
    ]
    facts = {
        "format": "ganlab-ablation/1",
        "name": "stddev",
        "question": "Does averaging the minibatch standard deviation over everything matter?",
        "note": "Networks of this size see 8,000 images; the paper's saw 10 million.",
        "scale": "small",
        "file": "recipes/ablations/stddev.toml",
        "baseline": labels[0],
        "metrics": [{"name": SWD, "better": "lower"}, {"name": SSIM, "better": ""}],
        "axes": list(axes),
        "seeds": list(seeds),
        "variants": variants,
        "trials": trials,
        "provenance": {"ganlab": "0.1.0", "git_commit": None, "executor": {"name": "local", "at_once": 2}},
    }
    write_plan(folder, {**facts, **plan})
    return folder


def write_plan(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write `ablation.json`."""
    (folder / "ablation.json").write_text(json.dumps(facts), encoding="utf-8")


def read_plan(folder: Path) -> dict[str, Any]:
    """`ablation.json`, to be changed and written again."""
    facts: dict[str, Any] = json.loads((folder / "ablation.json").read_text(encoding="utf-8"))
    return facts


def train(path: Path, variant: int, seed: int, ticks: range, measure: Measure = usual, state: str = "finished") -> None:
    """Leave in `path` what a training of those ticks leaves."""
    run = RunFolder.create(path)
    data = {"name": "pixel-faces", "digest": "d" * 64}
    run.write_info({"name": "stddev", "seed": seed, "digest": f"{variant}{seed}" * 8, "device": "cpu", "data": data})
    run.write_recipe(
        tomli_w.dumps({"run": {"seed": seed}, "generator": {"latent_size": 96}, "loss": {"gp_weight": 10.0}})
    )
    for tick in ticks:
        shown = tick * TICK
        noise = float(np.random.default_rng([7, variant, seed, tick]).normal())
        run.journal.write(
            shown,
            {
                "loss/generator": noise + variant,
                "loss/discriminator": -noise,
                "scores/real": noise / 2,
                "growth/fade": 1.0,
            },
            {"images_per_second": 100.0},
        )
        if tick % 2 == 0:
            run.journal.write(shown, measure(variant, seed, shown), {})
            save_grid(run, variant, seed, shown)
    message = "loss/generator is not finite in the step that began at 3,000 images shown" if state == "failed" else ""
    run.set_status(state, ticks[-1] * TICK if len(ticks) else 0, message)  # type: ignore[arg-type]  # from a test's table


def save_grid(run: RunFolder, variant: int, seed: int, shown: int) -> None:
    """64 little faces, 8 by 8, of 16 x 16 pixels, each repeated four times as small grids are."""
    rng, blur = np.random.default_rng([3, seed]), np.random.default_rng([variant, seed, shown])
    rows, columns = np.mgrid[0:16, 0:16] - 7.5
    face = (rows**2 / 1.4 + columns**2 < 36)[..., None]
    skins, grounds = rng.integers(90, 250, (64, 1, 1, 3)), rng.integers(0, 160, (64, 1, 1, 3))
    tiles = np.where(face, skins, grounds) + blur.normal(0, 12 + 60000 / shown, (64, 16, 16, 3)) + 6 * variant
    tiles[:, 6:8, [5, 10]] = 20
    sheet = tiles.clip(0, 255).astype(np.uint8).reshape(8, 8, 16, 16, 3).swapaxes(1, 2).reshape(128, 128, 3)
    Image.fromarray(sheet.repeat(4, 0).repeat(4, 1)).save(run.sample_path(shown), compress_level=1)


def journal_value(folder: Path, source: str, name: str) -> float:
    """The value that `<trial>/metrics.jsonl:<line>` names, read as plain text, not as ganlab reads it."""
    file, _, line = source.rpartition(":")
    return float(json.loads((folder / file).read_text(encoding="utf-8").splitlines()[int(line) - 1])["values"][name])
