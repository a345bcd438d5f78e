"""The first images of a data set, for experiments with little data, compared with all of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import attrs

import ganlab
from ganlab.errors import DataError
from ganlab.interfaces import Dataset

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ganlab.interfaces import ImageSet


@attrs.frozen
class First:
    """Training sees the first `count` images of another data set only.

    Metrics compare with `reference`: "whole", which tells a generator that has learnt few images by heart from one that
    has learnt what they have in common, or "part", the images that are trained on.
    """

    examples: ClassVar[Sequence[Mapping[str, Any]]] = (
        {"of": "synthetic", "count": 100},
        {"of": {"name": "synthetic", "classes": 3}, "count": 10, "reference": "part"},
    )

    of: Dataset = ganlab.component("dataset", help="the data set whose first images are taken")
    count: int = ganlab.parameter(help="how many", unit="images", ge=1)
    reference: Literal["whole", "part"] = ganlab.parameter("whole", help="what generated images are compared with")

    def build(self) -> ImageSet:
        """Opens the data set; raises `DataError` where it has fewer images."""
        whole = self.of.build()
        if getattr(whole, "domains", ()):
            raise DataError(f"first: {whole.name} stands for several sets; take the first images of each of them")
        if self.count > whole.count:
            raise DataError(f"first: count: {whole.name} has {whole.count:,} images; expected at most that")
        part = _Part(whole, self.count)
        return part if self.reference == "part" else _PartOfWhole(whole, part)


class _Part:
    """Samples 0 to `count` - 1 of `whole`."""

    def __init__(self, whole: ImageSet, count: int) -> None:
        self._whole = whole
        self.name = f"{whole.name}-first-{count}"
        self.count = count
        self.channels = whole.channels
        self.label_size = whole.label_size
        self.label_names: Sequence[str] = getattr(whole, "label_names", ())
        self.resolutions = whole.resolutions
        self.digest = hashlib.sha256(f"ganlab first {count} of {whole.digest}".encode()).hexdigest()

    def images(self, resolution: int, indices: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        return self._whole.images(resolution, self._checked(indices))

    def labels(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        return self._whole.labels(self._checked(indices))

    def describe(self) -> Mapping[str, Any]:
        whole = self._whole.describe()
        return {**whole, "name": self.name, "count": self.count, "digest": self.digest, "of_count": self._whole.count}

    def _checked(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        import numpy as np

        samples = np.asarray(indices, np.int64)
        if ((samples < 0) | (samples >= self.count)).any():
            raise DataError(f"{self.name}: has samples 0 to {self.count - 1}, another was asked for")
        return samples


class _PartOfWhole:
    """A whole set whose part is the one domain that is shown."""

    def __init__(self, whole: ImageSet, part: _Part) -> None:
        self._whole = whole
        self.domains: Sequence[ImageSet] = (part,)
        self.name = part.name
        self.count = whole.count
        self.channels = whole.channels
        self.label_size = whole.label_size
        self.label_names = part.label_names
        self.resolutions = whole.resolutions
        self.digest = hashlib.sha256(f"ganlab whole beside {part.digest}".encode()).hexdigest()

    def images(self, resolution: int, indices: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        return self._whole.images(resolution, indices)

    def labels(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        return self._whole.labels(indices)

    def describe(self) -> Mapping[str, Any]:
        trained = self.domains[0]
        return {**self._whole.describe(), "name": self.name, "digest": self.digest, "trained_count": trained.count}
