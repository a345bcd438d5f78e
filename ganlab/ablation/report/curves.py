"""The journals' values over images shown: for each variant the mean over its seeds and the range they span."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs

from ganlab.ablation.results import Point, Results, Trial

GROUPS = ("loss", "scores", "gradient_norm", "weight_norm", "growth", "learning_rate")
"""Order of the diagnosis curves by what stands before the first slash; groups not named here stand before `growth`."""


@attrs.frozen
class Mean:
    """A variant's value at one moment, over those of its seeds that have one."""

    images_shown: int
    mean: float
    low: float
    high: float
    lines: tuple[int | None, ...]
    """Journal line of each of the curve's folders; None for one that has no finite value here."""

    @property
    def n(self) -> int:
        return sum(line is not None for line in self.lines)


@attrs.frozen
class Curve:
    """A variant's line in a chart."""

    variant: int
    """Number of the variant, which decides its colour, dash and marker."""
    label: str
    folders: tuple[str, ...]
    points: tuple[Mean, ...]
    left_out: int
    """Values that are NaN or infinite."""


def curves_of(results: Results, name: str, most: int) -> tuple[Curve, ...]:
    """The curves of one value, each thinned to at most `most` points; variants without any are left out."""
    found = []
    for number, variant in enumerate(results.plan.variants):
        trials = [trial for trial in results.of(variant) if trial.curves.get(name)]
        points = _means(trials, name)
        if points:
            left_out = sum(not math.isfinite(point.value) for trial in trials for point in trial.curves[name])
            folders = tuple(trial.planned.folder for trial in trials)
            found.append(Curve(number, variant.label, folders, thinned(points, most), left_out))
    return tuple(found)


def _means(trials: Sequence[Trial], name: str) -> list[Mean]:
    by_trial = [_latest(trial.curves[name]) for trial in trials]
    means = []
    for shown in sorted({shown for points in by_trial for shown in points}):
        here = [points.get(shown) for points in by_trial]
        values = [point.value for point in here if point]
        lines = tuple(point.line if point else None for point in here)
        means.append(Mean(shown, math.fsum(values) / len(values), min(values), max(values), lines))
    return means


def _latest(points: Sequence[Point]) -> dict[int, Point]:
    """Images shown to the finite value; where a moment was measured twice, to the later one."""
    return {point.images_shown: point for point in points if math.isfinite(point.value)}


def thinned(points: Sequence[Mean], most: int) -> tuple[Mean, ...]:
    """At most `most` points, evenly taken, first and last among them."""
    if len(points) <= most:
        return tuple(points)
    chosen = sorted({round(i * (len(points) - 1) / (most - 1)) for i in range(most)})
    return tuple(points[i] for i in chosen)


def diagnosis_groups(results: Results) -> dict[str, list[str]]:
    """Names of what the journals hold beside metrics, by what stands before the first slash."""
    names = [name for name in results.names() if not name.startswith("metric/")]
    order = {group: i if i < 4 else 100 + i for i, group in enumerate(GROUPS)}
    groups: dict[str, list[str]] = {}
    for name in sorted(names, key=lambda name: (order.get(name.split("/")[0], 50), name)):
        groups.setdefault(name.split("/")[0], []).append(name)
    return groups


def constant(curves: Sequence[Curve]) -> float | None:
    """The one value that all points of all curves have; None where they differ."""
    values = {value for curve in curves for point in curve.points for value in (point.low, point.high)}
    return values.pop() if len(values) == 1 else None
