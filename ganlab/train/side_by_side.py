"""The real images of several domains at once, for systems that train on more than one set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ganlab.train.supply import Reals, Supply

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from ganlab.interfaces import Stage
    from ganlab.train.supply import RowsOf


class SideBySide:
    """The minibatches of several domains, one behind the other in the channels: `[n, domains * C, R, R]`."""

    def __init__(self, supplies: Sequence[Supply]) -> None:
        self._supplies = supplies

    @property
    def rows_of(self) -> RowsOf | None:
        """See `Supply.rows_of`."""
        return self._supplies[0].rows_of

    @rows_of.setter
    def rows_of(self, rows_of: RowsOf | None) -> None:
        for supply in self._supplies:
            supply.rows_of = rows_of

    def look_ahead(self) -> None:
        """As `Supply.look_ahead`."""
        for supply in self._supplies:
            supply.look_ahead()

    def next(self, stage: Stage, images_shown: int, rows: npt.NDArray[np.int64] | None = None) -> Reals:
        """As `Supply.next`, of every domain at the same positions of its own order; labels are those of the first."""
        found = [supply.next(stage, images_shown, rows) for supply in self._supplies]
        return Reals(torch.cat([reals.images for reals in found], dim=1), found[0].labels)
