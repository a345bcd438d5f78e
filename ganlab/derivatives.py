"""Where PyTorch's own second derivatives of convolutions are not to be trusted.

The weight's part of them is a convolution with images for kernels and the minibatch for channels. On processors with
AMX, PyTorch's library (oneDNN, as of torch 2.15) gets some of these wrong in bfloat16 where there are few channels,
without a word: the result has nothing to do with the right one. Seen for 2 to 14 images; from 16 on all were right.
Gradient penalties are made of second derivatives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

FEWEST = 16
"""Images in a minibatch from which on they are right everywhere."""


def processor_has(*names: str) -> bool:
    """Whether the processor has one of these kinds of instructions, by torch's names for them."""
    found: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # not in every torch that is allowed
    return any(found.get(name, False) for name in names)


def has_amx() -> bool:
    """Whether the processor multiplies bfloat16 matrices in tiles."""
    return processor_has("amx_bf16")


def mistrusted(images: Tensor) -> bool:
    """Whether second derivatives of convolutions of `images` `[N, ...]` may be wrong in bfloat16."""
    return len(images) < FEWEST and images.device.type == "cpu" and has_amx()


def brings_its_own(module: nn.Module) -> bool:
    """Whether every convolution in `module` works out its derivatives itself, as its layers say by `own_derivatives`.

    A layer is taken for a convolution by its weight, which has more than two dimensions.
    """
    return all(
        getattr(layer, "own_derivatives", False)
        for layer in module.modules()
        if any(parameter.ndim > 2 for parameter in layer.parameters(recurse=False))
    )
