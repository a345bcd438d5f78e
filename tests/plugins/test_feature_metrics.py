"""Metrics on features: known values, agreement with slow or other people's programs, what is kept, what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import linalg
from scipy.spatial.distance import cdist
from scipy.stats import entropy

from ganlab.errors import GanlabError
from ganlab_metrics.feature_components import FrechetDistance, InceptionScore, KernelDistance, PrecisionRecall
from ganlab_metrics.frechet import Gaussian, fitted, frechet_distance
from ganlab_metrics.inception_score import scores
from ganlab_metrics.kernel_distance import squared_discrepancy
from ganlab_metrics.neighbours import share_among, squared_radii

from .feature_networks import Images, Projections, Source, noise_images

Features = npt.NDArray[np.float32]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


def features(seed: int, count: int, size: int, shift: float = 0) -> Features:
    """Correlated features that are 0 or more, as those after a rectifier."""
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(size, size))
    return np.maximum(random.normal(shift, 1, (count, size)) @ mixing, 0).astype(np.float32)


def measured(component: Any, reals: Images, fakes: Images, seed: int = 0) -> Mapping[str, float]:
    found: Mapping[str, float] = component.build()(Source(reals), Source(fakes), seed=seed)
    return found


# -- Frechet distance --------------------------------------------------------------------------------------------------


def test_gaussians_in_one_dimension_have_the_distance_of_the_formula() -> None:
    def one(mean: float, deviation: float) -> Gaussian:
        return Gaussian(np.array([mean]), np.array([[deviation**2]]))

    assert frechet_distance(one(1, 2), one(4, 7)) == pytest.approx(3**2 + 5**2)


def test_gaussians_with_the_same_axes_have_the_sum_over_axes() -> None:
    turned = linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    a = Gaussian(np.zeros(4), turned @ np.diag([1.0, 4, 9, 0]) @ turned.T)
    b = Gaussian(np.ones(4), turned @ np.diag([16.0, 4, 1, 25]) @ turned.T)
    assert frechet_distance(a, b) == pytest.approx(4 + (1 - 4) ** 2 + 0 + (3 - 1) ** 2 + 5**2)


def test_mean_and_covariance_are_numpys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganlab_metrics.frechet.ROWS_AT_ONCE", 7)
    some = features(0, 50, 5)
    found = fitted(some)
    np.testing.assert_allclose(found.mean, some.mean(axis=0, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(found.covariance, np.cov(some.astype(np.float64), rowvar=False), rtol=1e-9, atol=1e-12)


def test_the_distance_is_that_with_a_general_matrix_root() -> None:
    a, b = fitted(features(0, 400, 12)), fitted(features(1, 300, 12, shift=0.3))
    root = linalg.sqrtm(a.covariance @ b.covariance).real
    expected = ((a.mean - b.mean) ** 2).sum() + np.trace(a.covariance + b.covariance - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-9)


def test_fewer_images_than_features_have_a_finite_distance_and_equal_sets_none() -> None:
    few, others = features(0, 5, 40), features(1, 5, 40)
    assert frechet_distance(fitted(few), fitted(few)) == pytest.approx(0, abs=1e-4)
    expected = squared_bures_by_nuclear_norm(few, others)
    assert frechet_distance(fitted(few), fitted(others)) == pytest.approx(expected, rel=1e-6)


def squared_bures_by_nuclear_norm(a: Features, b: Features) -> float:
    """The same without any root: tr sqrt(A B) is the sum of the singular values of the centred sets' product."""
    x, y = (each.astype(np.float64) for each in (a, b))
    centred_x, centred_y = (each - each.mean(axis=0) for each in (x, y))
    scale = 1 / (len(x) - 1)
    shared = linalg.svdvals(centred_x @ centred_y.T).sum()
    apart = ((x.mean(axis=0) - y.mean(axis=0)) ** 2).sum()
    return float(apart + scale * ((centred_x**2).sum() + (centred_y**2).sum() - 2 * shared))


def test_a_collapsed_generator_is_far_and_finite() -> None:
    reals = noise_images(0, 60)
    component = FrechetDistance(features=Projections(), count=60)
    near = measured(component, reals, noise_images(1, 60))["frechet-distance/projections"]
    far = measured(component, reals, np.full_like(reals, 128))["frechet-distance/projections"]
    assert np.isfinite(far)
    assert far > 5 * near


# -- Kernel distance ---------------------------------------------------------------------------------------------------


def test_the_kernel_distance_equals_a_slow_loop() -> None:
    a, b = features(0, 7, 3), features(1, 5, 3)

    def mean(x: Features, y: Features, *, same: bool) -> float:
        return float(
            np.mean(
                [
                    (float(p.astype(np.float64) @ q.astype(np.float64)) / 3 + 1) ** 3
                    for i, p in enumerate(x)
                    for j, q in enumerate(y)
                    if not (same and i == j)
                ]
            )
        )

    expected = mean(a, a, same=True) + mean(b, b, same=True) - 2 * mean(a, b, same=False)
    assert squared_discrepancy(a, b) == pytest.approx(expected, rel=1e-9)


def test_the_estimate_is_unbiased_for_sets_of_one_kind() -> None:
    random = np.random.default_rng(0)
    values = [squared_discrepancy(*random.normal(size=(2, 10, 4)).astype(np.float32)) for _ in range(400)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))
    assert min(values) < 0 < max(values)


def test_subsets_come_from_the_seed_alone() -> None:
    reals, fakes = noise_images(0, 50), noise_images(1, 50, mean=150)
    component = KernelDistance(features=Projections(), count=50, subsets=4, subset_size=20)
    first = measured(component, reals, fakes, seed=3)
    assert set(first) == {"kid/projections", "kid-std/projections"}
    assert measured(component, reals, fakes, seed=3) == first
    assert measured(component, reals, fakes, seed=4) != first


def test_subsets_of_all_images_have_no_spread() -> None:
    reals, fakes = noise_images(0, 30), noise_images(1, 30, mean=150)
    component = KernelDistance(features=Projections(), count=30, subsets=3, subset_size=30)
    values = measured(component, reals, fakes)
    assert values["kid-std/projections"] == pytest.approx(0, abs=1e-9)
    extractor = Projections().build()
    expected = squared_discrepancy(extractor(reals).features, extractor(fakes).features)
    assert values["kid/projections"] == pytest.approx(expected, rel=1e-6)


# -- Precision and recall ----------------------------------------------------------------------------------------------


def slow_share(points: Features, centres: Features, k: int) -> float:
    between, within = cdist(points, centres), cdist(centres, centres)
    radii = [sorted(np.delete(within[i], i))[k - 1] for i in range(len(centres))]
    return float(np.mean([any(between[p, c] <= radii[c] for c in range(len(centres))) for p in range(len(points))]))


@pytest.mark.parametrize("k", [1, 3])
def test_shares_equal_a_slow_loop(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganlab_metrics.neighbours.DISTANCES_AT_ONCE", 300)
    reals, fakes = features(0, 80, 8), features(1, 60, 8, shift=0.8)
    assert share_among(fakes, reals, squared_radii(reals, k)) == slow_share(fakes, reals, k)
    assert share_among(reals, fakes, squared_radii(fakes, k)) == slow_share(reals, fakes, k)
    assert 0 < slow_share(reals, fakes, k) < 1


def test_features_far_from_the_origin_lose_no_digits() -> None:
    reals, fakes = features(0, 40, 4), features(1, 40, 4, shift=0.8)
    moved = share_among(fakes + np.float32(4096), reals + np.float32(4096), squared_radii(reals + np.float32(4096), 3))
    assert moved == slow_share(fakes + np.float32(4096), reals + np.float32(4096), 3)


def test_equal_sets_have_all_and_sets_far_apart_nothing() -> None:
    images = noise_images(0, 30)
    component = PrecisionRecall(features=Projections(), count=30)
    assert measured(component, images, images) == {"precision/projections": 1.0, "recall/projections": 1.0}
    far = measured(component, noise_images(0, 30, mean=20, spread=5), noise_images(1, 30, mean=230, spread=5))
    assert far == {"precision/projections": 0.0, "recall/projections": 0.0}


def test_a_generator_of_one_real_image_has_precision_and_no_recall() -> None:
    reals = noise_images(0, 30)
    component = PrecisionRecall(features=Projections(), count=30)
    values = measured(component, reals, reals[:1].repeat(30, axis=0))
    assert values["precision/projections"] == 1.0
    assert values["recall/projections"] <= 1 / 30


def test_a_small_data_set_is_used_once() -> None:
    reals, fakes = noise_images(0, 25), noise_images(1, 100)
    component = PrecisionRecall(features=Projections(), count=100)
    values = measured(component, reals, fakes)
    extractor = Projections().build()
    real, fake = extractor(reals).features, extractor(fakes).features
    assert values["precision/projections"] == slow_share(fake, real, 3) > 0


# -- Inception score ---------------------------------------------------------------------------------------------------


def test_the_score_is_one_for_equal_images_and_the_classes_for_sure_and_even_ones() -> None:
    assert scores(np.ones((20, 5), np.float32), 2) == pytest.approx([1, 1])
    sure = 2000 * np.eye(5, dtype=np.float32).repeat(4, axis=0)
    assert scores(sure, 1) == pytest.approx([5])


def test_the_score_is_the_exponential_of_the_mean_relative_entropy() -> None:
    logits = np.random.default_rng(0).normal(0, 2, (23, 6)).astype(np.float32)
    probabilities = np.exp(logits.astype(np.float64))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    expected = [
        np.exp(np.mean([entropy(row, part.mean(axis=0)) for row in part]))
        for part in (probabilities[:7], probabilities[7:15], probabilities[15:])
    ]
    assert scores(logits, 3) == pytest.approx(expected, rel=1e-9)


def test_the_inception_score_does_not_look_at_the_reals() -> None:
    reals, fakes = Source(noise_images(0, 30)), Source(noise_images(1, 30))
    component = InceptionScore(features=Projections(), count=30, splits=3)
    values = component.build()(reals, fakes, seed=0)
    assert set(values) == {"inception-score/projections", "inception-score-std/projections"}
    assert 1 <= values["inception-score/projections"] <= 4
    assert reals.asked == 0


# -- what is kept and told ---------------------------------------------------------------------------------------------

ALL: list[Any] = [
    FrechetDistance(features=Projections(), count=30),
    KernelDistance(features=Projections(), count=30, subsets=2, subset_size=10),
    PrecisionRecall(features=Projections(), count=30),
]
NAMES = ["frechet-distance", "kid", "precision-recall"]


@pytest.mark.parametrize("component", ALL, ids=NAMES)
def test_features_of_named_reals_are_worked_out_once(component: Any, folder: Path) -> None:
    reals, fakes = noise_images(0, 40), noise_images(1, 40)
    first, second = Source(reals, "set a, 16 pixels"), Source(reals, "set a, 16 pixels")
    values = component.build()(first, Source(fakes), seed=0)
    assert component.build()(second, Source(fakes), seed=0) == values
    assert (first.asked, second.asked) == (31, 0)
    other = Source(noise_images(2, 40), "set b, 16 pixels")
    assert component.build()(other, Source(fakes), seed=0) != values


def test_other_networks_and_counts_have_features_of_their_own(folder: Path) -> None:
    reals, fakes = Source(noise_images(0, 40), "set a"), Source(noise_images(1, 40))
    for count, size in ((20, 6), (30, 6), (30, 7)):
        FrechetDistance(features=Projections(size=size), count=count).build()(reals, fakes, seed=0)
    assert len(list(folder.iterdir())) == 3


def test_reals_without_a_key_and_fakes_are_not_kept(folder: Path) -> None:
    images = noise_images(0, 40)
    metric = ALL[0].build()
    metric(lambda start, stop: images[start:stop], Source(images, known=False), seed=0)
    assert not folder.exists()


@pytest.mark.parametrize(
    "component", [*ALL, InceptionScore(features=Projections(), count=30, splits=2)], ids=[*NAMES, "inception-score"]
)
def test_facts_have_what_makes_values_comparable(component: Any) -> None:
    facts = component.build().facts()
    assert facts["count"] == 30
    assert facts["network_name"] == "projections"
    assert facts["network_resize_filter"] == "box"
    assert facts["network_digest"] == Projections().build().digest


@pytest.mark.parametrize("component", ALL, ids=NAMES)
def test_every_value_that_can_be_better_says_in_which_direction(component: Any) -> None:
    images = noise_images(0, 30)
    names = {name.partition("/")[0] for name in measured(component, images, images)}
    assert {name for name in names if not name.endswith("-std")} == set(component.better)
    assert set(component.better.values()) <= {"lower", "higher"}


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_too_few_reals_are_refused() -> None:
    fakes = noise_images(1, 40)
    for component, reals, words in (
        (ALL[0], noise_images(0, 1), "needs 2 real images, the data set has 1"),
        (ALL[1], noise_images(0, 9), "needs 10 real images, the data set has 9"),
        (ALL[2], noise_images(0, 3), "needs 4 real images, the data set has 3"),
    ):
        with pytest.raises(GanlabError, match=words):
            measured(component, reals, fakes)


def test_features_that_are_not_finite_are_refused_and_not_kept(folder: Path) -> None:
    images = noise_images(0, 30)
    broken = FrechetDistance(features=Projections(broken=True), count=30)
    with pytest.raises(GanlabError, match="projections: its features are not finite"):
        broken.build()(Source(images, "set a"), Source(images), seed=0)
    score = InceptionScore(features=Projections(broken=True), count=30)
    with pytest.raises(GanlabError, match="logits are not finite"):
        measured(score, images, images)
    assert not folder.exists()


def test_a_network_without_classes_has_no_inception_score() -> None:
    score = InceptionScore(features=Projections(classes=None), count=30)
    with pytest.raises(GanlabError, match="projections has no classes"):
        measured(score, noise_images(0, 30), noise_images(1, 30))


@pytest.mark.parametrize(
    ("cls", "arguments"),
    [
        (FrechetDistance, {"count": 1}),
        (KernelDistance, {"count": 100, "subset_size": 101}),
        (PrecisionRecall, {"count": 3, "neighbours": 3}),
        (InceptionScore, {"count": 5}),
    ],
)
def test_settings_that_cannot_work_are_refused(cls: Any, arguments: Mapping[str, int]) -> None:
    with pytest.raises(ValueError, match="expected"):
        cls(features=Projections(), **arguments)
