"""Metrics in the course of a training: what is compared, what is kept, and that training does not notice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import ganlab
from ganlab.errors import RecipeError, RunError
from ganlab.plugins import Catalog
from ganlab.recipe import LoadedRecipe, load_recipe
from ganlab.track.folder import RunFolder
from ganlab.train.choose import Choice
from ganlab.train.run import run
from ganlab.train.state import checkpoints

from ..commands import ganlab as command
from .tiny import journal_without_times, quiet, train_all, train_in_pieces, write_recipe

PLUGIN = '''
import attrs, ganlab, torch
from ganlab.errors import GanlabError


@attrs.frozen
class Spy:
    """Says what it was shown, and leaves torch in disorder."""

    better = {"spy": "lower", "spy/brightness": "higher"}
    scale: float = ganlab.parameter(1.0, help="of brightness")

    def build(self):
        return SpyMetric(self)


@attrs.frozen
class SpyMetric:
    spy: Spy

    def __call__(self, reals, fakes, *, seed):
        assert reals.key and fakes.key is None
        torch.manual_seed(1)
        torch.set_num_threads(3)
        torch.set_grad_enabled(False)
        shown = fakes(3, 40)
        assert (shown[5] == fakes(8, 9)[0]).all()
        blocks = shown.reshape(37, 3, 4, 4, 4, 4)
        return {
            "spy/brightness": float(shown.mean()) * self.spy.scale,
            "spy/reals": float(reals(3990, 4010).shape[-1]),
            "spy/fakes": float(shown.shape[-1]),
            "spy/detail": float(blocks.std(axis=(3, 5)).mean()),
            "other/nothing": float("nan"),
        }

    def facts(self):
        return {"count": 37, "sizes": (16, 16)}


@attrs.frozen
class Failing:
    """Cannot be measured, in the way asked for."""

    how: str = ganlab.parameter("told", help="how")

    def build(self):
        if self.how == "weights":
            raise GanlabError("how: weights.pt: no such file; download it")
        if self.how == "import":
            import no_such_package

        def measure(reals, fakes, *, seed):
            if self.how == "taken":
                return {"spy/brightness": 1.0}
            raise GanlabError("no features") if self.how == "told" else ZeroDivisionError("a fault")

        return measure


@attrs.frozen
class Clash:
    """Has a parameter of a name that is taken."""

    averaged: int = ganlab.parameter(3, help="how many")

    def build(self):
        return lambda reals, fakes, *, seed: {}


@ganlab.hookimpl
def register_metrics(register):
    register("spy", Spy)
    register("failing", Failing)
    register("clash", Clash)
'''
SHORT = ("run.images=160", "schedule.stabilize_images=32", "schedule.fade_images=32")


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plugin") / "spies.py"
    path.write_text(PLUGIN)
    return path


@pytest.fixture(scope="module")
def catalog(plugin: Path) -> Catalog:
    return ganlab.load_plugins([plugin])


def recipe(folder: Path, catalog: Catalog, *overrides: str) -> LoadedRecipe:
    return load_recipe(write_recipe(folder), (*SHORT, *overrides), catalog)


def measured(folder: RunFolder) -> dict[int, dict[str, Any]]:
    """Images shown to what was measured then."""
    lines = [line for line in journal_without_times(folder) if "metric/" in str(line["values"])]
    assert len({line["images_shown"] for line in lines}) == len(lines)
    return {int(str(line["images_shown"])): dict(line["values"]) for line in lines}  # type: ignore[call-overload]  # a dict


def test_measuring_changes_nothing_in_a_training(tmp_path: Path, catalog: Catalog) -> None:
    batch = "generator.normalization=batch"
    metrics = "metrics=[{name='spy', every_images=40}, {name='spy', every_images=40, averaged=false}]"
    with_metrics = train_all(recipe(tmp_path, catalog, batch, metrics), tmp_path / "with")
    without = train_all(recipe(tmp_path, catalog, batch), tmp_path / "without")
    for one, other in zip(checkpoints(with_metrics.checkpoints), checkpoints(without.checkpoints), strict=True):
        assert one.read_bytes() == other.read_bytes()
    lines = [line for line in journal_without_times(with_metrics) if "metric/" not in str(line["values"])]
    assert lines == journal_without_times(without)
    assert len(measured(with_metrics)) == 4


def test_every_level_is_compared_at_full_resolution_with_repeated_pixels(tmp_path: Path, catalog: Catalog) -> None:
    loaded = recipe(tmp_path, catalog, "metrics=[{name='spy', every_images=40}]")
    values = measured(train_all(loaded, tmp_path / "run"))
    assert [it["metric/spy/fakes"] for it in values.values()] == [16.0] * 4
    assert [it["metric/spy/reals"] for it in values.values()] == [16.0] * 4
    detail = {shown: it["metric/spy/detail"] for shown, it in values.items()}
    assert detail[40] < 1e-3 < detail[160], "at 40 images the level is 8x8, hardly faded in; at the end 16x16"


def test_the_averaged_and_the_trained_generator_have_values_of_their_own(tmp_path: Path, catalog: Catalog) -> None:
    metrics = "metrics=['spy', {name='spy', averaged=false}, {name='spy', label='twice', scale=2}]"
    last = measured(train_all(recipe(tmp_path, catalog, metrics), tmp_path / "run"))[160]
    assert last["metric/spy/brightness"] != last["metric/spy/brightness/training"]
    assert last["metric/spy/brightness/twice"] == 2 * last["metric/spy/brightness"]


def test_last_and_best_are_kept_with_what_makes_them_comparable(tmp_path: Path, catalog: Catalog) -> None:
    loaded = recipe(tmp_path, catalog, "metrics=[{name='spy', every_images=40, scale=-1}]")
    folder = train_all(loaded, tmp_path / "run")
    [kept] = json.loads((folder.path / "metrics.json").read_text())["metrics"]
    assert kept["metric"] == {"name": "spy", "scale": -1.0}
    assert (kept["averaged"], kept["seed"]) == (True, 3)
    assert kept["facts"] == {"count": 37, "sizes": [16, 16]}
    digest = folder.info()["data"]["digest"]
    reference = {"name": "pixel-faces", "digest": digest, "resolution": 16, "count": 4000, "mirrored": False}
    assert kept["reference"] == reference
    journal = measured(folder)
    points = {shown: values["metric/spy/brightness"] for shown, values in journal.items()}
    best = max(points, key=lambda shown: points[shown])
    assert kept["values"]["metric/spy/brightness"] == {
        "better": "higher",
        "last": {"images_shown": 160, "value": points[160]},
        "best": {"images_shown": best, "value": points[best]},
    }
    so_far = [max(list(points.values())[: number + 1]) for number in range(len(points))]
    assert [values["best/metric/spy/brightness"] for values in journal.values()] == so_far
    assert kept["values"]["metric/spy/fakes"]["better"] == "lower", "the beginning of a name up to a slash counts"
    nothing = kept["values"]["metric/other/nothing"]
    assert nothing == {"better": "", "last": {"images_shown": 160, "value": "nan"}}
    assert "best/metric/other/nothing" not in journal[160]


@pytest.mark.filterwarnings("always:failing was not measured")
def test_a_metric_that_fails_is_told_of_once_and_the_rest_goes_on(tmp_path: Path, catalog: Catalog) -> None:
    metrics = (
        "metrics=[{name='failing', every_images=40}, {name='failing', how='fault', label='fault', every_images=40},"
        " {name='failing', how='taken', label='x'}, {name='spy', every_images=80}]"
    )
    said: list[str] = []
    loaded = recipe(tmp_path, catalog, metrics)
    with pytest.warns(UserWarning, match="failing/fault was not measured: it raised ZeroDivisionError: a fault") as w:
        assert run(loaded, Choice(tmp_path / "run", "start"), say=said.append) == 0
    told = [line for line in said if "failing was not measured: no features" in line]
    assert len(told) == 2, "at the first interval and, as the last values are missed, at the end"
    assert len([it for it in w if "a fault" in str(it.message)]) == 2
    folder = RunFolder.open(tmp_path / "run")
    assert sorted(measured(folder)) == [80, 160]
    assert measured(folder)[160]["metric/spy/brightness/x"] == 1.0


def test_values_of_one_name_from_two_metrics_are_refused(tmp_path: Path, catalog: Catalog) -> None:
    said: list[str] = []
    loaded = recipe(tmp_path, catalog, "metrics=['spy', {name='failing', how='taken'}]", "run.images=40")
    assert run(loaded, Choice(tmp_path / "run", "start"), say=said.append) == 0
    assert any("its value metric/spy/brightness has the name of one of spy's" in line for line in said)
    assert measured(RunFolder.open(tmp_path / "run"))[40]["metric/spy/brightness"] != 1.0


@pytest.mark.parametrize(
    ("how", "text"),
    [("weights", "how: weights.pt: no such file; download it"), ("import", ": cannot be built: ModuleNotFoundError")],
)
def test_what_a_metric_lacks_is_found_before_the_first_step(tmp_path: Path, plugin: Path, how: str, text: str) -> None:
    path = write_recipe(tmp_path)
    path.write_text(path.read_text() + f'\n[[metrics]]\nname = "failing"\nhow = "{how}"\n')
    done = command("run", path, "--run-dir", tmp_path / "run", "--plugin", plugin)
    assert done.code == 2
    lines = path.read_text().splitlines()
    line = lines.index(f'how = "{how}"' if how == "weights" else "[[metrics]]") + 1
    assert done.err.splitlines()[-1].startswith(f"{path}:{line}: metrics.0")
    assert text in done.err
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


@pytest.mark.parametrize(
    ("metrics", "text"),
    [
        (
            "['spy', 'spy']",
            "metrics.1: its values would have the names of those of metrics.0; give one of them a label",
        ),
        ("['clash']", "this metric has a parameter 'averaged', which is a key of every [[metrics]]"),
        ("[{name='spy', every_images=-1}]", "metrics.0.every_images: expected at least 0, got -1"),
        ("[{name='spy', label='a/b'}]", "metrics.0.label: 'a/b' cannot be part of a value's name"),
        ("[{name='spy', avreaged=false}]", "metrics.0.avreaged: unknown key; did you mean 'averaged'?"),
        ("[{name='spy', metric='spy'}]", "metrics.0.metric: unknown key (allowed: name, scale, every_images, averaged"),
    ],
)
def test_mistakes_in_the_list_are_told_when_it_is_read(
    tmp_path: Path, catalog: Catalog, metrics: str, text: str
) -> None:
    with pytest.raises(RecipeError) as error:
        recipe(tmp_path, catalog, f"metrics={metrics}")
    assert text in str(error.value)


def test_images_that_are_too_small_for_a_metric_are_found_when_the_recipe_is_read(
    tmp_path: Path, catalog: Catalog
) -> None:
    small = ("data.resolution=8", "generator.widths=[8, 8]", "discriminator.widths=[8, 8]")
    for metric in ("swd", "ms-ssim"):
        with pytest.raises(
            RecipeError, match=r"metrics\.0: this metric needs images of 16 pixels or more, and the run's"
        ):
            recipe(tmp_path, catalog, *small, f"metrics=['{metric}']")
    with pytest.raises(RecipeError, match=r"metrics\.0\.resolution: the run's images have 16 pixels; expected at most"):
        recipe(tmp_path, catalog, "metrics=[{name='swd', resolution=32}]")


def test_a_resumed_run_may_measure_more_but_not_the_same_otherwise(tmp_path: Path, catalog: Catalog) -> None:
    first = recipe(tmp_path, catalog, "metrics=[{name='spy', every_images=40}]")
    train_in_pieces(first, tmp_path / "run", [90])
    folder = RunFolder.open(tmp_path / "run")
    folder.set_status("interrupted", 160)
    other = recipe(tmp_path, catalog, "metrics=[{name='spy', every_images=40, scale=3}]")
    with pytest.raises(RunError, match=r"spy has been measured with scale 1.0, not 3.0; undo that, or give it another"):
        run(other, Choice(folder.path, "resume"), say=quiet)
    more = recipe(tmp_path, catalog, "metrics=[{name='spy', every_images=80}, {name='spy', scale=3, label='more'}]")
    assert run(more, Choice(folder.path, "resume"), say=quiet) == 0
    lines = [line["values"] for line in journal_without_times(folder) if line["images_shown"] == 160]
    assert sum("metric/spy/brightness" in values for values in lines) == 1, "it was measured before"  # type: ignore[operator]  # a dict
    assert any("metric/spy/brightness/more" in values for values in lines)  # type: ignore[operator]  # a dict
