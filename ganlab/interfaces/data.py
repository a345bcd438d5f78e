"""Data sets: where real images come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Dataset(Protocol):
    """Kind `dataset`: where the real images come from."""

    def build(self) -> ImageSet:
        """Opens the data; raises `DataError` naming the file and the remedy."""
        ...


class ImageSet(Protocol):
    """Real images with the same keys in the same order at every resolution. Knows nothing of torch.

    It may have `label_names`, a sequence of the classes' names. One that stands for several sets shown side by side has
    `domains`, a sequence of the image sets; its own images are then those that samples are compared with. Each domain
    is shown in an order of its own.
    """

    name: str
    count: int
    channels: int
    label_size: int
    """Number of classes, 0 without labels."""
    resolutions: Sequence[int]
    """Resolutions that can be read, ascending."""
    digest: str
    """Identifies the content; the same for every way of storing the same images."""

    def images(self, resolution: int, indices: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """uint8 `[n, C, resolution, resolution]` for sample numbers in [0, count)."""
        ...

    def labels(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """One-hot float32 `[n, label_size]`."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """Plain facts for people and for MLflow: source, licence, counts, digest."""
        ...
