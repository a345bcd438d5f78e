"""Activations worked out again for gradients instead of kept, which is what makes 1024x1024 fit on small devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.utils.checkpoint import checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


def recomputing(part: Callable[..., Tensor], *inputs: Tensor | None) -> Tensor:
    """`part(*inputs)`, of which only the inputs are kept; gradients, of second order too, are the same bit for bit.

    `part` must give the same each time: it may draw no random numbers.
    """
    if not torch.is_grad_enabled():
        return part(*inputs)
    result: Tensor = checkpoint(part, *inputs, use_reentrant=False, preserve_rng_state=False)
    return result
