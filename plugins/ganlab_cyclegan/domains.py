"""Two data sets as one, for systems that are shown images of both side by side."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from ganlab.errors import DataError
from ganlab.interfaces import Dataset
from ganlab.parameters import component

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ganlab.interfaces import ImageSet


@attrs.frozen
class TwoSets:
    """Images of `a` and `b` side by side, each set in an order of its own. Samples are compared with those of `b`.

    The sets need the same channels and a resolution in common; their sizes may differ. Labels are not used.
    """

    examples: ClassVar[Sequence[Mapping[str, Any]]] = ({"a": "synthetic", "b": {"name": "synthetic", "count": 90}},)

    a: Dataset = component("dataset", help="the set whose images are translated for samples")
    b: Dataset = component("dataset", help="the set that they become images of, and are compared with")

    def build(self) -> ImageSet:
        """Opens both; raises `DataError` where they do not go together."""
        a, b = self.a.build(), self.b.build()
        for key, images in (("a", a), ("b", b)):
            if hasattr(images, "domains"):
                raise DataError(f"two-sets: {key}: {images.name} stands for several sets itself")
        if a.channels != b.channels:
            raise DataError(
                f"two-sets: images of a ({a.name}) have {_channels(a)}, those of b ({b.name}) {_channels(b)}; "
                "pack one of them anew with the other's colours"
            )
        common = sorted({*a.resolutions} & {*b.resolutions})
        if not common:
            theirs = "; ".join(f"{key} ({it.name}) has {_listed(it.resolutions)}" for key, it in (("a", a), ("b", b)))
            raise DataError(f"two-sets: no resolution in common: {theirs}")
        return _TwoSets(a, b, common)


class _TwoSets:
    """Set b, with both as its domains."""

    label_size = 0

    def __init__(self, a: ImageSet, b: ImageSet, resolutions: Sequence[int]) -> None:
        self.domains = (a, b)
        self.name = f"{a.name}+{b.name}"
        self.count = b.count
        self.channels = b.channels
        self.resolutions = resolutions
        self.digest = hashlib.sha256(f"ganlab two-sets: {a.digest} {b.digest}".encode()).hexdigest()

    def images(self, resolution: int, indices: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        return self.domains[1].images(resolution, indices)

    def labels(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        import numpy as np

        return np.zeros((len(indices), 0), np.float32)

    def describe(self) -> Mapping[str, Any]:
        a, b = self.domains
        return {
            "name": self.name,
            "count": self.count,
            "channels": self.channels,
            "digest": self.digest,
            "a": dict(a.describe()),
            "b": dict(b.describe()),
        }


def _channels(images: ImageSet) -> str:
    return f"{images.channels} channel{'s' * (images.channels != 1)}"


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers)) or "none"
