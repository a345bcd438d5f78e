"""The averaged generator: the running average of the generator's weights, which is what is sampled.

Source: Karras et al. 2018 (arXiv 1710.10196), appendix A.1; what is averaged and what copied is as in their programs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Average:
    """Moves `averaged` towards `source`, in place; what belongs together is looked up once, not at every step.

    Which parameters are trainable is read from `source`; its other parameters and its buffers (batch statistics,
    scales) are copied. Raises `ValueError` where the two modules differ in the names of their parameters or buffers.
    """

    def __init__(self, averaged: nn.Module, source: nn.Module) -> None:
        parameters = pairs(dict(averaged.named_parameters()), dict(source.named_parameters()), "parameters")
        buffers = pairs(dict(averaged.named_buffers()), dict(source.named_buffers()), "buffers")
        state = source.state_dict()
        moving = [pair for pair in parameters.values() if pair[1].requires_grad]
        copied = [pair for pair in parameters.values() if not pair[1].requires_grad]
        copied += [buffer for name, buffer in buffers.items() if name in state]  # what is not saved does not change
        self._moving = [a for a, _ in moving], [s for _, s in moving]
        self._copied = [a for a, _ in copied], [s for _, s in copied]

    @torch.no_grad()
    def follow(self, beta: float) -> None:
        """One step: a = s + (a - s) * beta for every trainable parameter.

        `beta` in [0, 1] is a constant of the run, 0.999 as published, whatever the minibatch; 0 copies. Nothing waits
        for the device, and equal inputs give equal bits. Raises `ValueError` for a `beta` outside its range.
        """
        if not 0.0 <= beta <= 1.0:
            raise ValueError(f"expected a beta in [0, 1], got {beta!r}")
        if self._moving[0]:
            torch._foreach_lerp_(*self._moving, 1.0 - beta)
        if self._copied[0]:
            torch._foreach_copy_(*self._copied)


def average_(averaged: nn.Module, source: nn.Module, beta: float) -> None:
    """`Average(averaged, source).follow(beta)`, for a single step."""
    Average(averaged, source).follow(beta)


def pairs(averaged: dict[str, Tensor], source: dict[str, Tensor], what: str) -> dict[str, tuple[Tensor, Tensor]]:
    """By name, the tensors of both that have it."""
    if averaged.keys() != source.keys():
        differing = ", ".join(sorted(averaged.keys() ^ source.keys()))
        raise ValueError(f"the averaged and the source network have different {what}: {differing}")
    return {name: (averaged[name], tensor) for name, tensor in source.items()}
