"""`results.csv` and `curves.csv`: the numbers themselves, in full precision, each with its journal line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from ganlab.ablation.report.contents import Cell, Contents
from ganlab.ablation.results import Metric, Point, Results

RESULTS = (
    "variant", "seed", "trial", "state", "metric", "better", "counted",
    "last", "images_shown", "line", "best", "best_images_shown", "best_line", "folder",
)  # fmt: skip
CURVES = ("variant", "seed", "name", "images_shown", "value", "folder", "line")


def results_csv(contents: Contents) -> str:
    """A row for each trial and metric; empty cells where there is nothing."""
    rows = [
        _row(table.metric, cell)
        for table in contents.tables + contents.further
        for row in table.rows
        for cell in row.cells
    ]
    return _text(RESULTS, rows)


def _row(metric: Metric, cell: Cell) -> tuple[object, ...]:
    trial, planned = cell.trial, cell.trial.planned
    last, best = trial.last(metric.name), trial.best(metric)
    head = (planned.variant, planned.seed, planned.id, trial.state, metric.name, metric.better, cell.why_not or "yes")
    return (*head, *_point(last), *_point(best), planned.folder)


def _point(point: Point | None) -> tuple[object, ...]:
    return ("", "", "") if point is None else (repr(point.value), point.images_shown, point.line)


def curves_csv(results: Results) -> str:
    """A row for each value of the journals; best values left out, which follow from the others."""
    rows = (
        (trial.planned.variant, trial.planned.seed, name, *_point_of_curve(point), trial.planned.folder, point.line)
        for trial in results.trials
        for name in sorted(trial.curves)
        if not name.startswith("best/")
        for point in trial.curves[name]
    )
    return _text(CURVES, rows)


def _point_of_curve(point: Point) -> tuple[int, str]:
    return point.images_shown, repr(point.value)


def _text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    memory = io.StringIO(newline="")
    writer = csv.writer(memory, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return memory.getvalue()
