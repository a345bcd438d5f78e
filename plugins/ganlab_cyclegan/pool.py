"""A pool of earlier fakes, so that critics do not forget what the translators no longer make.

Zhu et al. 2017, section 4, after Shrivastava et al. 2017.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ganlab_layers.resampling import upscale

CHANCES = 2
"""Uniform numbers that each image needs: whether an earlier one takes its place, and which."""


class Pool(nn.Module):
    """`size` images `[C, R, R]` in buffers; nothing in it waits for the device or looks at a value.

    Images of a coarser resolution are kept with repeated pixels, and read back exactly. So nothing changes its shape
    while a network grows, and what was kept at one level is at the next what the coarser branch would show there.
    """

    kept: Tensor
    """`[size, C, R, R]`; those from `count` on are not used yet."""
    count: Tensor
    """How many are in it, 0-d."""

    def __init__(self, size: int, shape: Sequence[int]) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("kept", torch.zeros(size, *shape))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def forward(self, fakes: Tensor, uniform: Tensor) -> Tensor:
        """`[N, C, r, r]`, r up to R, and uniform draws `[N, 2]` in [0, 1) -> what is shown in their place.

        The images come one after another. While there is room, one is kept and shown; later, half of the time, one of
        the pool is shown and the new one takes its place there; else the new one is shown and not kept.
        """
        step = self.kept.shape[-1] // fakes.shape[-1]
        whole = upscale(fakes, step).to(self.kept.dtype)
        shown = []
        for number in range(len(fakes)):
            fresh = whole[number : number + 1]
            filling = self.count < self.size
            drawn = (uniform[number, 1] * self.size).long().clamp(max=self.size - 1)  # a product may round up to size
            place = torch.where(filling, self.count, drawn).reshape(1)
            earlier = self.kept.index_select(0, place)
            swap = ~filling & (uniform[number, 0] >= 0.5)
            self.kept.index_copy_(0, place, torch.where(filling | swap, fresh, earlier))
            self.count.copy_((self.count + 1).clamp(max=self.size))
            shown.append(torch.where(swap, earlier, fresh))
        return torch.cat(shown)[:, :, ::step, ::step].to(fakes.dtype)
