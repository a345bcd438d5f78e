"""Tensors without content: a device, a type, a shape and strides, so that a step can be rehearsed without doing it.

PyTorch's fake tensors do the same for compilers, at 0.35 ms an operation; a rehearsal of every level of a large recipe
has 15,000 of them. Most are alike, so here each is worked out once and then remembered: by PyTorch's "meta" kernels, or
by a fake tensor where those do not say enough, for convolutions (whose layout depends on the device) and for what has
no meta kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

Observer = Callable[[Any, Any, Any, Any], None]
"""Told of each operation: its overload, arguments, keyword arguments and result, with meta tensors for tensors."""

_META = torch.device("meta")
_LAYOUT_BY_DEVICE = frozenset({torch.ops.aten.convolution.default, torch.ops.aten.convolution_backward.default})


class Hollow(Tensor):
    """A tensor on its device for everybody who asks, with a meta tensor in the place of its content."""

    meta: Tensor

    @staticmethod
    def __new__(cls, meta: Tensor, device: torch.device) -> Hollow:
        made: Hollow = torch.Tensor._make_wrapper_subclass(
            cls,
            meta.size(),
            strides=meta.stride(),
            storage_offset=meta.storage_offset(),
            dtype=meta.dtype,
            device=device,
        )
        made.meta = meta
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]  # torch's stub lacks func
        raise RuntimeError(f"{func} on a tensor without content, outside its HollowMode")


class HollowMode(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves this base class untyped
    """Inside, every tensor made is hollow, and `observer` is told of every operation.

    What needs content (`.item()`, a comparison that decides something) raises, as it does with fake tensors.
    """

    def __init__(self, observer: Observer) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self.observer = observer
        self._fake_mode = FakeTensorMode()
        self._answers: dict[Hashable, Any] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        call = _Call(func)
        metas, named = call.emptied(args), call.emptied_named(kwargs or {})
        question = (call.device, *call.question)
        if question in self._answers:
            out = _filled(self._answers[question], lambda answer: answer.again(call.metas))
        else:
            out = self._run(func, metas, named, call.device)
            self._answers[question] = _filled(out, lambda meta: _Answer.to(meta, call.metas))
        self.observer(func, metas, named, out)
        return _filled(out, call.hollow)

    def _run(self, func: Any, args: Any, kwargs: Any, device: torch.device) -> Any:
        if func not in _LAYOUT_BY_DEVICE:
            try:
                return func(*args, **kwargs)
            except NotImplementedError:
                pass
        with self._fake_mode:
            fakes, named = _filled((args, kwargs), lambda meta: _like(meta, device))
            out = func(*fakes, **named)
        return _filled(out, lambda fake: _like(fake, _META))


class _Call:
    """One operation's arguments with meta tensors for hollow ones, and all that its result's form depends on."""

    def __init__(self, func: Any) -> None:
        self.question: list[Any] = [func]
        self.metas: list[Tensor] = []
        self.owners: dict[int, Hollow] = {}
        self._device: torch.device | None = None

    @property
    def device(self) -> torch.device:
        """Where the result is."""
        return self._device or torch.get_default_device()

    def emptied(self, value: Any) -> Any:
        """`value` with meta tensors."""
        if isinstance(value, Tensor):
            meta = self._meta_of(value)
            self.metas.append(meta)
            self.question.append((meta.shape, meta.stride(), meta.dtype))
            return meta
        if isinstance(value, list | tuple):
            self.question.append(len(value))
            return [self.emptied(item) for item in value]
        self.question += [type(value), value]  # 2 and 2.0 and True are equal, and give results of different types
        return value

    def emptied_named(self, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The same for keyword arguments; what is to be made on a device becomes a meta tensor."""
        self.question += kwargs
        named = {name: self.emptied(value) for name, value in kwargs.items()}
        if named.get("device") is not None:
            self._device = torch.device(named["device"])
            named["device"] = _META
        return named

    def hollow(self, meta: Tensor) -> Hollow:
        """The hollow tensor of a meta tensor; what is changed in place is returned as itself."""
        owner = self.owners.get(id(meta))
        if owner is None:
            return Hollow(meta, self.device)
        if owner.shape != meta.shape:
            raise NotImplementedError(f"{self.question[0]} changes a tensor's shape in place")
        return owner

    def _meta_of(self, value: Tensor) -> Tensor:
        if not isinstance(value, Hollow):
            return value.to(_META)  # a constant, such as torch.tensor(0.5)
        self.owners[id(value.meta)] = value
        if self._device is None or value.ndim:  # numbers (0-d) follow the tensors they meet
            self._device = value.device
        return value.meta


@attrs.frozen
class _Answer:
    """The form of a result, and of which argument it is a view or the very object."""

    shape: Sequence[int]
    stride: Sequence[int]
    dtype: torch.dtype
    offset: int
    argument: int | None
    is_argument: bool

    @classmethod
    def to(cls, meta: Tensor, arguments: Sequence[Tensor]) -> _Answer:
        storages = [argument.untyped_storage()._cdata for argument in arguments]
        own = meta.untyped_storage()._cdata
        argument = storages.index(own) if own in storages else None
        is_argument = argument is not None and any(meta is other for other in arguments)
        if is_argument:
            argument = next(number for number, other in enumerate(arguments) if other is meta)
        return cls(meta.shape, meta.stride(), meta.dtype, int(meta.storage_offset()), argument, is_argument)

    def again(self, arguments: Sequence[Tensor]) -> Tensor:
        """The same result of another call with arguments of the same form."""
        if self.argument is None:
            return torch.empty_strided(self.shape, self.stride, dtype=self.dtype, device=_META)
        argument = arguments[self.argument]
        return argument if self.is_argument else argument.as_strided(self.shape, self.stride, self.offset)


def _like(tensor: Tensor, device: torch.device) -> Tensor:
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=device)


def _filled(value: Any, change: Callable[[Any], Any]) -> Any:
    """`value` with `change` done to every tensor or answer in it."""
    if isinstance(value, Tensor | _Answer):
        return change(value)
    if isinstance(value, list | tuple):
        return type(value)([_filled(item, change) for item in value])
    if isinstance(value, dict):
        return {name: _filled(item, change) for name, item in value.items()}
    return value
