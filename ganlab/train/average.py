"""The averaged generator: the running average of the generator's weights, which is what is sampled.

Source: Karras et al. 2018 (arXiv 1710.10196), appendix A.1; what is averaged and what copied is as in their programs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


@torch.no_grad()
def average_(averaged: nn.Module, source: nn.Module, beta: float) -> None:
    """Move `averaged` towards `source`, in place: a = s + (a - s) * beta for every trainable parameter.

    Which are trainable is read from `source`; its other parameters and its buffers (batch statistics, scales) are
    copied. `beta` in [0, 1] is a constant of the run, 0.999 as published, whatever the minibatch; 0 copies. Nothing
    waits for the device, and equal inputs give equal bits. Raises `ValueError` where the two modules differ in the
    names of their parameters or buffers, or for a `beta` outside its range.
    """
    if not 0.0 <= beta <= 1.0:
        raise ValueError(f"expected a beta in [0, 1], got {beta!r}")
    parameters = pairs(dict(averaged.named_parameters()), dict(source.named_parameters()), "parameters")
    buffers = pairs(dict(averaged.named_buffers()), dict(source.named_buffers()), "buffers")
    moving = [(a, s) for a, s in parameters if s.requires_grad]
    copied = [(a, s) for a, s in parameters if not s.requires_grad] + buffers
    if moving:
        torch._foreach_lerp_([a for a, _ in moving], [s for _, s in moving], 1.0 - beta)
    if copied:
        torch._foreach_copy_([a for a, _ in copied], [s for _, s in copied])


def pairs(averaged: dict[str, Tensor], source: dict[str, Tensor], what: str) -> list[tuple[Tensor, Tensor]]:
    """The tensors of both that have the same name."""
    if averaged.keys() != source.keys():
        differing = ", ".join(sorted(averaged.keys() ^ source.keys()))
        raise ValueError(f"the averaged and the source network have different {what}: {differing}")
    return [(averaged[name], tensor) for name, tensor in source.items()]
