"""What the statistics of few seeds must hold: invariants, known values, and never a claim that n does not carry."""

from __future__ import annotations

import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ganlab.ablation.statistics import Comparison, bootstrap_interval, compare, excludes_zero, holm, judge, summarize

FINITE = st.integers(-1000, 1000).map(lambda number: number / 8)  # sums of eighths are exact
PAIRS = st.dictionaries(st.integers(0, 50), st.tuples(FINITE, FINITE), min_size=2, max_size=4)


def of(pairs: dict[int, tuple[float, float]]) -> Comparison:
    return compare({seed: a for seed, (a, _) in pairs.items()}, {seed: b for seed, (_, b) in pairs.items()})


def close(one: tuple[float, float] | None, two: tuple[float, float] | None) -> bool:
    return one == two if one is None or two is None else one == pytest.approx(two, rel=1e-9, abs=1e-9)


@given(st.lists(FINITE, min_size=2, max_size=20))
def test_mean_and_deviation_are_those_of_the_standard_library(values: list[float]) -> None:
    found = summarize(values)
    assert found is not None
    assert found.mean == pytest.approx(statistics.mean(values), abs=1e-12)
    assert found.deviation == pytest.approx(statistics.stdev(values), abs=1e-9)


def test_one_value_has_no_deviation_and_none_no_mean() -> None:
    found = summarize([2.0])
    assert found is not None
    assert (found.n, found.mean, found.deviation) == (1, 2.0, None)
    assert summarize([]) is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_never_averaged(bad: float) -> None:
    with pytest.raises(ValueError, match="never averaged"):
        summarize([1.0, bad])
    with pytest.raises(ValueError, match="never averaged"):
        compare({0: bad, 1: 1.0}, {0: 1.0, 1: 2.0})


@given(PAIRS, FINITE)
def test_adding_the_same_to_both_variants_changes_nothing(pairs: dict[int, tuple[float, float]], shift: float) -> None:
    assert of(pairs) == of({seed: (a + shift, b + shift) for seed, (a, b) in pairs.items()})


@given(PAIRS)
def test_swapping_the_variants_flips_the_signs(pairs: dict[int, tuple[float, float]]) -> None:
    one, two = of(pairs), of({seed: (b, a) for seed, (a, b) in pairs.items()})
    assert [-d for d in two.differences] == list(one.differences)
    for name in ("bootstrap", "t"):
        low_high = getattr(two, name)
        assert close(getattr(one, name), low_high and (-low_high[1], -low_high[0]))
    assert one.p == pytest.approx(two.p) if one.p is not None else two.p is None


@given(PAIRS)
def test_which_seed_is_which_does_not_matter(pairs: dict[int, tuple[float, float]]) -> None:
    one, two = of(pairs), of({100 - seed: both for seed, both in pairs.items()})
    assert close(one.bootstrap, two.bootstrap)
    assert close(one.t, two.t)


@given(PAIRS, st.sampled_from([0.25, 2.0, 8.0]))
def test_another_unit_scales_the_intervals(pairs: dict[int, tuple[float, float]], unit: float) -> None:
    one, two = of(pairs), of({seed: (a * unit, b * unit) for seed, (a, b) in pairs.items()})
    assert close(two.bootstrap, one.bootstrap and (one.bootstrap[0] * unit, one.bootstrap[1] * unit))
    assert close(two.t, one.t and (one.t[0] * unit, one.t[1] * unit))


@given(PAIRS)
def test_intervals_hold_the_mean_and_the_bootstrap_stays_among_the_differences(
    pairs: dict[int, tuple[float, float]],
) -> None:
    found = of(pairs)
    assert found.mean is not None
    assert found.bootstrap is not None
    low, high = found.bootstrap
    assert min(found.differences) - 1e-9 <= low <= found.mean + 1e-9
    assert found.mean - 1e-9 <= high <= max(found.differences) + 1e-9
    if found.t:
        assert found.t[0] < found.mean < found.t[1]


@given(PAIRS)
def test_the_t_interval_excludes_zero_exactly_where_p_is_below_five_percent(
    pairs: dict[int, tuple[float, float]],
) -> None:
    found = of(pairs)
    if found.t and found.p is not None and abs(found.p - 0.05) > 1e-9:
        assert excludes_zero(found.t) == (found.p < 0.05)


def test_t_and_p_are_those_of_a_textbook() -> None:
    """Differences 1, 2, 3: mean 2, standard error 1/sqrt(3), t(0.975, 2) = 4.3027."""
    found = compare({0: 1.0, 1: 2.0, 2: 3.0}, {0: 0.0, 1: 0.0, 2: 0.0})
    assert found.t == pytest.approx((2 - 4.30265 / math.sqrt(3), 2 + 4.30265 / math.sqrt(3)), abs=1e-4)
    assert found.p == pytest.approx(stats.ttest_rel([1, 2, 3], [0, 0, 0]).pvalue)


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_the_exact_bootstrap_counts_every_sequence(n: int) -> None:
    differences = np.random.default_rng(n).normal(size=n)
    every = sorted(float(np.mean(chosen)) for chosen in itertools.product(differences, repeat=n))
    skipped = math.ceil(0.025 * len(every)) - 1
    assert bootstrap_interval(list(differences)) == pytest.approx((every[skipped], every[-1 - skipped]))


def test_at_three_pairs_the_bootstrap_is_the_range() -> None:
    assert bootstrap_interval([0.5, 3.0, 1.0]) == pytest.approx((0.5, 3.0))


def test_exact_and_drawn_bootstraps_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = list(np.random.default_rng(0).normal(size=8))
    exact = bootstrap_interval(differences)
    monkeypatch.setattr("ganlab.ablation.statistics.EXACT_UP_TO", 0)
    drawn = bootstrap_interval(differences)
    assert drawn != exact
    assert drawn == pytest.approx(exact, abs=0.03)
    assert drawn == bootstrap_interval(differences)


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=9))
def test_holm_never_lowers_a_p_keeps_their_order_and_stays_below_bonferroni(p_values: list[float | None]) -> None:
    adjusted = holm(p_values)
    tested = [(p, a) for p, a in zip(p_values, adjusted, strict=True) if p is not None and a is not None]
    assert [a is None for a in adjusted] == [p is None for p in p_values]
    assert all(p <= a <= min(1, p * len(tested)) + 1e-12 for p, a in tested)
    by_p = [a for _, a in sorted(tested)]
    assert by_p == sorted(by_p)


def test_holm_by_hand() -> None:
    assert holm([0.04, None, 0.01, 0.03]) == [pytest.approx(0.06), None, pytest.approx(0.03), pytest.approx(0.06)]


def differing(*differences: float) -> Comparison:
    return compare(dict(enumerate(differences)), dict.fromkeys(range(len(differences)), 0.0))


@pytest.mark.parametrize(
    ("differences", "better", "words", "tone"),
    [
        ((), "lower", "not comparable: no common seeds", "unknown"),
        ((1.0,), "lower", "n = 1: nothing can be said", "unknown"),
        ((0.0, 0.0), "lower", "no difference shown at n = 2: equal for every seed", "none"),
        ((1.0, 1.0, 1.0), "lower", "no difference shown at n = 3: the same difference for every seed", "none"),
        ((1.0, -1.0, 0.5), "lower", "no difference shown at n = 3", "none"),
        ((1.0, 2.0, 3.0), "lower", "no difference shown at n = 3", "none"),  # the bootstrap alone excludes 0
        ((1.0, 1.1, 0.9), "lower", "worse", "bad"),
        ((-1.0, -1.1, -0.9), "lower", "better", "good"),
        ((1.0, 1.1, 0.9), "higher", "better", "good"),
        ((-1.0, -1.1, -0.9), "", "lower", "different"),
    ],
)
def test_verdicts(differences: tuple[float, ...], better: str, words: str, tone: str) -> None:
    found = differing(*differences)
    verdict = judge(found, better, found.p)
    assert (verdict.words, verdict.tone) == (words, tone)


def test_a_difference_that_many_comparisons_explain_is_not_shown() -> None:
    found = differing(1.0, 1.3, 0.8)
    assert found.p is not None
    assert judge(found, "lower", found.p).words == "worse"
    assert judge(found, "lower", holm([found.p] * 9)[0]).words == "no difference shown at n = 3"


def test_only_common_seeds_are_paired() -> None:
    assert compare({0: 1.0, 1: 5.0, 7: 9.0}, {1: 2.0, 7: 1.0, 8: 0.0}).differences == (3.0, 8.0)
