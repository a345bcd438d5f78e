"""The data set that comes with the package, so that a first training needs no download."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from ganlab.interfaces import ImageSet

FOLDER = Path(__file__).parent / "embedded" / "pixel-faces"
BACKGROUNDS = {
    "sky": (0xB6, 0xE3, 0xF4),
    "violet": (0xC0, 0xAE, 0xDE),
    "lavender": (0xD1, 0xD4, 0xF9),
    "pink": (0xFF, 0xD5, 0xDC),
    "peach": (0xFF, 0xDF, 0xBF),
}
"""The classes, by name, and the RGB of their upper left pixel, which no face covers."""


@attrs.frozen
class PixelFaces:
    """4,000 different faces of 16x16 pixels, RGB ("Pixel Art" by DiceBear, CC0 1.0).

    8x8 and 4x4 are averaged; 32x32 and 64x64 repeat each pixel, which is exact for images that are drawn in pixels.
    The five colours of the background are the classes: sky, violet, lavender, pink, peach, of 755 to 860 faces each.
    """

    def build(self) -> ImageSet:
        """Opens the embedded shards."""
        from ganlab.data.shards import ShardSet

        return _Faces(ShardSet(FOLDER), finest=64)


class _Faces:
    """The embedded set, above its finest resolution by repeating pixels, with labels read off the images."""

    def __init__(self, images: ImageSet, *, finest: int) -> None:
        self._images = images
        self._native = images.resolutions[-1]
        self.name = images.name
        self.count = images.count
        self.channels = images.channels
        self.label_names = tuple(BACKGROUNDS)
        self.label_size = len(self.label_names)
        self.digest = images.digest
        above = (self._native << k for k in range(1, finest.bit_length()))
        self.resolutions: Sequence[int] = (*images.resolutions, *(each for each in above if each <= finest))

    def images(self, resolution: int, indices: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        if resolution not in self.resolutions or resolution <= self._native:
            return self._images.images(resolution, indices)
        times = resolution // self._native
        return self._images.images(self._native, indices).repeat(times, axis=2).repeat(times, axis=3)

    def labels(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        import numpy as np

        corners = self._images.images(self._native, indices)[:, :, 0, 0]
        found: npt.NDArray[np.float32] = (corners[:, None] == np.array([*BACKGROUNDS.values()], np.uint8)).all(axis=2)
        return found.astype(np.float32)

    def describe(self) -> Mapping[str, Any]:
        return dict(self._images.describe()) | {"repeated_above": self._native, "classes": list(self.label_names)}
