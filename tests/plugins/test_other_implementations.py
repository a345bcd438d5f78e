"""Metrics of other people's programs agree with ours within the bounds that docs/metrics.md states.

Those that need packages beyond ganlab's own are slow tests, which CI runs with all of them installed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.ndimage import convolve1d
from scipy.stats import wasserstein_distance

from ganlab_metrics.components import SlicedWasserstein
from ganlab_metrics.frechet import fitted, frechet_distance
from ganlab_metrics.inception_score import scores
from ganlab_metrics.kernel_distance import squared_discrepancy
from ganlab_metrics.ms_ssim import LEVEL_WEIGHTS, similarity
from ganlab_metrics.neighbours import share_among, squared_radii
from ganlab_metrics.pyramid import laplacian_levels
from ganlab_metrics.swd import SlicedWassersteinMetric

from .feature_networks import Source

Images = npt.NDArray[np.uint8]
Doubles = npt.NDArray[np.float64]


def textured(seed: int, count: int, size: int) -> Images:
    """Images with detail at every scale."""
    random = np.random.default_rng(seed)
    image = np.full((count, 3, size, size), 128.0)
    for block in (1, 4, 16):
        coarse = random.normal(0, 20, size=(count, 3, size // block, size // block))
        image += coarse.repeat(block, axis=2).repeat(block, axis=3)
    return np.clip(image, 0, 255).astype(np.uint8)


# -- SWD, with SciPy ---------------------------------------------------------------------------------------------------


def scipys_pyramid(image: Doubles, count: int) -> list[Doubles]:
    """Laplacian levels of `[C, H, W]` by SciPy's convolution in float64."""

    def smoothed(x: Doubles) -> Doubles:
        for axis in (1, 2):
            x = convolve1d(x, np.array([1, 4, 6, 4, 1]) / 16, axis=axis, mode="mirror")
        return x

    levels = []
    for _ in range(count - 1):
        coarser = smoothed(image)[:, ::2, ::2]
        spread = np.zeros_like(image)
        spread[:, ::2, ::2] = coarser
        levels.append(image - 4 * smoothed(spread))
        image = coarser
    return [*levels, image]


def test_the_pyramid_is_scipys() -> None:
    images = textured(0, 3, 64)
    ours = list(laplacian_levels(images, 3))
    for number, image in enumerate(images):
        for level, expected in zip(ours, scipys_pyramid(image.astype(np.float64), 3), strict=True):
            np.testing.assert_allclose(level[number], expected, atol=1e-3)


def test_the_whole_sliced_wasserstein_distance_is_scipys() -> None:
    """Patches cut by hand from SciPy's pyramid, and SciPy's distance along each direction, from the same draws."""
    reals, fakes, settings = textured(0, 6, 32), textured(1, 6, 32), {"patches_per_image": 10, "directions": 6}
    metric = SlicedWassersteinMetric(SlicedWasserstein(count=6, direction_repeats=2, **settings))
    randoms = [np.random.default_rng(seed) for seed in (5, 6, 7)]
    ours = metric.compare(
        Source(reals),
        Source(fakes),
        reals_random=randoms[0],
        fakes_random=randoms[1],
        directions_random=randoms[2],
    )

    def patches(images: Images, random: np.random.Generator) -> list[Doubles]:
        pyramids = [scipys_pyramid(image.astype(np.float64), 2) for image in images]
        levels = []
        for level, size in enumerate((32, 16)):
            x, y = random.integers(3, size - 3, 60), random.integers(3, size - 3, 60)
            cut = [
                pyramids[n // 10][level][:, y[n] - 3 : y[n] + 4, x[n] - 3 : x[n] + 4].swapaxes(1, 2) for n in range(60)
            ]
            found = np.array(cut)
            found -= found.mean(axis=(0, 2, 3), keepdims=True)
            levels.append((found / found.std(axis=(0, 2, 3), keepdims=True)).reshape(60, -1))
        return levels

    real, fake = patches(reals, np.random.default_rng(5)), patches(fakes, np.random.default_rng(6))
    random = np.random.default_rng(7)
    for level, size in enumerate((32, 16)):
        distances = []
        for _ in range(2):
            directions = random.standard_normal((147, 6))
            directions /= np.linalg.norm(directions, axis=0)
            distances += [wasserstein_distance(real[level] @ d, fake[level] @ d) for d in directions.T]
        assert ours[f"swd/{size}"] == pytest.approx(1000 * np.mean(distances), rel=1e-4)


# -- MS-SSIM, with scikit-image and torchmetrics -----------------------------------------------------------------------


def pairs(size: int) -> tuple[Images, Images]:
    a = textured(0, 4, size)
    noise = np.random.default_rng(1).normal(0, 25, a.shape)
    return a, np.clip(a + noise, 0, 255).astype(np.uint8)


@pytest.mark.slow
def test_structural_similarity_of_every_level_is_scikit_images() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    downscale = pytest.importorskip("skimage.transform").downscale_local_mean
    a, b = pairs(256)
    ours = similarity(a, b).structural
    for number in range(len(a)):
        for level in range(5):
            x, y = (downscale(each[number].astype(np.float64), (1, 2**level, 2**level)) for each in (a, b))
            _, whole = metrics.structural_similarity(
                x,
                y,
                channel_axis=0,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
                data_range=255,
                full=True,
            )
            assert ours[level, number] == pytest.approx(whole[:, 5:-5, 5:-5].mean(), abs=1e-4)


@pytest.mark.slow
def test_contrast_of_every_level_is_that_of_torchmetrics() -> None:
    """Its SSIM, unlike its contrast term, averages over mirrored borders, too: hence another bound for the whole."""
    functional = pytest.importorskip("torchmetrics.functional.image")
    a, b = pairs(256)
    ours = similarity(a, b)
    x, y = (torch.from_numpy(each).double() for each in (a, b))
    theirs = functional.multiscale_structural_similarity_index_measure(
        x, y, data_range=255.0, reduction="none", betas=LEVEL_WEIGHTS, normalize="relu"
    )
    np.testing.assert_allclose(ours.scores, theirs.numpy(), atol=0.02)
    for level in range(5):
        _, contrast = pytest.importorskip("torchmetrics.functional.image.ssim")._ssim_update(
            x, y, data_range=255.0, return_contrast_sensitivity=True
        )
        np.testing.assert_allclose(ours.contrast[level], contrast.numpy(), atol=1e-4)
        x, y = torch.nn.functional.avg_pool2d(x, 2), torch.nn.functional.avg_pool2d(y, 2)


# -- features, with torch-fidelity -------------------------------------------------------------------------------------


def two_sets() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    random = np.random.default_rng(0)
    mixing = random.normal(size=(24, 24))
    sets = [np.maximum(random.normal(mean, 1, (300, 24)) @ mixing, 0) for mean in (0, 0.2)]
    return sets[0].astype(np.float32), sets[1].astype(np.float32)


@pytest.mark.slow
def test_the_frechet_distance_is_torch_fidelitys() -> None:
    theirs: Any = pytest.importorskip("torch_fidelity.metric_fid")
    a, b = two_sets()
    statistics = [theirs.fid_features_to_statistics(torch.from_numpy(each).double()) for each in (a, b)]
    expected = theirs.fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert frechet_distance(fitted(a), fitted(b)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
def test_the_frechet_distance_is_that_of_torchmetrics() -> None:
    theirs: Any = pytest.importorskip("torchmetrics.image.fid")
    a, b = (fitted(each) for each in two_sets())
    tensors = [torch.from_numpy(each) for gaussian in (a, b) for each in gaussian]
    assert frechet_distance(a, b) == pytest.approx(float(theirs._compute_fid(*tensors)), rel=1e-6)


@pytest.mark.slow
def test_the_kernel_distance_is_torch_fidelitys() -> None:
    theirs: Any = pytest.importorskip("torch_fidelity.metric_kid")
    a, b = two_sets()
    found = theirs.kid_features_to_metric(
        torch.from_numpy(a).double(), torch.from_numpy(b).double(), kid_subsets=1, kid_subset_size=300, verbose=False
    )
    assert squared_discrepancy(a, b) == pytest.approx(found["kernel_inception_distance_mean"], rel=1e-6)


@pytest.mark.slow
def test_precision_and_recall_are_torch_fidelitys() -> None:
    theirs: Any = pytest.importorskip("torch_fidelity.metric_prc")
    reals, fakes = two_sets()
    expected = theirs.calculate_precision_recall_full(
        torch.from_numpy(fakes).double(), torch.from_numpy(reals).double()
    )
    found = share_among(fakes, reals, squared_radii(reals, 3)), share_among(reals, fakes, squared_radii(fakes, 3))
    assert found == pytest.approx(expected, abs=1e-6)
    assert min(found) > 0


@pytest.mark.slow
def test_the_inception_score_is_torch_fidelitys() -> None:
    theirs: Any = pytest.importorskip("torch_fidelity.metric_isc")
    logits = np.random.default_rng(0).normal(0, 3, (95, 12)).astype(np.float32)
    expected = theirs.isc_features_to_metric(torch.from_numpy(logits), splits=10, shuffle=False)
    found = scores(logits, 10)
    assert found.mean() == pytest.approx(expected["inception_score_mean"], rel=1e-9)
    assert found.std() == pytest.approx(expected["inception_score_std"], rel=1e-6)
