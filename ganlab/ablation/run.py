"""Carries out an ablation: trials that are not finished become jobs of an executor, and the rest is left as it is.

The folders are all the state there is. A trial that is finished is never trained again, one that was interrupted or
killed goes on from its checkpoint, and one that failed is tried again when the command is given again.
"""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import attrs
import tomli_w

from ganlab.ablation import mirror
from ganlab.ablation.folder import AblationFolder, same_recipe
from ganlab.ablation.plan import AblationPlan, Trial
from ganlab.ablation.report import write_report
from ganlab.ablation.results import read_results
from ganlab.interfaces import Job
from ganlab.track import store
from ganlab.track.files import write_atomically
from ganlab.track.folder import RunFolder

Say = Callable[[str], None]
MLFLOW_URI = "MLFLOW_TRACKING_URI"
SAVED = (130, 143, -signal.SIGINT, -signal.SIGTERM)
"""Exit codes of a trial that was asked to end; without -, it has saved."""


class Watcher(Protocol):
    """Told what becomes of the trials."""

    def started(self, trial: Trial) -> None: ...
    def ended(self, trial: Trial, state: Literal["finished", "stopped", "failed"], problem: str) -> None: ...


@attrs.frozen
class Outcome:
    """How the trials stand in the end."""

    finished: Sequence[Trial]
    failed: Mapping[str, str]
    """Folder of a trial to what went wrong."""
    left: Sequence[Trial]
    """Those that were stopped or not begun."""


def carry_out(
    plan: AblationPlan,
    folder: AblationFolder,
    *,
    plugin_files: Sequence[Path],
    ranks: int,
    gpus: bool,
    stop: Callable[[], int],
    watcher: Watcher,
    say: Say,
) -> Outcome:
    """Train every trial that is not finished. Raises `GanlabError` where none can be begun.

    `gpus` says whether each rank of a trial needs a GPU of its own; `stop` returns the number of a signal once one
    asked for the end.
    """
    executor = plan.executor.build()
    folder.make()
    with folder.lock():
        folder.refuse_other(plan)
        folder.write(plan)
        trials = same_recipe(plan.trials)
        todo = [trial for trial in trials.values() if not folder.is_finished(trial)]
        uri = mlflow_uri(plan)
        parent = mirror.begin(folder.path, mirror.experiment_of(plan), uri, say) if uri and todo else None
        jobs = []
        for trial in todo:
            write_atomically(folder.recipe_path(trial), recipe_text(plan, trial, parent))
            jobs.append(_job(trial, folder, plugin_files, ranks, gpus, uri))
        by_name = {job.name: trial for job, trial in zip(jobs, todo, strict=True)}
        said_before = {job.name: _size(Path(job.log)) for job in jobs}
        failed: dict[str, str] = {}

        def ended(job: Job, code: int) -> None:
            problem = "" if code == 0 else _problem(Path(job.log), said_before[job.name], code)
            stopped = bool(stop()) and code in SAVED
            if problem and not stopped:
                failed[job.name] = problem
            watcher.ended(by_name[job.name], "stopped" if stopped else "failed" if problem else "finished", problem)

        if jobs:
            executor.run(jobs, started=lambda job: watcher.started(by_name[job.name]), ended=ended, stop=stop)
        finished = [trial for trial in trials.values() if folder.is_finished(trial)]
        left = [trial for trial in trials.values() if trial not in finished and folder.name(trial) not in failed]
        return Outcome(finished, failed, left)


def conclude(plan: AblationPlan, folder: AblationFolder, say: Say) -> Path:
    """Write the report and bring MLflow up to date with all of it; returns the report's folder."""
    uri = mlflow_uri(plan)
    if not uri:
        return write_report(folder.path)
    begun = [
        folder.trial(trial)
        for trial in same_recipe(plan.trials).values()
        if folder.state(trial) not in ("not begun", "damaged")
    ]
    try:
        mirror.send_rest(begun, uri, plan.trials[0].loaded.catalog, say)
        return mirror.send_report(folder.path, uri, mirror.experiment_of(plan))
    except Exception as error:  # whatever MLflow lets through
        say(f"{store.reason(error)}; `ganlab sync {folder.path}` sends the rest later")
        return write_report(folder.path)


def unmeasured(plan: AblationPlan, folder: AblationFolder) -> list[str]:
    """The command for each finished trial that lacks a value to decide by: it was asked for only afterwards."""
    results = read_results(folder.path)
    metrics = {trial.id: trial.loaded.plain()["metrics"] for trial in plan.trials}
    commands = {}
    for trial in results.trials:
        lacking = [metric.name for metric in results.plan.metrics if trial.finished and trial.last(metric.name) is None]
        if lacking:
            kept = RunFolder(trial.path).recipe().get("metrics", [])
            wanted = [table for table in metrics[trial.planned.id] if table not in kept]
            options = [word for table in wanted for word in ("--metric", _inline(table))]
            commands[trial.planned.folder] = shlex.join(["ganlab", "evaluate", str(trial.path), *options])
    return list(commands.values())


def _inline(table: Mapping[str, Any]) -> str:
    """A table of scalars and tables of them as TOML on one line."""
    return (
        tomli_w.dumps({"it": [dict(table)]}).removeprefix("it = [").strip().removesuffix("]").strip().removesuffix(",")
    )


def mlflow_uri(plan: AblationPlan) -> str:
    """The store of all the trials, empty where the recipe wants none."""
    track = plan.trials[0].loaded.recipe.track
    return store.resolve_uri(track.uri) if track.mlflow else ""


def recipe_text(plan: AblationPlan, trial: Trial, parent: str | None) -> str:
    """The resolved recipe of a trial, with the tags by which MLflow finds it among the others."""
    recipe = trial.loaded.recipe
    tags = {**recipe.track.tags, **mirror.tags_of(plan, trial.variant, trial.seed, trial.id)}
    if parent is not None:
        tags[mirror.PARENT] = parent
    track = attrs.evolve(recipe.track, tags=tags, experiment=mirror.experiment_of(plan))
    return attrs.evolve(trial.loaded, recipe=attrs.evolve(recipe, track=track)).toml()


def _job(trial: Trial, folder: AblationFolder, plugin_files: Sequence[Path], ranks: int, gpus: bool, uri: str) -> Job:
    run_dir = str(folder.trial(trial).path)
    words = ["run", str(folder.recipe_path(trial)), "--run-dir", run_dir, "--resume"]
    words += ["--ranks", str(ranks)] if ranks > 1 else []
    words += [word for file in plugin_files for word in ("--plugin", str(file.expanduser().resolve()))]
    track = trial.loaded.recipe.track
    return Job(
        name=folder.name(trial),
        command=(sys.executable, "-m", "ganlab", *words),
        log=str(folder.log_path(trial)),
        threads=trial.loaded.recipe.run.threads * ranks,
        gpus=ranks if gpus else 0,
        # A worker elsewhere has another working folder, where it would make a store of its own.
        environment={MLFLOW_URI: uri} if uri and track.uri is None else {},
    )


def _problem(log: Path, said_before: int, code: int) -> str:
    """Why a trial's process did not end well: the last line that it said this time."""
    try:
        said = log.read_bytes()[said_before:].decode(errors="replace")
    except OSError as error:
        said = str(error)
    lines = [line for line in said.splitlines() if line.strip()]
    ending = f"ended by signal {-code}" if code < 0 else f"exit code {code}"
    return f"{ending}: {lines[-1] if lines else 'nothing was said'} (log: {log})"


def _size(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0
