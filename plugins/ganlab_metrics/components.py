"""The parameters of the metrics. What computes them is imported only when they are built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from ganlab.parameters import parameter

if TYPE_CHECKING:
    from ganlab.interfaces import BuiltMetric, Stage


def check_resolution(value: int) -> None:
    """Raise `ValueError` unless `value` is a power of two, 16 or more."""
    if value < 16 or value & (value - 1):
        raise ValueError(f"expected a power of two, 16 or more, got {value!r}")


def check_odd(value: int) -> None:
    """Raise `ValueError` for an even number."""
    if value % 2 == 0:
        raise ValueError(f"expected an odd number, got {value!r}")


def check_size(images: int, reduced: int | None, smallest: int) -> None:
    """Raise `ValueError` where images of so many pixels, `reduced` to fewer, are smaller than a metric needs."""
    if reduced is not None and reduced > images:
        raise ValueError(f"resolution: the run's images have {images} pixels; expected at most that, got {reduced}")
    if min(images, reduced or images) < smallest:
        raise ValueError(f"this metric needs images of {smallest} pixels or more, and the run's have {images}")


@attrs.frozen
class SlicedWasserstein:
    """Sliced Wasserstein distance (SWD) between patches of real and generated images at each level of a pyramid.

    Reports `swd/<resolution>` for the image size, half of it, ... down to `smallest_level`, and `swd/mean`, all times
    1000; smaller is better. Grey images are compared as RGB with three equal channels. Published figures use the
    defaults. Source: Karras et al. 2018, section 5.
    """

    better: ClassVar[Mapping[str, str]] = {"swd": "lower"}
    examples: ClassVar[Sequence[Mapping[str, Any]]] = ({"count": 24, "patches_per_image": 4, "directions": 8},)

    count: int = parameter(16_384, help="Real and generated images that are compared.", unit="images", ge=1)
    patches_per_image: int = parameter(128, help="Patches taken from each image at each level.", ge=1)
    patch_size: int = parameter(
        7, help="Width and height of a patch; an odd number.", unit="pixels", ge=1, le=15, check=check_odd
    )
    direction_repeats: int = parameter(4, help="Sets of random directions that the result is averaged over.", ge=1)
    directions: int = parameter(128, help="Random directions in each set.", ge=1)
    smallest_level: int = parameter(
        16, help="Resolution of the coarsest pyramid level.", unit="pixels", check=check_resolution
    )
    resolution: int | None = parameter(
        None,
        help="Average larger images down to this size first; by default they are compared as they are.",
        unit="pixels",
        check=check_resolution,
    )

    def check_run(self, *, resolution: int, stages: Sequence[Stage]) -> None:
        """Raise `ValueError` where the run's images are too small."""
        check_size(resolution, self.resolution, self.smallest_level)

    def build(self) -> BuiltMetric:
        """A function `(reals, fakes, *, seed) -> {name: value}`; see `ganlab.interfaces.Metric`.

        It raises `GanlabError` for images smaller than `smallest_level`.
        """
        from .swd import SlicedWassersteinMetric

        return SlicedWassersteinMetric(self)


@attrs.frozen
class MultiScaleSimilarity:
    """Multi-scale structural similarity (MS-SSIM) of random pairs of generated images, averaged.

    Reports `ms-ssim`, in [0, 1]: 1 where all images are alike; it is compared with the value of real images. The real
    images are not looked at. Channels are compared one by one. Neither more nor less is better, so that there is no
    best value. Source: Wang et al. 2003; Odena et al. 2017.
    """

    better: ClassVar[Mapping[str, str]] = {}
    examples: ClassVar[Sequence[Mapping[str, Any]]] = ({"pairs": 12},)

    pairs: int = parameter(10_000, help="Pairs of generated images that are compared.", unit="pairs", ge=1)
    resolution: int | None = parameter(
        None,
        help="Average larger images down to this size first; by default they are compared as they are.",
        unit="pixels",
        check=check_resolution,
    )

    def check_run(self, *, resolution: int, stages: Sequence[Stage]) -> None:
        """Raise `ValueError` where the run's images are too small."""
        check_size(resolution, self.resolution, 16)

    def build(self) -> BuiltMetric:
        """A function `(reals, fakes, *, seed) -> {name: value}`; see `ganlab.interfaces.Metric`.

        It raises `GanlabError` for images smaller than 16 pixels, which have no five levels.
        """
        from .ms_ssim import MultiScaleSimilarityMetric

        return MultiScaleSimilarityMetric(self)
