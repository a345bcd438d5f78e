"""A tape of the operations that an update consists of, below Python's modules and torch's autograd.

Two tapes of one kind of update tell what of it is the same each time: the operations, their order, their numbers, and
the tensors that stay in place. What is not the same is an obstacle, and is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.weak import WeakTensorKeyDictionary

_OBSTACLES = {
    torch.Tag.nondeterministic_seeded: "draws random numbers of its own",
    torch.Tag.data_dependent_output: "takes a number out of a tensor",
    torch.Tag.dynamic_output_shape: "makes a tensor whose size depends on numbers",
}


@attrs.frozen
class Ref:
    """A tensor of the tape, by number: one that an operation made, or one that was given."""

    made: bool
    number: int

    def __repr__(self) -> str:
        return f"{'%' if self.made else '$'}{self.number}"


@attrs.frozen
class Call:
    """An operation and what it was called with, tensors replaced by their references."""

    operator: OpOverload
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    results: tuple[Ref | None, ...]
    """None for what is no tensor."""
    listed: bool
    """Whether the results came in a list or tuple."""

    def __str__(self) -> str:
        # By its representation, as 1, 1.0 and True are equal, and 0.0 and -0.0 are too.
        return f"{self.operator}{self.args!r}{sorted(self.kwargs.items())!r} -> {self.results!r}"


class Tape(TorchDispatchMode):
    """Within it operations are done as usual, and written down.

    Tensors that operations make are not kept alive; those that were there before are.
    """

    def __init__(self, *, saving: bool = False) -> None:
        """`saving` keeps what is in memories before they are written to; see `saved`."""
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self.calls: list[Call] = []
        self.given: list[Tensor] = []
        self.obstacle: str | None = None
        """Why this cannot be repeated, in words; from there on nothing is written down."""
        self._refs = WeakTensorKeyDictionary()
        self._made = 0
        self._given_at: dict[int, Tensor] = {}
        self._saving = saving
        self._saved: dict[int, tuple[Tensor, Tensor]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        self.obstacle = self.obstacle or _obstacle(func, args)
        if self.obstacle is not None or getattr(func, "namespace", "") == "profiler":  # optimizers name their steps
            return func(*args, **kwargs)
        given, named = tree_map_only(Tensor, self.ref, (tuple(args), kwargs))
        if self._saving and func._schema.is_mutable:
            self._save(_written_by(func, args, kwargs))
        found = func(*args, **kwargs)
        listed = isinstance(found, list | tuple)
        results = tuple(self._result(each) for each in (found if listed else (found,) if func._schema.returns else ()))
        self.calls.append(Call(func, given, named, results, listed))
        return found

    def ref(self, tensor: Tensor) -> Ref:
        """The reference of a tensor that was made here; any other was given, and is kept from now on."""
        known = self._known(tensor)
        if known is None:
            if type(tensor) not in (Tensor, torch.nn.Parameter):
                self.obstacle = self.obstacle or f"a tensor is a {type(tensor).__name__}"
            known = self._refs[tensor] = Ref(made=False, number=len(self.given))
            self.given.append(tensor)
            self._given_at.setdefault(_place(tensor), tensor)
        return known

    def saved(self) -> Sequence[tuple[Tensor, Tensor]]:
        """The memories that were there before and have been written to, as bytes, and what was in them before."""
        return list(self._saved.values())

    def difference(self, other: Tape) -> str | None:
        """What two tapes of one kind of update have different, in words, or None."""
        for mine, theirs in zip(self.calls, other.calls, strict=False):
            if str(mine) != str(theirs):
                return f"{mine.operator} is not called with the same each time"
        if len(self.calls) != len(other.calls):
            return "there are more operations in one than in another"
        for tensor, same in zip(self.given, other.given, strict=True):
            if _description(tensor) != _description(same):
                return f"a tensor of shape {list(tensor.shape)} is made anew each time without torch's operations"
        return None

    def _result(self, found: Any) -> Ref | None:
        if not isinstance(found, Tensor):
            return None
        known = self._known(found)  # operations in place return what they were given
        if known is None:
            known = self._refs[found] = Ref(made=True, number=self._made)
            self._made += 1
        return known

    def _known(self, tensor: Tensor) -> Ref | None:
        known: Ref | None = self._refs.get(tensor)  # type: ignore[no-untyped-call]  # torch's
        return known

    def _save(self, tensors: Iterable[Tensor]) -> None:
        for tensor in tensors:
            place = _place(tensor)
            if place in self._given_at and place not in self._saved:
                given = self._given_at[place]
                whole = torch.empty(0, dtype=torch.uint8, device=given.device).set_(given.untyped_storage())
                self._saved[place] = (whole, whole.clone())


def _obstacle(func: Any, args: Sequence[Any]) -> str | None:
    if not isinstance(func, OpOverload):
        return f"{func} is no single operation"
    if func is torch.ops.aten.index.Tensor and not any(_is_mask(index) for index in args[1]):
        return None  # places have a known number; of a mask's nobody knows
    return next((f"{func} {what}" for tag, what in _OBSTACLES.items() if tag in func.tags), None)


def _is_mask(index: Tensor | None) -> bool:
    return index is not None and index.dtype in (torch.bool, torch.uint8)


def _written_by(func: OpOverload, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[Tensor]:
    for number, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = args[number] if number < len(args) else kwargs.get(argument.name)
            yield from (leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor))


def _place(tensor: Tensor) -> int:
    """Of the tensor's memory; good for as long as something holds it."""
    place: int = tensor.untyped_storage()._cdata
    return place


def _description(tensor: Tensor) -> tuple[object, ...]:
    """Equal for two tensors that are the same numbers of the same memory."""
    return _place(tensor), tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype
