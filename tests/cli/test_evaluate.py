"""`ganlab evaluate`: what training would have measured at its end, afterwards."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest

from ganlab.track.folder import RunFolder

from ..commands import ganlab
from ..train.tiny import journal_without_times, tiny, train_all

SHORT = ("run.images=120", "schedule.stabilize_images=16", "schedule.fade_images=16")
SWD = "{name='swd', count=32, patches_per_image=8}"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run without metrics, and beside it the same with them."""
    home = tmp_path_factory.mktemp("runs")
    train_all(tiny(home, *SHORT), home / "run")
    train_all(tiny(home, *SHORT, f"metrics=[{SWD}, {{name='ms-ssim', pairs=16}}]"), home / "measured")
    return home


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained / "run", tmp_path / "run"))


def values(folder: Path) -> list[dict[str, float]]:
    """Of every line of the journal."""
    return [cast("dict[str, float]", line["values"]) for line in journal_without_times(RunFolder(folder))]


def last_values(folder: Path) -> dict[str, float]:
    return values(folder)[-1]


def test_the_values_are_those_of_the_end_of_training_byte_for_byte(trained: Path, run: Path) -> None:
    done = ganlab("evaluate", run, "--metric", SWD, "--metric", "ms-ssim", "--set", "ms-ssim.pairs=16")
    assert done.code == 0, done.err
    wanted = last_values(trained / "measured")
    assert {name for name in wanted if name.startswith("metric/")} == {
        "metric/swd/16", "metric/swd/mean", "metric/ms-ssim"}  # fmt: skip
    assert {**values(run)[-2], **values(run)[-1]} == wanted
    assert (run / "metrics.json").read_bytes() == (trained / "measured" / "metrics.json").read_bytes()
    assert f"{wanted['metric/swd/mean']:.4g}" in done.out


def test_measuring_again_gives_the_same_and_writes_nothing_twice(run: Path) -> None:
    words = ("evaluate", run, "--metric", SWD, "--json")
    once = ganlab(*words)
    before = [(run / name).read_bytes() for name in ("metrics.jsonl", "metrics.json")]
    again = ganlab(*words)
    assert once.code == again.code == 0
    assert json.loads(once.out) == json.loads(again.out)
    assert [(run / name).read_bytes() for name in ("metrics.jsonl", "metrics.json")] == before
    told = json.loads(once.out)
    assert (told["run"], told["images_shown"]) == (str(run), 120)
    assert told["metrics"][0]["measured"]["metric/swd/mean"] == last_values(run)["metric/swd/mean"]


def test_without_a_metric_those_of_the_recipe_are_measured(trained: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(trained / "measured", tmp_path / "run"))
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    results = (run / "metrics.json").read_bytes()
    (run / "metrics.jsonl").write_text("".join(lines[:-1]))
    (run / "metrics.json").unlink()
    assert ganlab("evaluate", run).code == 0
    assert (run / "metrics.json").read_bytes() == results


def test_a_name_means_the_recipe_s_entry_of_that_metric(trained: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(trained / "measured", tmp_path / "run"))
    done = ganlab("evaluate", run, "--metric", "swd", "--json")
    assert done.code == 0, done.err
    [told] = json.loads(done.out)["metrics"]
    assert told["metric"]["count"] == 32, "the recipe's, not the default"
    assert told["measured"]["metric/swd/mean"] == last_values(trained / "measured")["metric/swd/mean"]
    done = ganlab("evaluate", run, "--metric", "swd", "--set", "swd.count=16")
    assert done.code == 2
    assert done.err.endswith(": --set swd.count=32 or --set swd.label=NAME\n")
    assert ganlab("evaluate", run, "--metric", "swd", "--set", "swd.count=16", "--set", "swd.label=few").code == 0
    assert set(last_values(run)) >= {"metric/swd/mean/few"}


def test_a_name_means_none_of_several_entries(run: Path) -> None:
    folder = RunFolder(run)
    tables = "".join(f'\n[[metrics]]\nname = "swd"\nlabel = "{label}"\ncount = 3\n' for label in "ab")
    folder.write_recipe((run / "recipe.toml").read_text().replace("metrics = []", "") + tables)
    done = ganlab("evaluate", run, "--metric", "swd", "--set", "swd.count=16", "--set", "swd.patches_per_image=8")
    assert done.code == 0, done.err
    assert "metric/swd/mean" in last_values(run), "without a label, so from the defaults"


def test_one_metric_measured_in_two_ways_needs_two_names(run: Path) -> None:
    assert ganlab("evaluate", run, "--metric", SWD).code == 0
    done = ganlab("evaluate", run, "--metric", "swd", "--set", "swd.count=16", "--set", "swd.patches_per_image=8")
    assert done.code == 2
    assert "swd has been measured with count 32, not 16; undo that, or give it another `label`" in done.err
    assert done.err.endswith(": --set swd.count=32 or --set swd.label=NAME\n")
    assert "metrics.0" not in done.err, "nobody wrote that"
    sets = ("--set", "0.count=16", "--set", "0.patches_per_image=8", "--set", "swd.label=few")
    assert ganlab("evaluate", run, "--metric", "swd", *sets).code == 0
    assert set(last_values(run)) >= {"metric/swd/mean/few", "best/metric/swd/mean/few"}
    kept = json.loads((run / "metrics.json").read_text())["metrics"]
    assert [(entry["label"], entry["metric"]["count"]) for entry in kept] == [("", 32), ("few", 16)]


def test_a_run_that_was_stopped_is_measured_where_its_generator_stands_and_goes_on_as_if_not(
    trained: Path, run: Path, tmp_path: Path
) -> None:
    from ganlab.train.choose import Choice
    from ganlab.train.run import run as train

    loaded = tiny(tmp_path, *SHORT, f"metrics=[{SWD}, {{name='ms-ssim', pairs=16}}]")
    stopped = tmp_path / "stopped"
    shutil.copytree(trained / "measured", stopped)
    (stopped / "checkpoints").joinpath(max(path.name for path in (stopped / "checkpoints").iterdir())).unlink()
    RunFolder(stopped).set_status("failed", 120)
    (stopped / "generator.safetensors").unlink()
    assert ganlab("evaluate", stopped).err.startswith(f"{stopped} has no generator yet")
    assert train(loaded, Choice(stopped, "resume"), say=lambda text: None) == 0
    RunFolder(stopped).set_status("interrupted", 120)
    assert ganlab("evaluate", stopped).code == 0
    assert journal_without_times(RunFolder(stopped)) == journal_without_times(RunFolder(trained / "measured"))


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--metric", "sdw"), "--metric sdw: unknown metric 'sdw'; did you mean 'swd'?"),
        (
            ("--metric", "swd", "--set", "swd.cuont=3"),
            "--set swd.cuont=3: metrics.0.cuont: unknown key; did you mean 'c",
        ),
        (
            ("--metric", "{name='swd', cuont=3}"),
            "--metric {name='swd', cuont=3}: cuont: unknown key; did you mean 'count'",
        ),
        (("--metric", "{name=swd}"), "--metric {name=swd}: not valid TOML; write a name, or a table such as"),
        ((), "its recipe has no [[metrics]]; say what to measure, such as --metric swd"),
        (
            ("--metric", "swd", "--set", "loss.gp_weight=5"),
            "holds a run of another recipe: loss.gp_weight: 10.0 -> 5.0",
        ),
        (("--metric", "{name='swd', averaged=false}"), "nothing is left to measure"),
        (
            ("--metric", "{name='swd', label='a'}", "--metric", "swd", "--set", "swd.count=3"),
            "write 0.count=3 or 1.coun",
        ),
    ],
)
def test_a_mistake_is_one_line(run: Path, words: tuple[str, ...], text: str) -> None:
    before = (run / "metrics.jsonl").read_bytes()
    done = ganlab("evaluate", run, *words)
    assert (done.code, done.out) == (2, "")
    assert text in done.err.splitlines()[-1]
    assert (run / "metrics.jsonl").read_bytes() == before
    assert not (run / "metrics.json").exists()


def test_what_is_no_run_and_what_is_running_cannot_be_measured(run: Path, tmp_path: Path) -> None:
    assert (
        ganlab("evaluate", tmp_path / "nowhere").err.strip().endswith("nowhere is no run folder: it has no recipe.toml")
    )
    with RunFolder(run).lock():
        done = ganlab("evaluate", run, "--metric", "swd")
    assert done.code == 2
    assert done.err.strip() == f"{run} is in use: its training is running; evaluate it when it has ended"


def test_changed_data_is_refused(run: Path) -> None:
    folder = RunFolder(run)
    folder.write_info({**folder.info(), "data": {**folder.info()["data"], "digest": "0" * 64}})
    done = ganlab("evaluate", run, "--metric", "swd")
    assert done.code == 2
    assert "the data set has changed since this run began" in done.err


@pytest.mark.slow
def test_a_mirrored_run_has_it_in_mlflow_too(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = run / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("mlflow = false", "mlflow = true\nlog_model = false\nexperiment = 'x'")
                      .replace("log_model = true\n", ""))  # fmt: skip
    assert ganlab("evaluate", run, "--metric", SWD).code == 0
    assert not (tmp_path / "mlflow.db").exists(), "MLflow has never had this run"
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    assert ganlab("sync", run, "--uri", uri).code == 0
    done = ganlab("evaluate", run, "--metric", "ms-ssim", "--set", "ms-ssim.pairs=16")
    assert done.code == 0, done.err
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as store:
        sent = dict(store.execute("select key, value from latest_metrics where key like 'metric/%'"))
    kept = json.loads((run / "metrics.json").read_text())["metrics"]
    assert sent == {name: it["last"]["value"] for entry in kept for name, it in entry["values"].items()}
    [artifact] = (tmp_path / "mlruns").rglob("metrics.json")
    assert artifact.read_bytes() == (run / "metrics.json").read_bytes()
