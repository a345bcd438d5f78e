"""Small recipes and runs for tests: seconds on one core, but every part of them is real."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from ganlab.recipe import LoadedRecipe, load_recipe
from ganlab.track.folder import RunFolder
from ganlab.track.results import results_path
from ganlab.train.choose import Choice
from ganlab.train.loop import train
from ganlab.train.measure import Measurer, planned_metrics
from ganlab.train.prepare import prepare
from ganlab.train.run import run
from ganlab.train.state import checkpoints

RECIPES = Path(__file__).parents[2] / "recipes"

TINY = """
[run]
seed = 3
images = 400
threads = 1
precision = "float32"
check_memory = false

[data]
name = "pixel-faces"
resolution = 16

[generator]
name = "pggan-generator"
widths = [8, 8, 6]
latent_size = 8

[discriminator]
name = "pggan-discriminator"
widths = [8, 8, 6]

[schedule]
name = "progressive"
stabilize_images = 64
fade_images = 64
minibatch = 8
tick_images = 40

[track]
mlflow = false
samples = 4
checkpoint_every_ticks = 2
"""


def write_recipe(folder: Path, text: str = TINY, name: str = "tiny.toml") -> Path:
    """The recipe as a file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    return path


def tiny(folder: Path, *overrides: str) -> LoadedRecipe:
    """The tiny recipe with overrides, loaded."""
    return load_recipe(write_recipe(folder), overrides)


def quiet(text: str) -> None:
    """Says nothing."""


def train_all(loaded: LoadedRecipe, path: Path) -> RunFolder:
    """A whole run in `path`."""
    assert run(loaded, Choice(path, "start"), say=quiet) == 0
    return RunFolder.open(path)


def train_in_pieces(loaded: LoadedRecipe, path: Path, stops: Sequence[int]) -> RunFolder:
    """A run that is stopped when so many images were shown, and gone on with by new objects each time."""
    for number, stop in enumerate([*stops, 10**9]):
        folder = RunFolder.open(path) if number else RunFolder.create(path)
        trainer = prepare(loaded, folder, fresh=number == 0, say=quiet)
        found = checkpoints(folder.checkpoints)
        position = trainer.restore(found[-1]) if found else None
        shown = [0]
        trainer.listener = lambda stage, images_shown, values, shown=shown: shown.__setitem__(0, images_shown)
        asked: Callable[[], bool] = lambda shown=shown, stop=stop: shown[0] >= stop  # noqa: E731 - bound to this piece
        train(
            trainer,
            position,
            stop_requested=asked,
            stage_ended=lambda stage, images_shown: None,
            measure=Measurer(trainer, planned_metrics(loaded, trainer.source), quiet),
        )
        trainer.feed.close()
    return RunFolder.open(path)


def journal_without_times(folder: RunFolder) -> list[dict[str, object]]:
    """The journal's lines, but for what the clock had a part in."""
    lines = [json.loads(line) for line in (folder.path / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "time"} for line in lines]


def assert_equal_runs(one: RunFolder, other: RunFolder) -> None:
    """Byte for byte: the last checkpoint (weights, averages, optimizers), generator, journal, results, samples."""
    last = [checkpoints(folder.checkpoints)[-1] for folder in (one, other)]
    assert last[0].name == last[1].name
    assert last[0].read_bytes() == last[1].read_bytes(), "the last checkpoints differ"
    assert one.generator_path.read_bytes() == other.generator_path.read_bytes(), "the averaged generators differ"
    assert journal_without_times(one) == journal_without_times(other)
    results = [path.read_bytes() if path.exists() else b"" for path in map(results_path, (one, other))]
    assert results[0] == results[1], "metrics.json differs"
    assert one.sample_steps() == other.sample_steps()
    for step in one.sample_steps():
        assert one.sample_path(step).read_bytes() == other.sample_path(step).read_bytes(), f"samples at {step} differ"
