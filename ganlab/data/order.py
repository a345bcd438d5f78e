"""Which sample stands at position n of a run, and whether it is mirrored: pure functions of (seed, n).

Nothing about the order needs saving: a resumed run, another number of loader workers and another number of ranks all
ask for positions and get the same samples.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

from ganlab.randomness import generator

if TYPE_CHECKING:
    import numpy.typing as npt

MIRROR_BLOCK = 4096
"""Positions whose mirror draws come from one generator; part of the definition of the draws."""


class Order:
    """The order of a set of `count` samples under `seed`; position 0 is the first image shown.

    Each epoch is a fresh permutation of all samples. The object keeps the latest few permutations, which changes
    nothing but speed. Raises `ValueError` for a negative position or an empty set.
    """

    def __init__(self, seed: int, count: int) -> None:
        if count < 1:
            raise ValueError(f"an order needs at least one sample, got {count}")
        self.seed = seed
        self.count = count
        self._epochs: OrderedDict[int, npt.NDArray[np.int64]] = OrderedDict()
        self._mirrors: OrderedDict[int, npt.NDArray[np.float32]] = OrderedDict()

    def indices(self, start: int, stop: int) -> npt.NDArray[np.int64]:
        """Sample numbers in [0, count) at positions start, ..., stop - 1; int64 `[stop - start]`."""
        _check_span(start, stop)
        parts = []
        position = start
        while position < stop:
            epoch, offset = divmod(position, self.count)
            length = min(stop - position, self.count - offset)
            parts.append(self._permutation(epoch)[offset : offset + length])
            position += length
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def mirror_uniforms(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Uniform draws in [0, 1) at these positions, float32 `[stop - start]`; 0.5 and above means mirrored."""
        _check_span(start, stop)
        parts = []
        position = start
        while position < stop:
            block, offset = divmod(position, MIRROR_BLOCK)
            length = min(stop - position, MIRROR_BLOCK - offset)
            parts.append(self._mirror_block(block)[offset : offset + length])
            position += length
        return np.concatenate(parts) if parts else np.empty(0, np.float32)

    def _permutation(self, epoch: int) -> npt.NDArray[np.int64]:
        if epoch not in self._epochs:
            self._epochs[epoch] = generator(self.seed, "order", epoch).permutation(self.count).astype(np.int64)
            while len(self._epochs) > 2:
                self._epochs.popitem(last=False)
        return self._epochs[epoch]

    def _mirror_block(self, block: int) -> npt.NDArray[np.float32]:
        if block not in self._mirrors:
            self._mirrors[block] = generator(self.seed, "mirror", block).random(MIRROR_BLOCK, np.float32)
            while len(self._mirrors) > 2:
                self._mirrors.popitem(last=False)
        return self._mirrors[block]


def sample_indices(seed: int, count: int, start: int, stop: int) -> npt.NDArray[np.int64]:
    """`Order(seed, count).indices(start, stop)`, for a single look."""
    return Order(seed, count).indices(start, stop)


def mirror_uniforms(seed: int, start: int, stop: int) -> npt.NDArray[np.float32]:
    """`Order(seed, ...).mirror_uniforms(start, stop)`, for a single look; the draws do not depend on the set."""
    return Order(seed, 1).mirror_uniforms(start, stop)


def _check_span(start: int, stop: int) -> None:
    if not 0 <= start <= stop:
        raise ValueError(f"expected 0 <= start <= stop, got {start} and {stop}")
