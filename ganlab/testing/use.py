"""How what a component builds is used in a training step: what the contracts of all kinds are checked on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from ganlab.testing.tensors import Tensors, built


@attrs.frozen(kw_only=True)
class Use:
    """One way in which what a component builds is used."""

    what: str
    """For messages: "for images"."""
    make: Callable[[], Any]
    """Builds it anew."""
    inputs: Tensors
    """By name; float32."""
    call: Callable[[Any, Tensors], Tensors]
    """(what was built, inputs) -> outputs by name."""
    learns_from: Sequence[str] = ()
    """Inputs that gradients are taken with respect to."""
    per_sample: Sequence[str] = ()
    """Inputs whose first axis is the minibatch; so is then that of every output."""
    keeps_dtype: bool = False
    """Whether outputs must have the dtype of inputs, in bfloat16 too."""
    float32_anyhow: bool = False
    """Whether outputs must be float32 under autocast too."""
    zeros: bool = True
    """Whether inputs may be all 0, as the activations of dead units are."""
    again: bool = False
    """Whether it is so much like one before that it is not compiled, too, which takes seconds."""
    penalized: bool = True
    """Whether gradient penalties go through it."""
    advance: Callable[[Any, Tensors], None] = lambda thing, inputs: None
    """What happens to it between two steps, without gradients."""

    def fresh(self, seed: int = 0) -> Any:
        """One with weights of this seed."""
        return built(self.make, seed)

    def other_inputs(self, seed: int) -> Tensors:
        """Inputs of the same shapes: those that are learned from in another order and size."""
        stream = torch.Generator().manual_seed(seed)
        return {
            name: value[torch.randperm(len(value), generator=stream)] * (0.5 + 0.1 * seed)
            if name in self.learns_from
            else value
            for name, value in self.inputs.items()
        }


def leaves(use: Use, inputs: Tensors) -> dict[str, Tensor]:
    """Copies of the inputs, gradients being taken of those that are learned from."""
    return {n: v.detach().clone().requires_grad_(n in use.learns_from) for n, v in inputs.items()}


def parameters_of(thing: Any) -> dict[str, nn.Parameter]:
    """Those that learn."""
    if not isinstance(thing, nn.Module):
        return {}
    return {name: parameter for name, parameter in thing.named_parameters() if parameter.requires_grad}
