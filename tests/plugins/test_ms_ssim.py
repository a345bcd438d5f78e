"""MS-SSIM: what it must be on simple pairs, and equality with a slow loop."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from ganlab.errors import GanlabError
from ganlab_metrics.components import MultiScaleSimilarity
from ganlab_metrics.images import box_downscaled
from ganlab_metrics.ms_ssim import gaussian_window, similarity

Images = npt.NDArray[np.uint8]


def smooth_images(seed: int, count: int, size: int, channels: int = 3) -> Images:
    coarse = np.random.default_rng(seed).normal(128, 50, size=(count, channels, size // 4, size // 4))
    return np.clip(coarse.repeat(4, axis=2).repeat(4, axis=3), 0, 255).astype(np.uint8)


def noisy(images: Images, strength: float) -> Images:
    noise = np.random.default_rng(99).normal(0, strength, images.shape)
    return np.clip(images + noise, 0, 255).astype(np.uint8)


def ms_ssim(images: Images, **parameters: Any) -> float:
    def fakes(start: int, stop: int) -> Images:
        return images[start:stop]

    metric = MultiScaleSimilarity(pairs=len(images) // 2, **parameters).build()
    values = metric(fakes, fakes, seed=0)
    assert list(values) == ["ms-ssim"]
    return values["ms-ssim"]


@pytest.mark.parametrize("size", [16, 32, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_identical_pairs_score_one(size: int, channels: int) -> None:
    images = smooth_images(0, 4, size, channels)
    np.testing.assert_allclose(similarity(images, images).scores, 1, atol=1e-6)


def test_more_noise_means_less_similarity() -> None:
    images = smooth_images(0, 6, 64)
    scores = [similarity(images, noisy(images, strength)).scores for strength in (2, 8, 32, 128)]
    assert all((more > less).all() for more, less in pairwise(scores))


def test_the_score_is_symmetric_and_between_zero_and_one() -> None:
    a, b = smooth_images(0, 10, 32), smooth_images(1, 10, 32)
    scores = similarity(a, b).scores
    np.testing.assert_allclose(scores, similarity(b, a).scores, atol=1e-12)
    assert (scores >= 0).all()
    assert (scores < 0.6).all()


def test_opposite_images_score_zero_and_no_nan() -> None:
    images = smooth_images(0, 4, 32)
    assert (similarity(images, 255 - images).scores == 0).all()


def test_neighbours_are_the_pairs() -> None:
    images = smooth_images(0, 8, 32)
    images[1::2] = noisy(images[0::2], 20)
    assert ms_ssim(images) == pytest.approx(similarity(images[0::2], images[1::2]).scores.mean())
    assert ms_ssim(images) > ms_ssim(np.roll(images, 1, axis=0)) + 0.2


def test_the_size_of_batches_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    images = smooth_images(0, 14, 32)
    whole = ms_ssim(images)
    monkeypatch.setattr("ganlab_metrics.images.IMAGES_PER_BATCH", 5)
    assert ms_ssim(images) == pytest.approx(whole, abs=1e-12)


def test_grey_images_score_as_rgb_with_equal_channels() -> None:
    images = smooth_images(0, 8, 32, channels=1)
    assert ms_ssim(images) == pytest.approx(ms_ssim(images.repeat(3, axis=1)), abs=1e-9)


def test_larger_images_can_be_compared_at_a_smaller_size() -> None:
    images = noisy(smooth_images(0, 8, 64), 30)
    assert ms_ssim(images, resolution=32) == ms_ssim(box_downscaled(images, 1))


def test_images_without_five_levels_are_refused() -> None:
    with pytest.raises(GanlabError, match="at least 16 pixels, not 8"):
        ms_ssim(smooth_images(0, 2, 8))


def test_averaging_rounds_halves_to_even() -> None:
    block = np.array([[0, 1], [1, 0]], np.uint8)
    images = np.stack([block, block + 1])[:, None]
    assert box_downscaled(images, 1).ravel().tolist() == [0, 2]


def test_windows_sum_to_one_and_are_symmetric() -> None:
    for size in range(1, 12):
        window = gaussian_window(size)
        assert window.sum() == pytest.approx(1)
        np.testing.assert_allclose(window, window[::-1], atol=1e-15)


def test_the_finest_level_equals_a_slow_loop() -> None:
    a, b = smooth_images(0, 1, 16, 2), smooth_images(1, 1, 16, 2)
    window = np.outer(gaussian_window(11), gaussian_window(11))
    values = []
    for channel in range(2):
        for top in range(6):
            for left in range(6):
                x, y = (i[0, channel, top : top + 11, left : left + 11].astype(np.float64) for i in (a, b))
                mean_x, mean_y = (window * x).sum(), (window * y).sum()
                variance_x, variance_y = (window * (x - mean_x) ** 2).sum(), (window * (y - mean_y) ** 2).sum()
                covariance = (window * (x - mean_x) * (y - mean_y)).sum()
                c1, c2 = 2.55**2, 7.65**2
                luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
                values.append(luminance * (2 * covariance + c2) / (variance_x + variance_y + c2))
    assert similarity(a, b).structural[0, 0] == pytest.approx(np.mean(values), abs=1e-9)
