"""Images that cost nothing to have: for tests, benchmarks and trying a recipe before the data is there."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import attrs

import ganlab
from ganlab.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from ganlab.interfaces import ImageSet

VERSION = 1
"""Part of the digest; to be raised when the drawing changes."""
DRAWS = 16
"""Random numbers an image may use."""
RESOLUTIONS = tuple(1 << k for k in range(2, 11))


@attrs.frozen
class Synthetic:
    """One smooth-edged shape on a shaded background, a pure function of the sample number, at any size to 1024.

    With `classes`, sample i is of class i mod classes, which decides the hue and the roundness of its shape.
    """

    count: int = ganlab.parameter(10_000, ge=1, help="Number of different images.", unit="images")
    channels: int = ganlab.parameter(3, choices=(1, 3), help="1 for grey, 3 for RGB.")
    classes: int = ganlab.parameter(0, ge=0, help="Number of labels; 0 for none.")

    def build(self) -> ImageSet:
        """The set; nothing is drawn before it is asked for."""
        return _Shapes(self.count, self.channels, self.classes)


class _Shapes:
    def __init__(self, count: int, channels: int, classes: int) -> None:
        self.name = "synthetic"
        self.count = count
        self.channels = channels
        self.label_size = classes
        self.resolutions: Sequence[int] = RESOLUTIONS
        self.digest = hashlib.sha256(f"ganlab synthetic {VERSION}: {count} {channels} {classes}".encode()).hexdigest()

    def images(self, resolution: int, indices: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        import numpy as np

        if resolution not in self.resolutions:
            raise DataError(f"synthetic: has no images of {resolution}x{resolution}; there are 4x4 to 1024x1024")
        samples = self._checked(indices)
        images = np.empty((len(samples), self.channels, resolution, resolution), np.uint8)
        for image, sample, draws in zip(images, samples, _uniforms(samples), strict=True):
            image[:] = self._draw(resolution, int(sample), draws)
        return images

    def labels(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        import numpy as np

        samples = self._checked(indices)
        if self.label_size == 0:
            return np.zeros((len(samples), 0), np.float32)
        return np.eye(self.label_size, dtype=np.float32)[samples % self.label_size]

    def describe(self) -> Mapping[str, Any]:
        return {
            "name": self.name,
            "source": "drawn by ganlab",
            "licence": "none needed",
            "count": self.count,
            "channels": self.channels,
            "label_size": self.label_size,
            "digest": self.digest,
        }

    def _checked(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        import numpy as np

        samples = np.asarray(indices, np.int64)
        if ((samples < 0) | (samples >= self.count)).any():
            raise DataError(f"synthetic: has samples 0 to {self.count - 1}, another was asked for")
        return samples

    def _draw(self, resolution: int, sample: int, draws: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
        """uint8 `[C, R, R]`: a superellipse, its edge one pixel soft, in coordinates that do not depend on R."""
        import numpy as np

        hue, roundness = draws[0], 1.0 + 3.0 * draws[1]
        if self.label_size:
            share = (sample % self.label_size) / self.label_size
            hue, roundness = share + 0.5 * draws[0] / self.label_size, 1.0 + 3.0 * share
        centre_x, centre_y = 0.3 + 0.4 * draws[2:4]
        radius_x, radius_y = 0.12 + 0.2 * draws[4:6]
        phases = np.arange(3) / 3.0
        colour = 0.5 + 0.45 * np.cos(2 * np.pi * (hue - phases))
        back = 0.5 + 0.4 * np.cos(2 * np.pi * (draws[6] - phases))
        if self.channels == 1:
            colour, back = colour[:1], back[:1] * 0.5
        axis = ((np.arange(resolution) + 0.5) / resolution).astype(np.float32)
        x = np.abs((axis - np.float32(centre_x)) / np.float32(radius_x)) ** np.float32(roundness)
        y = np.abs((axis - np.float32(centre_y)) / np.float32(radius_y)) ** np.float32(roundness)
        distance = (x[np.newaxis] + y[:, np.newaxis]) ** np.float32(1.0 / roundness) - 1.0
        pixels_from_edge = distance * np.float32(min(radius_x, radius_y) * resolution)
        cover = np.clip(0.5 - pixels_from_edge, 0.0, 1.0)
        shade = 0.6 + 0.4 * (draws[7] * axis[np.newaxis] + (1.0 - draws[7]) * axis[:, np.newaxis])
        ground = back[:, np.newaxis, np.newaxis] * shade
        mixed = ground + (colour[:, np.newaxis, np.newaxis] - ground) * cover
        image: npt.NDArray[np.uint8] = np.rint(mixed * 255.0).astype(np.uint8)
        return image


def _uniforms(samples: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """`[n]` -> `[n, DRAWS]` in [0, 1): the SplitMix64 hash (Steele et al. 2014) of sample and draw number."""
    import numpy as np

    numbers = samples[:, np.newaxis] * DRAWS + np.arange(1, DRAWS + 1)
    state: npt.NDArray[np.uint64] = numbers.astype(np.uint64)
    state = state * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    state = state ^ (state >> np.uint64(31))
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53
