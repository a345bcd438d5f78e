"""A tape's operations as one function that needs no Python: a graph for the interpreter of TorchScript.

Of TorchScript only the interpreter is used, which calls torch's operations one after another; nothing is compiled from
Python's text, and nothing is optimized. See docs/decisions/0017.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ganlab.train.tape import Call, Ref

_C: Any = torch._C
"""Graphs are made by parts of torch that have no stubs."""
_FORMATS = {torch.contiguous_format: 0, torch.preserve_format: 1, torch.channels_last: 2, torch.channels_last_3d: 3}
"""As torch's operations number them."""

Program = Callable[[], Sequence[Tensor]]


def available() -> bool:
    """Whether this torch has the interpreter."""
    return hasattr(_C, "Graph") and hasattr(_C, "_create_function_from_graph")


def program(calls: Sequence[Call], given: Sequence[Tensor], wanted: Sequence[Ref], *, inference: bool) -> Program:
    """What does the calls on the `given` tensors and returns those `wanted`, which are of inference mode or usual ones.

    Raises `RuntimeError` where that cannot be.
    """
    builder = _Builder()
    for call in _needed(calls, wanted):
        builder.add(call)
    function = builder.function(wanted)
    inputs = [given[number] for number in builder.inputs]

    mode = torch.inference_mode if inference else torch.no_grad

    def run() -> Sequence[Tensor]:
        with mode(), torch.jit.optimized_execution(False):  # type: ignore[attr-defined]  # torch's, which it does not export
            found: Sequence[Tensor] = function(*inputs)
        return found

    return run


def _needed(calls: Sequence[Call], wanted: Sequence[Ref]) -> list[Call]:
    """Those that change something, and those whose results are made use of."""
    used, needed = set(wanted), []
    for call in reversed(calls):
        schema = call.operator._schema
        if schema.is_mutable or not schema.returns or not used.isdisjoint(call.results):
            needed.append(call)
            used.update(_refs((call.args, call.kwargs)))
    return needed[::-1]


def _refs(value: Any) -> list[Ref]:
    return [leaf for leaf in torch.utils._pytree.tree_leaves(value) if isinstance(leaf, Ref)]


class _Builder:
    """A graph that is put together call by call."""

    def __init__(self) -> None:
        self.inputs: list[int] = []
        """The numbers of the given tensors that are used, in the order of the graph's inputs."""
        self._graph = _C.Graph()
        self._values: dict[Ref, Any] = {}
        self._constants: dict[str, Any] = {}

    def add(self, call: Call) -> None:
        schema = call.operator._schema
        arguments = []
        for number, argument in enumerate(schema.arguments):
            value = argument.default_value
            if number < len(call.args):
                value = call.args[number]
            elif argument.name in call.kwargs:
                value = call.kwargs[argument.name]
            arguments.append(self._argument(value, str(argument.type)))
        node = self._append(schema.name, arguments, len(schema.returns))
        if node.schema() == "(no schema)":
            raise RuntimeError(f"{call.operator} cannot be called from a graph with what it is given")
        outputs = list(node.outputs())
        for output, returned in zip(outputs, schema.returns, strict=True):
            output.setType(returned.type)
        if call.listed and len(outputs) == 1:  # a list of tensors
            outputs = list(self._append("prim::ListUnpack", outputs, len(call.results)).outputs())
        for ref, output in zip(call.results, outputs, strict=True):
            if ref is not None:
                self._values.setdefault(ref, output)

    def function(self, wanted: Sequence[Ref]) -> Callable[..., Any]:
        """Of the inputs, returning a tuple of those wanted."""
        values = [self._tensor(ref) for ref in wanted]
        node = self._append("prim::TupleConstruct", values, 1)
        node.output().setType(_C.TupleType([_C.TensorType.get()] * len(values)))
        self._graph.registerOutput(node.output())
        made: Callable[..., Any] = _C._create_function_from_graph("update", self._graph)
        return made

    def _append(self, kind: str, arguments: Sequence[Any], outputs: int) -> Any:
        return self._graph.appendNode(self._graph.create(kind, arguments, outputs))

    def _argument(self, value: Any, kind: str) -> Any:
        if isinstance(value, Ref):
            return self._tensor(value)
        if not isinstance(value, list | tuple):
            if isinstance(value, bool) and kind in ("number", "Tensor"):
                value = int(value)  # numbers of graphs are no booleans
            return self._constant(float(value) if kind == "float" and isinstance(value, int) else value)
        if value and not _refs(value):
            return self._constant([float(each) for each in value] if "float" in kind else list(value))
        element = (
            _C.TensorType.get() if "Tensor" in kind else _C.FloatType.get() if "float" in kind else _C.IntType.get()
        )
        if "Optional[Tensor]" in kind:
            element = _C.OptionalType(element)
        node = self._append("prim::ListConstruct", [self._argument(each, "") for each in value], 1)
        node.output().setType(_C.ListType(element))
        return node.output()

    def _tensor(self, ref: Ref) -> Any:
        if ref not in self._values:
            if ref.made:
                raise RuntimeError(f"{ref} was made by no operation that was seen")
            self.inputs.append(ref.number)
            self._values[ref] = self._graph.addInput()
        return self._values[ref]

    def _constant(self, value: Any) -> Any:
        if isinstance(value, torch.memory_format):
            value = _FORMATS[value]
        elif value is torch.strided:
            value = 0
        name = f"{type(value).__name__} {value!r}"
        if name not in self._constants:
            try:
                self._constants[name] = self._graph.insertConstant(value)
            except TypeError as error:
                raise RuntimeError(f"a {type(value).__name__} is no constant of a graph") from error
        return self._constants[name]
