"""What MLflow is told of an ablation: the parent run before its trials, and its results after them.

As with runs, a dead server costs the ablation nothing but a line; `ganlab sync DIR` sends it all later.
"""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ganlab.ablation.results import Plan, Results, read_plan, read_results
from ganlab.errors import GanlabError
from ganlab.recipe.tracking import of_recipe
from ganlab.track import sent, store
from ganlab.track.folder import RunFolder, State

if TYPE_CHECKING:
    from ganlab.ablation.plan import AblationPlan
    from ganlab.plugins import Catalog

Say = Callable[[str], None]
PARENT = "mlflow.parentRunId"
"""MLflow's own tag: its page shows a run that has it under the run of that id."""


def tags_of(plan: AblationPlan, variant: str, seed: int, trial: str) -> dict[str, str]:
    """A trial's tags: MLflow's page groups and compares by them."""
    values = next(planned.values for planned in plan.variants if planned.label == variant)
    return {
        "ganlab.ablation": plan.name,
        "ganlab.variant": variant,
        "ganlab.baseline": str(variant == plan.baseline).lower(),
        "ganlab.trial": trial,
        "ganlab.scale": plan.scale or "full",
        **{f"ganlab.vary.{axis}": label for axis, label in values.items()},
    }


def experiment_of(plan: AblationPlan) -> str:
    """The experiment of parent and children."""
    named = plan.trials[0].loaded.recipe.track.experiment
    return named or os.environ.get("MLFLOW_EXPERIMENT_NAME") or plan.name


def begin(folder: Path, experiment: str, uri: str, say: Say) -> str | None:
    """Make the parent run, and the store if need be; None, and said so, where MLflow cannot be reached."""
    from ganlab.track.mlflow.parent import Parent

    try:
        return Parent(folder, experiment, uri).begin(_parent_tags(read_plan(folder), folder))
    except Exception as error:  # whatever MLflow lets through must not stop the trials
        say(f"{_reason(uri, error)}; the trials go on, and `ganlab sync {folder}` sends the rest later")
        return None


def _parent_tags(plan: Plan, folder: Path) -> dict[str, str]:
    """All there is to say of an ablation; tags and no parameters, as seeds and variants may be added."""
    rows = [f"* **{variant.label}**: {', '.join(variant.differences) or 'as the base'}" for variant in plan.variants]
    note = "\n\n".join([text for text in (plan.question, plan.note) if text] + ["\n".join(rows)])
    tags = {
        "ganlab.ablation": plan.name,
        "ganlab.question": plan.question,
        "ganlab.scale": plan.scale or "full",
        "ganlab.seeds": ", ".join(map(str, plan.seeds)),
        "ganlab.variants": ", ".join(variant.label for variant in plan.variants),
        "ganlab.baseline": plan.baseline,
        "ganlab.decide": ", ".join(metric.name for metric in plan.metrics),
        "ganlab.run_dir": str(folder),
        "mlflow.note.content": note,
        "mlflow.source.name": f"ganlab ablate {plan.file}",
        "mlflow.source.type": "LOCAL",
    }
    return {name: value[:5000] for name, value in tags.items() if value}


def send_rest(trials: Sequence[RunFolder], uri: str, catalog: Catalog, say: Say) -> None:
    """Send what trials could not while they ran: many processes at once are slow, and none waits for MLflow long."""
    from ganlab.track.mlflow.delivery import Delivery
    from ganlab.track.mlflow.mirror import sending
    from ganlab.train.export import load_generator

    for folder in trials:
        status, known = folder.status(), sent.load(folder.path, uri)
        if status is None or status.state == "running" or (known is not None and known.state == status.state):
            continue
        with sending(folder).acquire(timeout=10):
            make = partial(load_generator, catalog=catalog)
            Delivery(folder, of_recipe(folder.recipe()), uri, make, say=say).deliver(with_model=True)


def send_report(folder: Path, uri: str, experiment: str | None) -> Path:
    """Write the report and send it, making the parent run and its children's tags if need be; returns its folder.

    Raises what MLflow raises, or `GanlabError`; the report is written first.
    """
    from ganlab.ablation.report import write_report
    from ganlab.track.mlflow.parent import Parent

    report = write_report(folder)
    results = read_results(folder)
    parent = Parent(folder, experiment or results.plan.name, uri)
    parent.begin(_parent_tags(results.plan, folder))
    parent.adopt([RunFolder(trial.path) for trial in results.trials if RunFolder.holds_run(trial.path)])
    states = [trial.state for trial in results.trials]
    state: State = "finished" if set(states) == {"finished"} else "failed" if "failed" in states else "interrupted"
    parent.end(state, _means(results), [path for path in sorted(report.iterdir()) if path.is_file()])
    return report


def _means(results: Results) -> dict[str, float]:
    """`mean/<metric>/<variant>` and `sd/...` over the finished trials, for charts of the parent run."""
    values = {}
    for metric in results.plan.metrics:
        for variant in results.plan.variants:
            last = [trial.last(metric.name) for trial in results.of(variant) if trial.finished]
            numbers = [point.value for point in last if point is not None and math.isfinite(point.value)]
            if numbers:
                values[f"mean/{metric.name}/{variant.label}"] = statistics.mean(numbers)
            if len(numbers) > 1:
                values[f"sd/{metric.name}/{variant.label}"] = statistics.stdev(numbers)
    return values


def _reason(uri: str, error: Exception) -> str:
    text = store.reason(error)
    return text if isinstance(error, GanlabError) else f"MLflow at {store.without_password(uri)}: {text}"
