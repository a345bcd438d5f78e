"""How many floating-point operations a step takes: those of its convolutions and matrix products, which are nearly all.

They are counted from shapes, operation by operation, as the algorithm in use really does them (doubling and halving
fused with a convolution takes fewer than one after the other). PyTorch's own counter follows modules and loses its way
where gradients are taken by `torch.func.grad`; its formulas for single operations are used here.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.flop_counter import flop_registry


def operations(func: Any, args: Any, kwargs: Any, out: Any) -> int:
    """Operations of one call of an operator, two a multiply-add; 0 for what is no convolution or matrix product."""
    packet = func._overloadpacket
    formula = flop_registry.get(packet)
    if formula is None and packet.__name__ in ("addmm_", "baddbmm_"):  # PyTorch knows the formulas of what they add to
        formula = flop_registry.get(getattr(torch.ops.aten, packet.__name__.removesuffix("_")))
    return int(formula(*args, **kwargs, out_val=out)) if formula is not None else 0
