"""What few paired seeds can say: spread, intervals of the mean difference, and a verdict that claims no more than that.

Trials of equal seed share data order, latents and initial weights where they can, so variants are compared by the
differences over equal seeds. With the handful of seeds that people train, every interval has its weakness: the
bootstrap is too narrow (at n = 3 it is the range of the three differences, so equal signs always exclude 0), Student's
t assumes normal differences. A difference is called shown only where both intervals exclude 0 and the t test's p value,
adjusted for how many comparisons were made, is below 0.05.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations_with_replacement, groupby
from typing import Literal

import attrs
import numpy as np
from scipy import stats

CONFIDENCE = 0.95
EXACT_UP_TO = 8
"""Pairs up to which all resamples are enumerated: 6,435 distinct ones at 8."""
DRAWS = 10_000
DRAWS_SEED = 0

Tone = Literal["good", "bad", "different", "none", "unknown"]


@attrs.frozen
class Summary:
    """Of the values of one variant."""

    n: int
    mean: float
    deviation: float | None
    """Sample standard deviation (n - 1); None for one value."""


@attrs.frozen
class Comparison:
    """A variant against the baseline, over the seeds for which both have a finite value."""

    seeds: tuple[int, ...]
    differences: tuple[float, ...]
    """Variant minus baseline, one for each of `seeds`."""
    bootstrap: tuple[float, float] | None
    """95 % percentile interval of the mean difference; None below two pairs."""
    t: tuple[float, float] | None
    """95 % interval by Student's t; None below two pairs and where the differences have no spread."""
    p: float | None
    """Two-sided, of the paired t test; None where there is no `t`."""

    @property
    def n(self) -> int:
        """Pairs."""
        return len(self.differences)

    @property
    def mean(self) -> float | None:
        """Of the differences; None without any."""
        return math.fsum(self.differences) / self.n if self.n else None


@attrs.frozen
class Verdict:
    """What the comparison shows, in words, and how to colour them."""

    words: str
    tone: Tone


def summarize(values: Sequence[float]) -> Summary | None:
    """Count, mean and sample standard deviation; None of no values. Raises `ValueError` for NaN and infinities."""
    _check_finite(values)
    if not values:
        return None
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Summary(len(values), math.fsum(values) / len(values), deviation)


def compare(values: Mapping[int, float], baseline: Mapping[int, float]) -> Comparison:
    """The paired comparison of two variants' finite values by seed. Raises `ValueError` for NaN or infinity."""
    seeds = tuple(sorted(set(values) & set(baseline)))
    differences = tuple(values[seed] - baseline[seed] for seed in seeds)
    _check_finite(differences)
    if len(seeds) < 2:
        return Comparison(seeds, differences, None, None, None)
    interval = bootstrap_interval(differences)
    if max(differences) == min(differences):  # no spread to judge by, as with counts: t would be infinitely certain
        return Comparison(seeds, differences, interval, None, None)
    test = stats.ttest_1samp(differences, 0.0)
    low, high = test.confidence_interval(CONFIDENCE)
    return Comparison(seeds, differences, interval, (float(low), float(high)), float(test.pvalue))


def bootstrap_interval(differences: Sequence[float]) -> tuple[float, float]:
    """95 % percentile interval of the mean under resampling with replacement.

    Up to `EXACT_UP_TO` values every resample is counted with its exact weight; above, 10,000 are drawn with seed 0.
    """
    n = len(differences)
    if n > EXACT_UP_TO:
        drawn = np.random.default_rng(DRAWS_SEED).choice(sorted(differences), (DRAWS, n)).mean(axis=1)
        low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        return float(low), float(high)
    means = sorted(_resampled_means(sorted(differences)))
    return _end_of(means, n), _end_of(means[::-1], n)


def _resampled_means(differences: Sequence[float]) -> list[tuple[float, int]]:
    """Mean of every distinct resample with the number of sequences that give it."""
    n = len(differences)
    found = []
    for chosen in combinations_with_replacement(range(n), n):
        ways = math.factorial(n)
        for _, equal in groupby(chosen):
            ways //= math.factorial(sum(1 for _ in equal))
        found.append((math.fsum(differences[i] for i in chosen) / n, ways))
    return found


def _end_of(means: Sequence[tuple[float, int]], n: int) -> float:
    """The first mean, from one end, by which at least 2.5 % of all n^n resamples are counted."""
    counted = 0
    for mean, ways in means:
        counted += ways
        if counted >= n**n * (1 - CONFIDENCE) / 2:
            return mean
    raise AssertionError("the weights sum to n^n")


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's adjustment (1979) for making all these comparisons; None stays None and is not counted."""
    tested = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, i) in enumerate(tested):
        largest = max(largest, min(1.0, p * (len(tested) - rank)))
        adjusted[i] = largest
    return adjusted


def judge(comparison: Comparison, better: str, adjusted_p: float | None) -> Verdict:
    """The verdict; `better` is "lower", "higher" or "" for a metric of which neither is better."""
    n, mean = comparison.n, comparison.mean
    if mean is None:
        return Verdict("not comparable: no common seeds", "unknown")
    if n == 1:
        return Verdict("n = 1: nothing can be said", "unknown")
    if not _is_shown(comparison, adjusted_p):
        reason = "" if comparison.t else f": {'equal' if not mean else 'the same difference'} for every seed"
        return Verdict(f"no difference shown at n = {n}{reason}", "none")
    direction = "lower" if mean < 0 else "higher"
    if better not in ("lower", "higher"):
        return Verdict(direction, "different")
    return Verdict("better", "good") if direction == better else Verdict("worse", "bad")


def _is_shown(comparison: Comparison, adjusted_p: float | None) -> bool:
    if comparison.t is None or comparison.bootstrap is None or adjusted_p is None:
        return False
    return adjusted_p < 1 - CONFIDENCE and excludes_zero(comparison.t) and excludes_zero(comparison.bootstrap)


def excludes_zero(interval: tuple[float, float]) -> bool:
    """Whether 0 lies outside."""
    return interval[0] > 0 or interval[1] < 0


def _check_finite(values: Sequence[float]) -> None:
    if not all(map(math.isfinite, values)):
        raise ValueError("NaN and infinite values are never averaged; leave their trials out and say so")
