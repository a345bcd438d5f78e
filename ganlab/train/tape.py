"""A tape of the operations that an update consists of, below Python's modules and torch's autograd.

It tells what Python did, so that the same can be done without; and what of it torch did not see or cannot do again.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import attrs
import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from torch.utils.weak import WeakTensorKeyDictionary

_OBSTACLES = {
    torch.Tag.nondeterministic_seeded: "draws random numbers of its own",
    torch.Tag.data_dependent_output: "takes a number out of a tensor",
    torch.Tag.dynamic_output_shape: "makes a tensor whose size depends on numbers",
}
_HIDDEN = {
    Tensor.tolist: "tolist() takes numbers out of a tensor",
    Tensor.numpy: "numpy() takes numbers out of a tensor",
    Tensor.__array__: "numpy takes numbers out of a tensor",
    Tensor.__dlpack__: "__dlpack__() gives a tensor to somebody else",
    Tensor.data.__set__: "a tensor's `data` is set",  # type: ignore[attr-defined]  # it is a property
}
"""What no operation tells of."""


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


class Tape:
    """Operations that were done while it was `watching`.

    Tensors that operations make are not kept alive; those that were there before are.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.given: list[Tensor] = []
        self.obstacle: str | None = None
        """Why this cannot be repeated, in words; from there on nothing is written down."""
        self._refs = WeakTensorKeyDictionary()
        self._made = 0
        self._as_given: list[Tensor] = []
        self._saved: dict[int, tuple[Tensor, Tensor]] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Within, operations are done as usual and written down. Afterwards tensors are what they were before."""
        try:
            with _Hidden(self), _Operations(self):
                yield
        finally:
            self._undo()

    def memories(self) -> list[Tensor]:
        """Of the tensors that were given, as bytes."""
        with usual():
            return list({_place(tensor): _whole(tensor) for tensor in self.given}.values())

    def ref(self, tensor: Tensor) -> Ref:
        """The reference of a tensor that was made here; any other was given, and is kept from now on."""
        known = self._known(tensor)
        if known is None:
            kind = type(tensor).__name__ if tensor.layout is torch.strided else f"tensor of {tensor.layout}"
            if type(tensor) not in (Tensor, torch.nn.Parameter) or tensor.layout is not torch.strided:
                self.obstacle = self.obstacle or f"a tensor is a {kind}"
            known = self._refs[tensor] = Ref(made=False, number=len(self.given))
            self.given.append(tensor)
            with usual():
                self._as_given.append(tensor.detach())
        return known

    def kept_from(self, returned: Iterable[Tensor]) -> bool:
        """Whether somebody keeps a tensor that was made here, but for those `returned` and what they are views of."""
        own = {_place(tensor) for tensor in returned}
        if self._others(own):
            gc.collect()  # it may have been let go
        return self._others(own)

    def difference(self, other: Tape) -> str | None:
        """The first operation that two tapes of one kind of update have different, in words, or None."""
        for mine, theirs in zip(self.calls, other.calls, strict=False):
            if str(mine) != str(theirs):
                return f"{mine.operator} is not called with the same each time"
        return None if len(self.calls) == len(other.calls) else "there are more operations in one than in another"

    def take(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Do an operation and write it down."""
        if self.obstacle is None:
            self.obstacle = _obstacle(func, args, kwargs)
        given, named = tree_map_only(Tensor, self._take_given, (tuple(args), kwargs))
        found = func(*args, **kwargs)
        if self.obstacle is not None or func.namespace == "profiler":  # optimizers name their steps
            return found
        listed = isinstance(found, list | tuple)
        results = tuple(self._result(each) for each in (found if listed else (found,) if func._schema.returns else ()))
        self.calls.append(Call(func, given, named, results, listed))
        return found

    def _take_given(self, tensor: Tensor) -> Ref:
        """Also keeps what is in its memory before anything is done to it: not all operations say what they write to."""
        known = self._known(tensor)
        if known is not None:
            return known
        known = self.ref(tensor)
        if tensor.layout is torch.strided and _place(tensor) not in self._saved:
            with usual():
                whole = _whole(tensor)
                self._saved[_place(tensor)] = (whole, whole.clone())
        return known

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

    def _undo(self) -> None:
        with usual():
            for tensor, before in zip(self.given, self._as_given, strict=True):
                if _shape(tensor) != _shape(before):
                    self.obstacle = self.obstacle or "the shape or the memory of a tensor is changed in place"
                    tensor.data = before
            for whole, numbers in self._saved.values():
                whole.copy_(numbers)
        self._as_given.clear()
        self._saved.clear()

    def _others(self, own: set[int]) -> bool:
        alive = list(self._refs.items())  # type: ignore[no-untyped-call]  # torch's
        return any(ref.made and _place(tensor) not in own for tensor, ref in alive)


class _Operations(TorchDispatchMode):
    """Gives every operation to a tape."""

    supports_higher_order_operators = True

    def __init__(self, tape: Tape) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._tape = tape

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self._tape.take(func, args, kwargs or {})


class _Hidden(TorchFunctionMode):
    """Tells a tape of what is done to tensors without an operation."""

    def __init__(self, tape: Tape) -> None:
        super().__init__()
        self._tape = tape

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self._tape.obstacle is None:
            self._tape.obstacle = _HIDDEN.get(func)
        return func(*args, **(kwargs or {}))


@contextmanager
def usual() -> Iterator[None]:
    """Whatever the mode outside, tensors made within may be written to, and are not differentiated."""
    with torch.inference_mode(False), torch.no_grad():
        yield


def _obstacle(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
    if not isinstance(func, OpOverload):
        return f"{func} is no single operation"
    if func is torch.ops.aten.index.Tensor and not any(_is_mask(index) for index in args[1]):
        return None  # places have a known number; of a mask's nobody knows
    names = [argument.name for argument in func._schema.arguments]
    if "dropout_p" in names and {**dict(zip(names, args, strict=False)), **kwargs}.get("dropout_p", 0.0) == 0.0:
        return None
    return next((f"{func} {what}" for tag, what in _OBSTACLES.items() if tag in func.tags), None)


def _is_mask(index: Tensor | None) -> bool:
    return index is not None and index.dtype in (torch.bool, torch.uint8)


def _whole(tensor: Tensor) -> Tensor:
    """All of the memory that a tensor is in."""
    return torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(tensor.untyped_storage())


def _place(tensor: Tensor) -> int:
    """Of the tensor's memory; good for as long as something holds it."""
    place: int = tensor.untyped_storage()._cdata
    return place


def _shape(tensor: Tensor) -> tuple[object, ...]:
    """Equal for two tensors that are the same numbers of the same memory."""
    if tensor.layout is not torch.strided:
        return (tensor.shape,)
    return _place(tensor), tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype
