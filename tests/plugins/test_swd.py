"""Sliced Wasserstein distance: what it must be on simple sets, and equality with slow loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import wasserstein_distance

from ganlab.errors import GanlabError
from ganlab_metrics.components import SlicedWasserstein
from ganlab_metrics.images import ImageSource, box_downscaled
from ganlab_metrics.patches import descriptors, draw_centres, sliced_distance, standardize
from ganlab_metrics.pyramid import doubled, halved, laplacian_levels
from ganlab_metrics.swd import SlicedWassersteinMetric

Images = npt.NDArray[np.uint8]
SMALL: dict[str, Any] = {"patches_per_image": 16, "directions": 32, "direction_repeats": 2}


def smooth_images(seed: int, count: int, size: int, channels: int = 3, scale: float = 40) -> Images:
    coarse = np.random.default_rng(seed).normal(128, scale, size=(count, channels, size // 4, size // 4))
    fine = np.random.default_rng(seed + 1).normal(0, 10, size=(count, channels, size, size))
    return np.clip(coarse.repeat(4, axis=2).repeat(4, axis=3) + fine, 0, 255).astype(np.uint8)


def source(images: Images) -> ImageSource:
    return lambda start, stop: images[start:stop]


def swd(reals: Images, fakes: Images, seed: int = 1, **parameters: Any) -> dict[str, float]:
    metric = SlicedWasserstein(count=len(reals), **(SMALL | parameters)).build()
    return dict(metric(source(reals), source(fakes), seed=seed))


def test_there_is_a_value_for_each_level_and_their_mean() -> None:
    values = swd(smooth_images(0, 20, 64), smooth_images(5, 20, 64))
    assert list(values) == ["swd/64", "swd/32", "swd/16", "swd/mean"]
    assert values["swd/mean"] == pytest.approx(np.mean([values[f"swd/{level}"] for level in (64, 32, 16)]))


def test_sixteen_pixels_have_one_level() -> None:
    assert list(swd(smooth_images(0, 8, 16), smooth_images(3, 8, 16))) == ["swd/16", "swd/mean"]


def test_the_same_patches_are_at_distance_zero() -> None:
    images = smooth_images(0, 20, 32)
    metric = SlicedWassersteinMetric(SlicedWasserstein(count=20, **SMALL))
    values = metric.compare(
        source(images),
        source(images),
        reals_random=np.random.default_rng(4),
        fakes_random=np.random.default_rng(4),
        directions_random=np.random.default_rng(5),
    )
    assert set(values.values()) == {0.0}


def test_another_set_of_the_same_kind_is_near_and_one_with_stripes_far() -> None:
    reals, others = smooth_images(0, 100, 32), smooth_images(10, 100, 32)
    striped = np.clip(others + np.where(np.arange(32) % 8 < 4, 60.0, -60.0), 0, 255).astype(np.uint8)
    near, far = swd(reals, others, patches_per_image=64), swd(reals, striped, patches_per_image=64)
    assert all(far[level] > 2 * near[level] for level in near), (near, far)


def test_brightness_and_contrast_of_a_channel_do_not_matter() -> None:
    reals, fakes = smooth_images(0, 50, 32), smooth_images(9, 50, 32)
    darker = (fakes.astype(np.int64) // 2 * np.array([1, 1, 0])[:, None, None]).astype(np.uint8)
    darker[:, 2] = fakes[:, 2]
    plain, changed = swd(reals, fakes), swd(reals, darker)
    assert changed["swd/mean"] == pytest.approx(plain["swd/mean"], rel=0.05)


def test_the_order_of_descriptors_does_not_matter() -> None:
    random = np.random.default_rng(0)
    a, b = (random.normal(size=(200, 12)).astype(np.float32) for _ in range(2))
    plain = sliced_distance(a, b, np.random.default_rng(1), 2, 8)
    shuffled = sliced_distance(random.permutation(a), b[::-1], np.random.default_rng(1), 2, 8)
    assert shuffled == pytest.approx(plain, abs=1e-7)


def test_the_result_depends_on_the_seed_alone() -> None:
    reals, fakes = smooth_images(0, 20, 32), smooth_images(7, 20, 32)
    assert swd(reals, fakes, seed=3) == swd(reals, fakes, seed=3)
    assert swd(reals, fakes, seed=3) != swd(reals, fakes, seed=4)


def test_the_size_of_batches_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    reals, fakes = smooth_images(0, 23, 32), smooth_images(7, 23, 32)
    whole = swd(reals, fakes)
    monkeypatch.setattr("ganlab_metrics.images.IMAGES_PER_BATCH", 5)
    monkeypatch.setattr("ganlab_metrics.patches.PROJECTIONS_AT_ONCE", 7 * 23 * 16)
    monkeypatch.setattr("ganlab_metrics.patches.ROWS_PER_BLOCK", 37)
    assert swd(reals, fakes) == pytest.approx(whole, rel=1e-5)


def test_grey_images_are_compared_as_rgb() -> None:
    reals, fakes = smooth_images(0, 20, 32, channels=1), smooth_images(7, 20, 32, channels=1)
    assert swd(reals, fakes) == swd(reals.repeat(3, axis=1), fakes.repeat(3, axis=1))


def test_a_collapsed_generator_has_a_finite_and_large_distance() -> None:
    reals = smooth_images(0, 20, 32)
    collapsed = swd(reals, np.full_like(reals, 90))
    assert np.isfinite(list(collapsed.values())).all()
    assert collapsed["swd/mean"] > 2 * swd(reals, smooth_images(7, 20, 32))["swd/mean"]


def test_larger_images_can_be_compared_at_a_smaller_size() -> None:
    reals, fakes = smooth_images(0, 10, 64), smooth_images(7, 10, 64)
    assert swd(reals, fakes, resolution=32) == swd(box_downscaled(reals, 1), box_downscaled(fakes, 1))


@pytest.mark.parametrize(
    ("reals", "fakes", "parameters", "words"),
    [
        ((4, 3, 8, 8), (4, 3, 8, 8), {}, "at least 16 pixels, not 8"),
        ((4, 3, 32, 32), (4, 3, 16, 16), {}, "32 and fakes of 16"),
        ((4, 3, 32, 16), (4, 3, 32, 16), {}, "square"),
        ((4, 3, 24, 24), (4, 3, 24, 24), {}, "power of two"),
        ((4, 2, 16, 16), (4, 2, 16, 16), {}, "2 channels"),
        ((4, 3, 16, 16), (4, 3, 16, 16), {"resolution": 32}, "use 16 or less"),
    ],
)
def test_unsuitable_images_are_refused(
    reals: tuple[int, ...], fakes: tuple[int, ...], parameters: dict[str, int], words: str
) -> None:
    with pytest.raises(GanlabError, match=words):
        swd(np.zeros(reals, np.uint8), np.zeros(fakes, np.uint8), **parameters)


@pytest.mark.parametrize(
    "arguments", [{"patch_size": 6}, {"count": 0}, {"smallest_level": 24}, {"smallest_level": 8}, {"resolution": 100}]
)
def test_wrong_parameters_are_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected"):
        SlicedWasserstein(**arguments)


# -- slow loops ------------------------------------------------------------------------------------------------------


def mirrored(i: int, n: int) -> int:
    return -i if i < 0 else 2 * (n - 1) - i if i >= n else i


def slowly_smoothed(image: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    kernel = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
    height, width = image.shape
    result = np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            for v in range(5):
                for u in range(5):
                    result[y, x] += kernel[v, u] * image[mirrored(y + v - 2, height), mirrored(x + u - 2, width)]
    return result


def test_pyramid_steps_equal_a_slow_loop() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 12)).astype(np.float64)
    single = image.astype(np.float32)[None, None]
    np.testing.assert_allclose(halved(single)[0, 0], slowly_smoothed(image)[::2, ::2], atol=1e-3)
    spread = np.zeros((16, 24))
    spread[::2, ::2] = image
    np.testing.assert_allclose(doubled(single)[0, 0], 4 * slowly_smoothed(spread), atol=1e-3)


def test_the_levels_add_up_to_the_image_again() -> None:
    images = smooth_images(0, 2, 64)
    fine, middle, coarse = laplacian_levels(images, 3)
    np.testing.assert_allclose(doubled(doubled(coarse) + middle) + fine, images, atol=1e-3)


def test_descriptors_equal_a_slow_loop() -> None:
    images = np.random.default_rng(0).normal(size=(3, 2, 10, 12)).astype(np.float32)
    x, y = draw_centres(np.random.default_rng(1), 12, 10, 3 * 5, patch_size=3)
    found = descriptors(images, x, y, patch_size=3)
    assert found.shape == (15, 2, 3, 3)
    for j in range(15):
        for dx in range(3):
            for dy in range(3):
                pixel = images[j // 5, :, y[j] + dy - 1, x[j] + dx - 1]
                np.testing.assert_array_equal(found[j, :, dx, dy], pixel)


def test_centres_reach_every_place_where_a_patch_fits_and_no_other() -> None:
    x, y = draw_centres(np.random.default_rng(0), 16, 9, 5000, patch_size=7)
    assert set(x) == set(range(3, 13))
    assert set(y) == set(range(3, 6))


def test_standardized_channels_have_mean_zero_and_variance_one() -> None:
    values = np.random.default_rng(0).normal(5, 3, size=(50, 3, 7, 7)).astype(np.float32)
    expected = (values - values.mean(axis=(0, 2, 3), keepdims=True)) / values.std(axis=(0, 2, 3), keepdims=True)
    standardize(values)
    np.testing.assert_allclose(values, expected, atol=1e-5)


def test_the_distance_is_the_mean_of_one_dimensional_wasserstein_distances() -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(size=(40, 6)).astype(np.float32), random.normal(1, 2, size=(40, 6)).astype(np.float32)
    drawn = np.random.default_rng(7).standard_normal((6, 10))
    drawn /= np.linalg.norm(drawn, axis=0)
    expected = np.mean([wasserstein_distance(a @ direction, b @ direction) for direction in drawn.T])
    assert sliced_distance(a, b, np.random.default_rng(7), 1, 10) == pytest.approx(expected, rel=1e-5)
