"""Decoded images of one resolution, kept where they are needed: in memory, or on the device that trains."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    import numpy.typing as npt

    from ganlab.interfaces import ImageSet


def level_bytes(images: ImageSet, resolution: int) -> int:
    """Size of all images of a set, decoded at a resolution."""
    return images.count * images.channels * resolution * resolution


class DecodedLevel:
    """Room for every image of a set at one resolution, filled as they come.

    Pixels lie channels-last, as the networks want them, and are handed out as `[n, C, R, R]`. `put` may be called from
    any thread for a level in memory, and from the reader's only for one on a device.
    """

    def __init__(self, images: ImageSet, resolution: int, device: torch.device | None = None) -> None:
        shape = (images.count, resolution, resolution, images.channels)
        self._pixels = torch.empty(shape, dtype=torch.uint8, device=device)
        self._present = np.zeros(images.count, np.bool_)
        self._lock = threading.Lock()
        self.missing = images.count
        """Images not here yet."""
        self.nbytes = level_bytes(images, resolution)

    def has(self, indices: npt.NDArray[np.int64]) -> bool:
        """Whether all these samples are here."""
        return self.missing == 0 or bool(self._present[indices].all())

    def absent(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Those of `indices` that are not here yet, ascending."""
        return np.unique(indices[~self._present[indices]])

    def put(self, indices: npt.NDArray[np.int64], pixels: npt.NDArray[np.uint8]) -> None:
        """Keep `pixels`, `[n, C, R, R]`, in memory."""
        # Two threads may put the same sample; they put the same bytes. Pixels come before the mark that they are here.
        # By numpy: a torch operation would start a team of threads in each worker.
        self._pixels.numpy()[indices] = pixels.transpose(0, 2, 3, 1)
        self._mark(indices)

    def put_at(self, indices: npt.NDArray[np.int64], at: Tensor, pixels: Tensor) -> None:
        """Keep `pixels` of the level's own device; `at` is `indices` on that device."""
        self._pixels[at] = pixels.permute(0, 2, 3, 1)
        self._mark(indices)

    def get(self, at: Tensor, *, pinned: bool = False) -> Tensor:
        """The samples `at` (int64 `[n]` on the level's device), uint8 `[n, C, R, R]`, channels-last."""
        if not pinned:
            return self._pixels.index_select(0, at).permute(0, 3, 1, 2)
        out = torch.empty((len(at), *self._pixels.shape[1:]), dtype=torch.uint8, pin_memory=True)
        return torch.index_select(self._pixels, 0, at, out=out).permute(0, 3, 1, 2)

    def _mark(self, indices: npt.NDArray[np.int64]) -> None:
        with self._lock:
            self._present[indices] = True
            self.missing = len(self._present) - int(np.count_nonzero(self._present))
