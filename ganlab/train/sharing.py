"""Which samples of the present minibatch are this rank's, and how what compares samples sees the others'."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganlab.train.division import Division, comparing_modules, share_of
from ganlab.train.draws import on_device
from ganlab.train.players import Players
from ganlab.train.ranks import Exchange, Ranks


@attrs.define
class Sharing:
    """The division of minibatches among ranks and micro-batches, and the modules that have to know of it."""

    players: Players
    ranks: Ranks
    division: Division
    device: torch.device
    rows: npt.NDArray[np.int64] | None = attrs.field(init=False, default=None)
    """This rank's samples of the present minibatch; None where it is not divided."""
    _minibatch: int = attrs.field(init=False, default=0)
    _comparing: Mapping[str, Any] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._comparing = comparing_modules(self.players)

    @property
    def divides(self) -> bool:
        """Whether minibatches are divided at all."""
        return self.division.parts > 1

    def rows_of(self, minibatch: int) -> npt.NDArray[np.int64]:
        """This rank's samples of a minibatch of so many."""
        return share_of(self.division, minibatch, self._comparing).rows

    def enter(self, minibatch: int) -> None:
        """Minibatches are of so many samples from now on."""
        if not self.divides or minibatch == self._minibatch:
            return
        share = share_of(self.division, minibatch, self._comparing)
        self.rows, self._minibatch = share.rows, minibatch
        self._exchange(Exchange(self.ranks) if share.exchanged else None)

    def whole(self, own: Tensor) -> Tensor:
        """The whole minibatch in its order, of which each rank has its `own` samples."""
        if self.rows is None:
            return own
        found = self.ranks.in_order(own, on_device(torch.from_numpy(self.rows), self.device))
        if own.ndim == len("NCHW") and own.is_contiguous(memory_format=torch.channels_last):
            found = found.contiguous(memory_format=torch.channels_last)  # in which networks round as they do elsewhere
        return found

    @contextmanager
    def whole_seen(self) -> Iterator[None]:
        """While inside, modules that compare samples are shown whole minibatches and ask no other rank."""
        self._exchange(None)
        yield
        minibatch, self._minibatch = self._minibatch, 0
        if self.rows is not None:
            self.enter(minibatch)

    def _exchange(self, exchange: Exchange | None) -> None:
        for module in self._comparing.values():
            if hasattr(module, "exchange"):
                module.exchange = exchange
