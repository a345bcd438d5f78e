"""The folder of an ablation, `runs/<name>/`: what was planned, and a run folder for every trial. It is the truth.

ablation.json           question, variants, seeds, trials: all that a report needs beside the trials' journals
<variant>-s<seed>-<id>/ the run folder of each trial
recipes/<trial>.toml    the resolved recipe that each trial was started with
logs/<trial>.log        what it printed
report/                 the page, the same as Markdown, and tables
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import filelock

from ganlab.ablation.plan import AblationPlan, PlannedVariant, Trial
from ganlab.errors import RunError
from ganlab.track.files import naming, write_atomically
from ganlab.track.folder import RunFolder, git_commit, read_json

FORMAT = "ganlab-ablation/1"
FILE = "ablation.json"


class AblationFolder:
    """A folder in which the trials of one ablation are trained."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        self._lock = filelock.FileLock(self.path / ".lock", thread_local=False)

    @staticmethod
    def holds_ablation(path: str | os.PathLike[str]) -> bool:
        """Whether an ablation was ever started in `path`."""
        return (Path(path) / FILE).is_file()

    def make(self) -> None:
        """Make the folder. Raises `RunError` where it cannot be one."""
        if RunFolder.holds_run(self.path):
            raise RunError(f"{self.path} holds a run; give the ablation another folder with --dir")
        for part in (self.path, self.path / "recipes", self.path / "logs"):
            with naming(part):
                part.mkdir(parents=True, exist_ok=True)

    def lock(self) -> AbstractContextManager[object]:
        """Take the folder for this process. Raises `RunError` while another one carries out the ablation."""
        try:
            return self._lock.acquire(timeout=5, poll_interval=0.1)
        except filelock.Timeout as error:
            raise RunError(f"another process carries out the ablation in {self.path}; wait for it") from error
        except OSError as error:
            raise RunError(f"cannot lock {self.path}: {error.strerror or error}") from error

    def name(self, trial: Trial) -> str:
        """Name of a trial's run folder: one of its id that is there, whatever its label was, else a new one."""
        there = sorted(self.path.glob(f"*-s{trial.seed}-{trial.id}"))
        return there[0].name if there else trial.folder

    def trial(self, trial: Trial) -> RunFolder:
        """The run folder of a trial, whether it was begun or not."""
        return RunFolder(self.path / self.name(trial))

    def recipe_path(self, trial: Trial) -> Path:
        """The resolved recipe that a trial is started with."""
        return self.path / "recipes" / f"{self.name(trial)}.toml"

    def log_path(self, trial: Trial) -> Path:
        """What a trial printed."""
        return self.path / "logs" / f"{self.name(trial)}.log"

    def state(self, trial: Trial) -> str:
        """running, finished, interrupted or failed; "not begun", or "damaged" where its folder cannot be read."""
        try:
            status = self.trial(trial).status()
        except RunError:
            return "damaged"
        return "not begun" if status is None else status.state

    def is_finished(self, trial: Trial) -> bool:
        """Whether a trial was trained to its end."""
        return self.state(trial) == "finished"

    def refuse_other(self, plan: AblationPlan) -> None:
        """Raise `RunError` if another ablation was begun in the folder, or trials were measured in another way."""
        try:
            before = read_json(self.path / FILE)
        except RunError:  # it is written anew
            before = {}
        theirs, ours = (str(before.get("name")), Path(str(before.get("file"))).name), (plan.name, plan.file.name)
        if before and theirs != ours:
            raise RunError(f"{self.path} holds the ablation {theirs[0]} of {theirs[1]}; give another folder with --dir")
        for trial in same_recipe(plan.trials).values():
            if self.is_finished(trial) and (changed := _measured_otherwise(self.trial(trial), trial)):
                text = (
                    f"{self.name(trial)} is finished, and {changed} was measured in another way than is asked for now"
                )
                raise RunError(f"{text}; undo that, give the metric a `label`, or give another folder with --dir")

    def write(self, plan: AblationPlan) -> None:
        """Keep what is planned, for reports."""
        before, shared = self._before(), same_recipe(plan.trials)
        provenance = {
            "ganlab": version("ganlab"),
            "torch": version("torch"),
            "python": platform.python_version(),
            "git_commit": git_commit(),
            "started": before.get("started") or datetime.now(UTC).isoformat(timespec="seconds"),
            "executor": plan.executor_table,
        }
        facts = {
            "format": FORMAT,
            "name": plan.name,
            "question": plan.table.question,
            "note": plan.table.note,
            "scale": plan.scale,
            "file": str(plan.file),
            "baseline": plan.baseline,
            "metrics": [{"name": name, "better": better(plan, name)} for name in plan.table.decide],
            "axes": list(plan.variants[0].values),
            "seeds": list(plan.table.seeds),
            "variants": [_variant(variant) for variant in plan.variants],
            "trials": [
                {"id": trial.id, "variant": trial.variant, "seed": trial.seed, "folder": self.name(shared[trial.id])}
                for trial in plan.trials
            ],
            "provenance": provenance,
        }
        write_atomically(self.path / FILE, json.dumps(facts, indent=2, ensure_ascii=False, default=str) + "\n")

    def _before(self) -> Mapping[str, Any]:
        try:
            provenance = read_json(self.path / FILE).get("provenance", {})
        except RunError:  # it is written anew, whatever it was
            return {}
        return provenance if isinstance(provenance, dict) else {}


def same_recipe(trials: Sequence[Trial]) -> dict[str, Trial]:
    """Trials by id, each once: variants that come to the same recipe share one, and it is trained once."""
    shared: dict[str, Trial] = {}
    for trial in trials:
        shared.setdefault(trial.id, trial)
    return shared


def better(plan: AblationPlan, name: str) -> str:
    """Whether lower or higher values of a metric are better, from the recipe's metrics; empty if neither is known."""
    wanted = name.removeprefix("best/").removeprefix("metric/")
    for entry in plan.trials[0].loaded.recipe.metrics:
        metric = getattr(entry, "metric", entry)
        for known, direction in getattr(type(metric), "better", {}).items():
            if wanted == known or wanted.startswith(f"{known}/"):
                return str(direction)
    return ""


def _variant(variant: PlannedVariant) -> dict[str, Any]:
    return {
        "label": variant.label,
        "values": dict(variant.values),
        "against": variant.against,
        "differences": list(variant.differences),
        "published": dict(variant.published),
        "note": variant.note,
    }


def _measured_otherwise(folder: RunFolder, trial: Trial) -> str:
    """The metric that a finished trial was measured by with other parameters; empty if there is none."""
    before = _definitions(folder.recipe().get("metrics", []))
    now = _definitions(trial.loaded.plain()["metrics"])
    return next((metric[0] for metric in now if metric in before and before[metric] != now[metric]), "")


def _definitions(tables: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Metric and label to what decides its values."""
    return {
        (str(table["name"]), str(table.get("label", table.get("averaged", True)))): {
            key: value for key, value in table.items() if key != "every_images"
        }
        for table in tables
    }
