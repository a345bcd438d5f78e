"""What a report says, before it has a form: tables of figures, each of which knows the journal lines it comes from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from ganlab.ablation.results import Metric, Point, Results, Trial, Variant
from ganlab.ablation.statistics import Comparison, Verdict, compare, holm, judge, summarize

NO_TRIAL = Verdict("no finished trial", "unknown")


@attrs.frozen
class Figure:
    """A number of the report."""

    value: float
    of: str
    """What was done with the values of the lines: last, best, mean, standard deviation, difference, ..."""
    metric: str
    sources: tuple[str, ...]
    """Journal lines it is worked out from, `<folder>/metrics.jsonl:<line>`, by seed."""
    baseline: tuple[str, ...] = ()
    """For differences, the baseline's lines, of the same seeds in the same order."""


@attrs.frozen
class Cell:
    """What one trial says of one metric."""

    trial: Trial
    last: Figure | None
    best: Figure | None
    images_shown: int
    """When the last was measured."""
    why_not: str
    """Why the last is not in the means; empty if it is."""


@attrs.frozen
class Row:
    """A variant by one metric."""

    variant: Variant
    cells: tuple[Cell, ...]
    mean: Figure | None
    deviation: Figure | None
    best_mean: Figure | None
    comparison: Comparison | None
    """With the baseline; None for the baseline itself."""
    pairs: tuple[tuple[str, ...], tuple[str, ...]]
    """Journal lines of the variant and of the baseline that `comparison` is worked out from."""
    adjusted_p: float | None
    verdict: Verdict | None
    published: float | None
    metric: str

    @property
    def counted(self) -> list[Cell]:
        """The trials in the means."""
        return [cell for cell in self.cells if not cell.why_not]

    def compared(self, of: str, value: float | None) -> Figure | None:
        """A number worked out from the pairs."""
        return None if value is None else Figure(value, of, self.metric, *self.pairs)

    @property
    def difference(self) -> Figure | None:
        return self.compared("difference", self.comparison.mean if self.comparison else None)

    @property
    def intervals(self) -> dict[str, tuple[Figure, Figure]]:
        """`bootstrap` and `t`, as far as there are such."""
        found = {}
        for name in ("bootstrap", "t"):
            interval = getattr(self.comparison, name, None)
            if interval:
                found[name] = (
                    Figure(interval[0], f"{name} low", self.metric, *self.pairs),
                    Figure(interval[1], f"{name} high", self.metric, *self.pairs),
                )
        return found


@attrs.frozen
class Table:
    """All variants by one metric."""

    metric: Metric
    rows: tuple[Row, ...]
    deciding: bool
    comparisons: int
    """How many p values Holm's adjustment counts: those of the deciding metric, or of all others together."""

    @property
    def has_published(self) -> bool:
        return any(row.published is not None for row in self.rows)

    @property
    def has_best(self) -> bool:
        return any(row.best_mean is not None for row in self.rows)

    @property
    def images_shown(self) -> tuple[int, int] | None:
        """Fewest and most images shown at the last values that count."""
        shown = [cell.images_shown for row in self.rows for cell in row.counted]
        return (min(shown), max(shown)) if shown else None


@attrs.frozen
class Contents:
    """A report."""

    results: Results
    folder: Path
    tables: tuple[Table, ...]
    """The deciding metric first."""
    further: tuple[Table, ...]
    """Metrics that were measured but are not compared by: no verdicts."""
    answer: tuple[str, ...]
    """Plain sentences: the summary, then one for each variant."""

    @property
    def states(self) -> dict[str, int]:
        """State to number of trials, finished first."""
        order = ("finished", "running", "interrupted", "failed", "waiting")
        counts = {state: sum(trial.state == state for trial in self.results.trials) for state in order}
        return {state: count for state, count in counts.items() if count}

    @property
    def complete(self) -> bool:
        return all(trial.finished for trial in self.results.trials)


def contents_of(results: Results, sentence: Callable[[Table], Sequence[str]]) -> Contents:
    """Work everything out; `sentence` puts the deciding table into words."""
    wanted = results.plan.metrics
    deciding = _tables(results, wanted[:1], deciding=True)
    others = _tables(results, wanted[1:], deciding=False)
    listed = {metric.name for metric in wanted}
    more = [Metric(name) for name in results.names() if name.startswith("metric/") and name not in listed]
    further = tuple(Table(metric, _rows(results, metric), False, 0) for metric in more)
    return Contents(results, results.folder, deciding + others, further, tuple(sentence(deciding[0])))


def _tables(results: Results, metrics: Sequence[Metric], *, deciding: bool) -> tuple[Table, ...]:
    """The tables of one family of comparisons, p values adjusted over all of it."""
    families = [(metric, _rows(results, metric)) for metric in metrics]
    raw = [row.comparison.p if row.comparison else None for _, rows in families for row in rows]
    adjusted = iter(holm(raw))
    count = sum(p is not None for p in raw)
    return tuple(
        Table(metric, tuple(_judged(row, metric, next(adjusted)) for row in rows), deciding, count)
        for metric, rows in families
    )


def _judged(row: Row, metric: Metric, adjusted_p: float | None) -> Row:
    if row.comparison is None:
        return row
    verdict = judge(row.comparison, metric.better, adjusted_p) if row.mean else NO_TRIAL
    return attrs.evolve(row, adjusted_p=adjusted_p, verdict=verdict)


def _rows(results: Results, metric: Metric) -> tuple[Row, ...]:
    baseline = {cell.trial.planned.seed: cell for cell in _counted(_cells(results, results.baseline, metric))}
    return tuple(_row(results, variant, metric, baseline) for variant in results.plan.variants)


def _row(results: Results, variant: Variant, metric: Metric, baseline: dict[int, Cell]) -> Row:
    cells = _cells(results, variant, metric)
    counted = {cell.trial.planned.seed: cell for cell in _counted(cells)}
    mean, deviation = _spread([cell.last for cell in counted.values()])
    best_mean, _ = _spread([cell.best for cell in counted.values()])
    comparison: Comparison | None = None
    pairs: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    if variant.label != results.plan.baseline:
        comparison = compare(_last_values(counted), _last_values(baseline))
        pairs = (_last_sources(counted, comparison.seeds), _last_sources(baseline, comparison.seeds))
    return Row(
        variant=variant,
        cells=cells,
        mean=mean,
        deviation=deviation,
        best_mean=best_mean,
        comparison=comparison,
        pairs=pairs,
        adjusted_p=None,
        verdict=None,
        published=variant.published.get(metric.name),
        metric=metric.name,
    )


def _last_values(cells: dict[int, Cell]) -> dict[int, float]:
    return {seed: cell.last.value for seed, cell in cells.items() if cell.last}


def _last_sources(cells: dict[int, Cell], seeds: Sequence[int]) -> tuple[str, ...]:
    return tuple(source for seed in seeds for source in (cells[seed].last or Figure(0, "", "", ())).sources)


def _spread(figures: Sequence[Figure | None]) -> tuple[Figure | None, Figure | None]:
    """Mean and standard deviation of figures that are all there; of what is left where some are not."""
    there = [figure for figure in figures if figure is not None]
    summary = summarize([figure.value for figure in there])
    if summary is None:
        return None, None
    lines = tuple(source for figure in there for source in figure.sources)
    metric, suffix = there[0].metric, f" of {there[0].of}"
    mean = Figure(summary.mean, f"mean{suffix}", metric, lines)
    if summary.deviation is None:
        return mean, None
    return mean, Figure(summary.deviation, f"standard deviation{suffix}", metric, lines)


def _cells(results: Results, variant: Variant, metric: Metric) -> tuple[Cell, ...]:
    return tuple(_cell(trial, metric) for trial in results.of(variant))


def _cell(trial: Trial, metric: Metric) -> Cell:
    last, best = trial.last(metric.name), trial.best(metric)
    if not trial.finished:
        why_not = trial.state
    elif last is None:
        why_not = "not measured"
    else:
        why_not = "" if math.isfinite(last.value) else "not finite"
    shown = last.images_shown if last else 0
    return Cell(trial, _figure(trial, last, "last", metric), _figure(trial, best, "best", metric), shown, why_not)


def _figure(trial: Trial, point: Point | None, of: str, metric: Metric) -> Figure | None:
    return None if point is None else Figure(point.value, of, metric.name, (trial.source(point),))


def _counted(cells: Sequence[Cell]) -> list[Cell]:
    return [cell for cell in cells if not cell.why_not]
