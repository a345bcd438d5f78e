"""How many floating-point operations a step takes: those of its convolutions and matrix products, which are nearly all.

They are counted from shapes, operation by operation, as the algorithm in use really does them (doubling and halving
fused with a convolution takes fewer than one after the other). PyTorch's own counter follows modules and loses its way
where gradients are taken by `torch.func.grad`; its formulas for single operations are used here.
"""

from __future__ import annotations

from typing import Any

from torch.utils.flop_counter import flop_registry


def operations(func: Any, args: Any, kwargs: Any, out: Any) -> int:
    """Operations of one call of an operator, two a multiply-add; 0 for what is no convolution or matrix product."""
    formula = flop_registry.get(func._overloadpacket)
    return int(formula(*args, **kwargs, out_val=out)) if formula is not None else 0
