"""A second set of images out of a first: a half of it in other colours, so that the true translation is known.

Two halves have no image in common, so there are no pairs to learn from; but as the change of colours is a function, how
near a translation comes to the truth can be measured.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import attrs

from ganlab.errors import DataError
from ganlab.interfaces import Dataset
from ganlab.parameters import component, parameter

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ganlab.interfaces import ImageSet

VERSION = 1
"""Part of the digest; to be raised when the arithmetic changes."""
Colours = Literal["unchanged", "rotated", "negative", "grey"]
Part = Literal["all", "first-half", "second-half"]
LUMA = (19595, 38470, 7471)
"""0.299, 0.587, 0.114 (ITU-R BT.601) as parts of 65,536."""


@attrs.frozen
class Recoloured:
    """All images of a set, or half of them, in other colours."""

    examples: ClassVar[Sequence[Mapping[str, Any]]] = ({"source": "synthetic", "part": "first-half"},)

    source: Dataset = component("dataset", help="the set that the images are taken from")
    part: Part = parameter(
        "all", choices=("all", "first-half", "second-half"), help="which of its images, by their numbers"
    )
    colours: Colours = parameter(
        "unchanged",
        choices=("unchanged", "rotated", "negative", "grey"),
        help="'rotated': red becomes green, green blue and blue red; 'negative': 255 minus each value; 'grey': luma",
    )

    def build(self) -> ImageSet:
        """The set; raises `DataError` for a half of one image, and for hues of grey images."""
        images = self.source.build()
        if getattr(images, "domains", ()):
            raise DataError(
                f"recoloured: {images.name} stands for other sets, which would be lost; put recoloured inside it, or "
                'with `first` set reference = "part"'
            )
        if self.colours == "rotated" and images.channels != 3:
            raise DataError(f"recoloured: colours 'rotated' needs RGB images, and {images.name} has grey ones")
        middle = images.count // 2
        start, stop = {"all": (0, images.count), "first-half": (0, middle), "second-half": (middle, images.count)}[
            self.part
        ]
        if start == stop:
            raise DataError(f"recoloured: {images.name} has too few images ({images.count}) to be halved")
        return _Recoloured(images, start, stop, self)


def recolour(images: npt.NDArray[np.uint8], colours: Colours) -> npt.NDArray[np.uint8]:
    """uint8 `[N, C, R, R]` -> the same in other colours."""
    import numpy as np

    if colours == "rotated":
        return np.roll(images, 1, axis=1)
    if colours == "negative":
        return 255 - images
    if colours == "grey" and images.shape[1] == 3:
        luma = np.einsum("nchw,c->nhw", images.astype(np.int64), np.array(LUMA)) + 32768 >> 16
        return np.repeat(luma[:, np.newaxis].astype(np.uint8), 3, axis=1)
    return images


class _Recoloured:
    def __init__(self, images: ImageSet, start: int, stop: int, config: Recoloured) -> None:
        self._images = images
        self._start = start
        self._colours = config.colours
        ending = {"all": "", "first-half": "-1st-half", "second-half": "-2nd-half"}[config.part]
        self.name = images.name + ending + ("" if config.colours == "unchanged" else f"-{config.colours}")
        self.count = stop - start
        self.channels = images.channels
        self.label_size = images.label_size
        self.resolutions: Sequence[int] = images.resolutions
        text = f"ganlab recoloured {VERSION}: {images.digest} {start} {stop} {config.colours}"
        self.digest = hashlib.sha256(text.encode()).hexdigest()
        if hasattr(images, "label_names"):
            self.label_names = images.label_names

    def images(self, resolution: int, indices: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        return recolour(self._images.images(resolution, self._moved(indices)), self._colours)

    def labels(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        return self._images.labels(self._moved(indices))

    def describe(self) -> Mapping[str, Any]:
        return dict(self._images.describe()) | {
            "name": self.name,
            "part": [self._start, self._start + self.count],
            "colours": self._colours,
            "count": self.count,
            "digest": self.digest,
        }

    def _moved(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        import numpy as np

        samples = np.asarray(indices, np.int64)
        if ((samples < 0) | (samples >= self.count)).any():
            raise DataError(f"{self.name}: has samples 0 to {self.count - 1}, another was asked for")
        return samples + self._start
