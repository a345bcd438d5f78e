"""An ablation's folder knows trials by their id, and refuses what would mix results that cannot be compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from ganlab import load_plugins
from ganlab.ablation.folder import AblationFolder
from ganlab.ablation.plan import AblationPlan, plan_ablation
from ganlab.errors import RunError
from ganlab.track.folder import RunFolder

from .wrong_ablations import HEAD

VARY = "[ablation]\nseeds = [0]\n[ablation.vary.loss]\n"


def planned(folder: Path, text: str, *overrides: str, name: str = "mine") -> AblationPlan:
    file = folder / f"{name}.toml"
    file.write_text(HEAD + VARY + text)
    return plan_ablation(file, overrides, load_plugins())


def finished(plan: AblationPlan, path: Path) -> AblationFolder:
    """The folder of `plan`, its trials finished as far as files tell."""
    folder = AblationFolder(path)
    folder.make()
    folder.write(plan)
    for trial in plan.trials:
        run = RunFolder.create(path / trial.folder)
        run.write_recipe(trial.loaded.toml())
        run.set_status("finished", 64)
    return folder


def test_a_trial_is_found_by_its_id_whatever_its_label_is_now(tmp_path: Path) -> None:
    folder = finished(planned(tmp_path, 'a = "hinge"\nb = "wgan-gp"\n'), tmp_path / "runs")
    again = planned(tmp_path, 'other = "wgan-gp"\nnew = "non-saturating"\nb = "hinge"\n')
    assert [folder.is_finished(trial) for trial in again.trials] == [True, False, True]
    assert folder.name(again.trials[0]).startswith("b-s0-")


def test_another_ablation_and_other_metrics_are_refused(tmp_path: Path) -> None:
    folder = finished(planned(tmp_path, 'a = "hinge"\n'), tmp_path / "runs")
    folder.refuse_other(planned(tmp_path, 'a = "hinge"\n', "metrics.0.every_images=10"))
    folder.refuse_other(planned(tmp_path, 'a = "hinge"\n', 'metrics=["swd", "ms-ssim"]'))
    with pytest.raises(RunError, match="and swd was measured in another way"):
        folder.refuse_other(planned(tmp_path, 'a = "hinge"\n', "metrics.0.count=64"))
    with pytest.raises(RunError, match="holds the ablation mine of mine"):
        folder.refuse_other(planned(tmp_path, 'a = "hinge"\n', name="theirs"))


def test_a_damaged_trial_is_no_reason_to_stop(tmp_path: Path) -> None:
    plan = planned(tmp_path, 'a = "hinge"\nb = "wgan-gp"\n')
    folder = finished(plan, tmp_path / "runs")
    (tmp_path / "runs" / plan.trials[0].folder / "status.json").write_text('{"state": "finis')
    assert [folder.state(trial) for trial in plan.trials] == ["damaged", "finished"]
    folder.refuse_other(plan)
