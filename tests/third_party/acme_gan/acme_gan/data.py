"""A data set, a metric and a feature network; numpy is imported by what needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

import ganlab
from ganlab.interfaces import Features, ImageSource

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@attrs.frozen
class Checkers:
    """Checkers of 4x4 fields with two shades of grey each."""

    count: int = ganlab.parameter(64, ge=1, le=128, unit="images", help="number of different images")

    def build(self) -> CheckerImages:
        """The images."""
        return CheckerImages(self.count)


class CheckerImages:
    """A `ganlab.interfaces.ImageSet`."""

    name = "checkers"
    channels = 1
    label_size = 0
    resolutions: Sequence[int] = (4, 8, 16, 32)

    def __init__(self, count: int) -> None:
        self.count = count
        self.digest = f"checkers {count}"

    def images(self, resolution: int, indices: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Sample i has the shades i and 255 - i."""
        import numpy as np

        if resolution not in self.resolutions:
            raise ganlab.GanlabError(f"checkers: has no images of {resolution}x{resolution}")
        field = np.arange(resolution) * 4 // resolution
        dark = ((field[:, None] + field) % 2 == 0)[None, None]
        shade = self._checked(indices)[:, None, None, None]
        return np.where(dark, shade, 255 - shade).astype(np.uint8)

    def labels(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """None."""
        import numpy as np

        return np.zeros((len(self._checked(indices)), 0), np.float32)

    def _checked(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        import numpy as np

        numbers = np.asarray(indices, np.int64)
        if ((numbers < 0) | (numbers >= self.count)).any():
            raise ganlab.GanlabError(f"checkers: has samples 0 to {self.count - 1}")
        return numbers

    def describe(self) -> Mapping[str, Any]:
        """What it is."""
        return {"source": "drawn", "count": self.count, "digest": self.digest}


@attrs.frozen
class Brightness:
    """Mean of the fakes minus mean of the reals, in [-255, 255]."""

    better: ClassVar[Mapping[str, str]] = {}

    count: int = ganlab.parameter(64, ge=1, unit="images", help="images of each")

    def build(self) -> Brightness:
        """It has no state."""
        return self

    def __call__(self, reals: ImageSource, fakes: ImageSource, *, seed: int) -> Mapping[str, float]:
        """The difference."""
        means = [float(images(0, self.count).mean()) for images in (reals, fakes)]
        return {"brightness": means[1] - means[0]}


@attrs.frozen
class Quarters:
    """Mean of each quarter of an image, by colour."""

    def build(self) -> QuartersExtractor:
        """The extractor."""
        return QuartersExtractor()


class QuartersExtractor:
    """A `ganlab.interfaces.FeatureExtractor`."""

    digest = "quarters 1"
    feature_size = 12

    def facts(self) -> Mapping[str, Any]:
        """What it is."""
        return {"name": "quarters", "input_size": "any", "resize_filter": "none", "digest": self.digest}

    def __call__(self, images: npt.NDArray[np.uint8]) -> Features:
        """`[N, 12]`."""
        import numpy as np

        height, width = images.shape[2] // 2, images.shape[3] // 2
        rgb = np.broadcast_to(images, (len(images), 3, *images.shape[2:])) / 255
        halves = (slice(None, -height), slice(height, None)), (slice(None, -width), slice(width, None))
        means = [rgb[:, :, rows, columns].mean(axis=(2, 3)) for rows in halves[0] for columns in halves[1]]
        return Features(np.concatenate(means, axis=1).astype(np.float32), None)
