"""An ablation as it lies on disk: what was asked, and what the journal of every trial says so far.

Reads `ablation.json` and the trials' run folders, wherever they were copied to; changes nothing and asks nobody. A
trial that is unfinished, failed or damaged is one of the results, never a reason to give up.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import attrs
import cattrs

from ganlab.errors import RunError
from ganlab.track import describe, journal
from ganlab.track.folder import RunFolder, read_json

PLAN = "ablation.json"
FORMAT = "ganlab-ablation/1"
WAITING = "waiting"
"""State of a trial that has not begun; the others are those of `RunFolder.status`."""

Read = TypeVar("Read")


@attrs.frozen
class Metric:
    """A value of the journals by which variants are compared."""

    name: str
    """As in the journal, such as `metric/swd/mean`."""
    better: str = ""
    """"lower", "higher" or, where neither is, empty."""


@attrs.frozen
class Variant:
    """One recipe of the ablation."""

    label: str
    values: dict[str, Any] = attrs.field(factory=dict)
    """Recipe key to value, of the axes."""
    against: str = ""
    """Label of the variant that `differences` are told against; empty for the base recipe."""
    differences: list[str] = attrs.field(factory=list)
    published: dict[str, float] = attrs.field(factory=dict)
    """Journal name of a metric to the value somebody published."""
    note: str = ""


@attrs.frozen
class PlannedTrial:
    """A variant with a seed."""

    id: str
    variant: str
    seed: int
    folder: str
    """Name of its run folder beside `ablation.json`."""


@attrs.frozen
class Plan:
    """`ablation.json`."""

    format: str
    name: str
    baseline: str
    metrics: list[Metric]
    seeds: list[int]
    variants: list[Variant]
    trials: list[PlannedTrial]
    question: str = ""
    note: str = ""
    """What experiments of this scale can and cannot say."""
    scale: str = ""
    file: str = ""
    axes: list[str] = attrs.field(factory=list)
    provenance: dict[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Point:
    """One value of a journal."""

    images_shown: int
    value: float
    """May be NaN or infinite."""
    line: int
    """In the journal, counted from 1."""


@attrs.frozen
class Finding:
    """Something that went wrong in a training and has a name, from `findings.json`."""

    name: str
    images_shown: int = 0
    text: str = ""
    remedy: str = ""


@attrs.frozen(slots=False)
class Trial:
    """A trial and what it has measured so far."""

    planned: PlannedTrial
    path: Path
    state: str
    """waiting, running, finished, interrupted or failed."""
    images_shown: int
    message: str
    """Why it failed, or what of it could not be read."""
    curves: Mapping[str, tuple[Point, ...]]
    """Name of a value to its points in the order of the journal."""
    info: Mapping[str, Any]
    """`run.json`."""
    settings: Mapping[str, str]
    """Key path to value of the resolved recipe."""
    findings: tuple[Finding, ...]
    grids: tuple[int, ...]
    """Images shown of every sample grid, ascending."""

    @property
    def finished(self) -> bool:
        """Whether it counts."""
        return self.state == "finished"

    def source(self, point: Point) -> str:
        """Where a value stands: `<folder>/metrics.jsonl:<line>`."""
        return f"{self.planned.folder}/{journal.JOURNAL}:{point.line}"

    def last(self, name: str) -> Point | None:
        """The latest value, be it finite or not."""
        points = self.curves.get(name)
        return points[-1] if points else None

    def best(self, metric: Metric) -> Point | None:
        """The first of the best finite values; None for a metric without a direction."""
        points = [point for point in self.curves.get(metric.name, ()) if math.isfinite(point.value)]
        if not points or metric.better not in ("lower", "higher"):
            return None
        return (min if metric.better == "lower" else max)(points, key=lambda point: point.value)


@attrs.frozen
class Results:
    """Everything a report is made of."""

    folder: Path
    plan: Plan
    trials: tuple[Trial, ...]

    def of(self, variant: Variant) -> list[Trial]:
        """A variant's trials, by seed."""
        return sorted((t for t in self.trials if t.planned.variant == variant.label), key=lambda t: t.planned.seed)

    @property
    def baseline(self) -> Variant:
        """What the others are compared with."""
        return next(variant for variant in self.plan.variants if variant.label == self.plan.baseline)

    def names(self) -> list[str]:
        """Every value that some journal has, sorted; best values left out, which follow from the others."""
        return sorted({name for trial in self.trials for name in trial.curves if not name.startswith("best/")})


def read_results(folder: Path) -> Results:
    """The ablation in `folder`. Raises `RunError` where there is none, or its `ablation.json` is damaged."""
    plan = read_plan(folder)
    return Results(folder, plan, tuple(_read_trial(folder, planned) for planned in plan.trials))


def read_plan(folder: Path) -> Plan:
    """`ablation.json`. Raises `RunError` as `read_results` does."""
    path = folder / PLAN
    content = read_json(path)
    if not content:
        raise RunError(f"{folder} is no folder of an ablation: it has no {PLAN}")
    if content.get("format") != FORMAT:
        raise RunError(
            f"{path}: the format is {content.get('format')!r}, and this ganlab reads {FORMAT}; update ganlab"
        )
    try:
        plan = cattrs.Converter().structure(content, Plan)
    except (cattrs.BaseValidationError, ValueError, TypeError, KeyError) as error:
        reason = "; ".join(cattrs.transform_error(error)) if isinstance(error, cattrs.BaseValidationError) else error
        raise RunError(f"{path}: the file is damaged: {reason}; run the ablation again to have it written") from error
    labels = {variant.label for variant in plan.variants}
    if unknown := ({plan.baseline} | {trial.variant for trial in plan.trials}) - labels:
        raise RunError(f"{path}: the file is damaged: there is no variant {min(unknown)!r}; run the ablation again")
    if not plan.metrics:
        raise RunError(f"{path}: the file is damaged: it names no metric to compare by; run the ablation again")
    return plan


def _read_trial(folder: Path, planned: PlannedTrial) -> Trial:
    run = RunFolder(folder / planned.folder)
    problems: list[str] = []

    def tried(read: Callable[[], Read]) -> Read | None:
        try:
            return read()
        except (RunError, OSError) as error:
            problems.append(str(error))
            return None

    status = tried(run.status)
    entries = tried(lambda: journal.read(run.path)) or []
    state = status.state if status else "failed" if problems else WAITING
    if state == "running" and tried(lambda: _was_killed(run)):
        state = "interrupted"
    curves: dict[str, list[Point]] = {}
    for line, entry in enumerate(entries, start=1):
        for name, value in entry.values.items():
            curves.setdefault(name, []).append(Point(entry.images_shown, value, line))
    info = tried(run.info) or {}
    settings = (tried(lambda: describe.parameters(run.recipe())) if RunFolder.holds_run(run) else None) or {}
    findings = tried(lambda: _read_findings(run.path / "findings.json")) or ()
    grids = tuple(tried(run.sample_steps) or ())
    said = [status.message] if status and status.message else []
    return Trial(
        planned=planned,
        path=run.path,
        state=state,
        images_shown=status.images_shown if status else 0,
        message="; ".join(said + problems),
        curves={name: tuple(points) for name, points in curves.items()},
        info=info,
        settings=settings,
        findings=findings,
        grids=grids,
    )


def _was_killed(run: RunFolder) -> bool:
    """Whether nobody is training a run that says it is running. A folder that was copied has no lock: nobody is."""
    return not (run.path / ".lock").exists() or not run.is_in_use()


def _read_findings(path: Path) -> tuple[Finding, ...]:
    """Raises `RunError` for a file that holds anything else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return tuple(cattrs.Converter().structure(content, list[Finding]))
    except FileNotFoundError:
        return ()
    except (ValueError, TypeError, cattrs.BaseValidationError) as error:
        raise RunError(f"{path}: the file is damaged") from error
