"""Binds tensors of our networks to arrays under another program's names and layouts, both ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ganlab.errors import GanlabError

Array = npt.NDArray[Any]


@attrs.frozen
class Binding:
    """Our tensors (one, or several that the other program keeps as one) and the two layout conversions."""

    tensors: tuple[Tensor, ...]
    to_theirs: Callable[[Sequence[Array]], Array]
    to_ours: Callable[[Array], Sequence[Array]]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the other program's array."""
        placeholders = [np.broadcast_to(np.float32(1), tuple(tensor.shape)) for tensor in self.tensors]
        return tuple(self.to_theirs(placeholders).shape)

    @property
    def trained(self) -> bool:
        """Whether these are parameters, not buffers."""
        return all(isinstance(tensor, nn.Parameter) for tensor in self.tensors)

    def value(self) -> Array:
        """The present values in the other program's layout."""
        return _contiguous(self.to_theirs([tensor.detach().cpu().numpy() for tensor in self.tensors]))

    def gradient(self) -> Array:
        """The gradients left by a backward pass in the other program's layout; zeros where there are none."""
        gradients = [torch.zeros_like(t) if t.grad is None else t.grad for t in self.tensors]
        return _contiguous(self.to_theirs([gradient.detach().cpu().numpy() for gradient in gradients]))

    @torch.no_grad()
    def assign(self, array: Array) -> None:
        """Put the other program's array into our tensors."""
        for tensor, value in zip(self.tensors, self.to_ours(array), strict=True):
            tensor.copy_(torch.from_numpy(_contiguous(value)))


def single(tensor: Tensor, to_theirs: Callable[[Array], Array], to_ours: Callable[[Array], Array]) -> Binding:
    """A binding of one tensor."""
    return Binding((tensor,), lambda arrays: to_theirs(arrays[0]), lambda array: (to_ours(array),))


def same(tensor: Tensor) -> Binding:
    """A binding of a tensor that has the same layout in both programs."""
    return single(tensor, lambda array: array, lambda array: array)


def assign_all(bindings: Mapping[str, Binding], arrays: Mapping[str, Array], *, program: str) -> None:
    """Assign every array to its binding. Raises `GanlabError` listing all that do not fit; then nothing changes."""
    problems = [f"missing: {name} {list(bindings[name].shape)}" for name in bindings if name not in arrays]
    problems += [f"unexpected: {name} {list(np.shape(arrays[name]))}" for name in arrays if name not in bindings]
    for name in bindings:
        if name in arrays and tuple(np.shape(arrays[name])) != bindings[name].shape:
            problems.append(f"{name} has shape {list(np.shape(arrays[name]))}, expected {list(bindings[name].shape)}")
    if problems:
        raise GanlabError("\n".join([f"these {program} arrays do not fit the network:", *problems]))
    for name, binding in bindings.items():
        binding.assign(np.asarray(arrays[name], dtype=np.float32))


def check_all_bound(module: nn.Module, bindings: Mapping[str, Binding], *, program: str) -> None:
    """Raise `GanlabError` naming every parameter of `module` that the other program has no place for."""
    bound = {id(tensor) for binding in bindings.values() for tensor in binding.tensors}
    left = [name for name, parameter in module.named_parameters() if id(parameter) not in bound]
    if left:
        raise GanlabError(
            f"the {program} program has no name for {', '.join(left)}; build the network as that program does"
        )


def _contiguous(array: Array) -> Array:
    return np.asarray(array, order="C").copy() if not array.flags.c_contiguous or not array.flags.writeable else array
