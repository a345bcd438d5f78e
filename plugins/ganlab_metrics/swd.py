"""Sliced Wasserstein distance over a Laplacian pyramid, for sets of images larger than memory.

One pass over each set writes the descriptors of all levels to temporary files (128 patches of 7x7x3 float32 an image
and level; 1.2 GB a level for 16384 images), then one level of both sets is in use at a time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from ganlab.errors import GanlabError
from ganlab.randomness import generator

from .components import SlicedWasserstein
from .images import RGB, ImageSource, as_rgb, at_resolution, batches
from .patches import Centres, RandomSource, descriptors, draw_centres, sliced_distance, standardize
from .pyramid import Floats, laplacian_levels


@attrs.frozen
class SlicedWassersteinMetric:
    """The built metric: call it with two sources of images and a seed."""

    settings: SlicedWasserstein

    def facts(self) -> Mapping[str, Any]:
        """What makes values comparable."""
        settings = self.settings
        return {
            "count": settings.count,
            "resolution": settings.resolution or "as they are",
            "resize_filter": "box",
            "patches_per_image": settings.patches_per_image,
            "patch_size": settings.patch_size,
            "directions": settings.direction_repeats * settings.directions,
        }

    def __call__(self, reals: ImageSource, fakes: ImageSource, *, seed: int) -> Mapping[str, float]:
        """`swd/<resolution>` for each level and `swd/mean`, times 1000."""
        return self.compare(
            reals,
            fakes,
            reals_random=generator(seed, "swd/reals"),
            fakes_random=generator(seed, "swd/fakes"),
            directions_random=generator(seed, "swd/directions"),
        )

    def compare(
        self,
        reals: ImageSource,
        fakes: ImageSource,
        *,
        reals_random: RandomSource,
        fakes_random: RandomSource,
        directions_random: RandomSource,
        images_per_draw: int | None = None,
    ) -> Mapping[str, float]:
        """As calling, with the random numbers handed in, in this order: all centres of the reals, all of the fakes,
        then the directions from fine to coarse.

        Centres are drawn for `images_per_draw` images at a time (None: all of them), level by level. Raises
        `GanlabError` for images that are too small, not square, of other sizes in both sets, or not grey or RGB.
        """
        settings = self.settings
        reals, resolution = at_resolution(reals, settings.resolution, settings.smallest_level)
        fakes, fakes_resolution = at_resolution(fakes, settings.resolution, settings.smallest_level)
        if fakes_resolution != resolution:
            raise GanlabError(f"reals of {resolution} and fakes of {fakes_resolution} pixels cannot be compared")
        resolutions = [1 << k for k in range(resolution.bit_length() - 1, 0, -1) if 1 << k >= settings.smallest_level]
        distances = {}
        with tempfile.TemporaryDirectory(prefix="ganlab-swd-") as folder:
            real_levels = self._describe(reals, resolutions, reals_random, images_per_draw, Path(folder, "reals"))
            fake_levels = self._describe(fakes, resolutions, fakes_random, images_per_draw, Path(folder, "fakes"))
            for level in resolutions:
                distances[f"swd/{level}"] = self._distance(real_levels.pop(0), fake_levels.pop(0), directions_random)
        return distances | {"swd/mean": float(np.mean(list(distances.values())))}

    def _distance(self, a: Floats, b: Floats, random: RandomSource) -> float:
        """1000 times the distance of two sets of descriptors `[n, C, s, s]`, which are standardized in place."""
        standardize(a)
        standardize(b)
        settings = self.settings
        flat = (np.asarray(a).reshape(len(a), -1), np.asarray(b).reshape(len(b), -1))
        return 1000 * sliced_distance(*flat, random, settings.direction_repeats, settings.directions)

    def _describe(
        self,
        source: ImageSource,
        resolutions: Sequence[int],
        random: RandomSource,
        images_per_draw: int | None,
        path: Path,
    ) -> list[Floats]:
        """The descriptors of a set at each level, in files that start with `path`."""
        settings = self.settings
        per_image, size = settings.patches_per_image, settings.patch_size
        centres = _centres(settings, resolutions, random, images_per_draw or settings.count)
        shape = (settings.count * per_image, RGB, size, size)
        levels: list[Floats] = [
            np.memmap(f"{path}-{resolution}", np.float32, mode="w+", shape=shape) for resolution in resolutions
        ]
        for start, stop in batches(settings.count, resolutions[0]):
            images = as_rgb(source(start, stop))
            rows = slice(start * per_image, stop * per_image)
            bands = laplacian_levels(images, len(resolutions))
            for level, band, (x, y) in zip(levels, bands, centres, strict=True):
                level[rows] = descriptors(band, x[rows], y[rows], size)
        return levels


def _centres(
    settings: SlicedWasserstein, resolutions: Sequence[int], random: RandomSource, images_per_draw: int
) -> list[tuple[Centres, Centres]]:
    """The centres of all patches of a set, level by level."""
    drawn: list[list[tuple[Centres, Centres]]] = [[] for _ in resolutions]
    for start in range(0, settings.count, images_per_draw):
        images = min(images_per_draw, settings.count - start)
        for level, resolution in zip(drawn, resolutions, strict=True):
            count = images * settings.patches_per_image
            level.append(draw_centres(random, resolution, resolution, count, settings.patch_size))
    return [(np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])) for parts in drawn]
