"""`ganlab ablate` from a file to a report: what is trained, what failing does, and that beginnings are paired."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
import torch

from ganlab import load_plugins
from ganlab.ablation.plan import plan_ablation
from ganlab.track.folder import RunFolder
from ganlab.train.prepare import prepare

from ..commands import GANLAB, ganlab
from ..train.tiny import quiet
from .processes import ABLATION, ENVIRONMENT, finish, write_ablation


def test_a_dry_run_lists_trials_differences_and_cost_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = write_ablation(tmp_path)
    done = ganlab("ablate", file, "--dry-run", "--seconds", "1")
    assert done.code == 0, done
    assert "discriminator.stddev.averaging: 'all' -> 'flat'" in done.out
    assert done.out.count("not begun") == 4
    assert "left to train: about" in done.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny.toml"]


def test_trials_of_a_seed_begin_with_the_same_weights_where_shapes_allow(tmp_path: Path) -> None:
    text = ABLATION.replace(
        '"discriminator.stddev.averaging" = ["all", "flat"]',
        '"discriminator.stddev" = ["none", { averaging = "all" }, { averaging = "none" }]',
    )
    plan = plan_ablation(write_ablation(tmp_path, text), [], load_plugins())
    states = []
    for number, trial in enumerate(plan.trials):
        folder = RunFolder.create(tmp_path / str(number))
        trainer = prepare(trial.loaded, folder, fresh=True, say=quiet)
        states.append(
            {
                name: value
                for player in ("generator", "discriminator")
                for name, value in getattr(trainer.players, player).state_dict(prefix=f"{player}.").items()
            }
        )
        trainer.feed.close()
    first, *others = states
    for other in others[: len(plan.variants) - 1]:
        shared = [name for name in first if name in other and first[name].shape == other[name].shape]
        assert len(shared) >= len(first) - 1
        assert all(torch.equal(first[name], other[name]) for name in shared)
        assert all(name.startswith("discriminator") for name in first if name not in shared)
    assert not torch.equal(*(next(iter(state.values())) for state in (first, states[len(plan.variants)])))


@pytest.mark.slow
def test_one_failing_trial_stops_no_other_and_is_tried_again(tmp_path: Path) -> None:
    text = ABLATION.replace(
        '"discriminator.stddev.averaging" = ["all", "flat"]', "optimizer.learning_rate = [0.001, 1e30]"
    )
    text = text.replace("seeds = [0, 1]", "seeds = [0]")
    file, folder = write_ablation(tmp_path, text, images=80), tmp_path / "runs"
    output = finish(file, folder, code=1)
    assert "1 of 2 trials are finished" in output
    assert "is not finite" in output
    assert "the same command tries the failed trials again" in output
    assert (folder / "report" / "index.html").exists()
    journals = {path: path.read_bytes() for path in folder.glob("0.001*/metrics.jsonl")}
    assert len(journals) == 1
    again = finish(file, folder, code=1)
    assert again.count(": started") == 1
    assert all(path.read_bytes() == content for path, content in journals.items())


@pytest.mark.slow
def test_an_ablation_goes_on_when_nobody_reads_its_progress(tmp_path: Path) -> None:
    file = write_ablation(tmp_path, ABLATION.replace("seeds = [0, 1]", "seeds = [0]"), images=80)
    reader, writer = os.pipe()
    os.close(reader)  # whoever read it has gone
    words = [GANLAB, "ablate", file, "--dir", tmp_path / "runs"]
    try:
        done = subprocess.run(words, env=ENVIRONMENT, stdout=writer, stderr=writer, check=False, timeout=300)
    finally:
        os.close(writer)
    assert done.returncode == 0
    assert (tmp_path / "runs" / "report" / "index.html").exists()


@pytest.mark.slow
def test_variants_that_come_to_one_recipe_share_one_training(tmp_path: Path) -> None:
    text = """
[[metrics]]
name = "ms-ssim"
pairs = 8
[ablation]
seeds = [0]
decide = ["metric/ms-ssim"]
[[ablation.variant]]
label = "as it is"
[[ablation.variant]]
label = "the same"
set = { loss = "wgan-gp" }
"""
    file, folder = write_ablation(tmp_path, text, images=80), tmp_path / "runs"
    assert "1 of 1 trials are finished" in finish(file, folder)
    facts = json.loads((folder / "ablation.json").read_text())
    assert [trial["variant"] for trial in facts["trials"]] == ["as it is", "the same"]
    assert len({trial["folder"] for trial in facts["trials"]}) == 1


@pytest.mark.slow
def test_six_trials_at_once_on_a_new_store(tmp_path: Path) -> None:
    text = ABLATION.replace("seeds = [0, 1]", "seeds = [0, 1, 2]")
    file = write_ablation(tmp_path, text, images=80, mlflow=True)
    uri = f"sqlite:///{tmp_path}/new.db"
    finish(file, tmp_path / "runs" / "tiny", "--at-once", "6", "--set", f"track.uri={uri}")

    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    experiment = client.get_experiment_by_name("tiny")
    runs = client.search_runs([experiment.experiment_id])
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run not in parents]
    assert (len(parents), len(children)) == (1, 6)
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parents[0].info.run_id}
    tags = {(run.data.tags["ganlab.variant"], run.data.tags["ganlab.seed"]) for run in children}
    assert tags == {(variant, seed) for variant in ("all", "flat") for seed in "012"}
    assert all("metric/ms-ssim" in run.data.metrics for run in children)
    assert {"mean/metric/ms-ssim/all", "sd/metric/ms-ssim/flat"} <= set(parents[0].data.metrics)
    assert {file.path for file in client.list_artifacts(parents[0].info.run_id)} >= {"index.html", "results.csv"}


@pytest.mark.slow
def test_without_a_server_it_ends_well_and_sync_sends_all_of_it(tmp_path: Path) -> None:
    text = ABLATION.replace("seeds = [0, 1]", "seeds = [0]")
    file, folder = write_ablation(tmp_path, text, images=80, mlflow=True), tmp_path / "runs" / "tiny"
    output = finish(file, folder, "--set", "track.uri=http://127.0.0.1:9")
    assert "2 of 2 trials are finished" in output
    assert "`ganlab sync" in output
    uri = f"sqlite:///{tmp_path}/late.db"
    for _ in range(2):  # the second time nothing is new
        done = ganlab("sync", folder, "--uri", uri)
        assert done.code == 0, done

    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    runs = client.search_runs([client.get_experiment_by_name("tiny").experiment_id])
    parent = next(run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    assert [run.data.tags["mlflow.parentRunId"] for run in runs if run is not parent] == [parent.info.run_id] * 2
