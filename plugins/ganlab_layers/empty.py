"""The module of an empty slot, so that a network need not treat it apart."""

from __future__ import annotations

from torch import nn


class Empty(nn.Identity):
    """Returns its input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.out_channels = channels
