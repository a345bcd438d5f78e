"""Contracts about gradients of what computes in a training step: finite, right to second order, in bfloat16 too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.testing.contract import expect, while_doing
from ganlab.testing.tensors import Tensors, derivative_is_wrong, far, finite, weighted
from ganlab.testing.use import Use, leaves, parameters_of


def finite_gradients(use: Use) -> None:
    """Outputs and gradients are finite and reach every input."""
    for inputs, where in ((use.inputs, ""), (_zeros(use), "for inputs that are 0"))[: 1 + use.zeros]:
        with while_doing(where):
            thing = use.fresh()
            given = leaves(use, inputs)
            outputs = use.call(thing, given)
            finite(outputs, "output")
            parameters = parameters_of(thing)
            total = weighted(outputs)
            expect(total.requires_grad, "its outputs have no gradient", "do not detach(), or compute under no_grad()")
            wanted = [given[name] for name in use.learns_from]
            found: Sequence[Tensor | None] = torch.autograd.grad(
                total, [*wanted, *parameters.values()], allow_unused=True
            )
            for name, gradient in zip([*use.learns_from, *parameters], found, strict=True):
                expect(
                    gradient is not None or name in parameters,
                    f"no gradient reaches the input '{name}'",
                    "let outputs depend on it without detach() or no_grad()",
                )
                if gradient is not None:
                    finite({name: gradient}, "gradient of")


def second_order(use: Use) -> None:
    """A gradient penalty can be differentiated, and rightly."""
    if not use.penalized:
        return
    thing = use.fresh()
    called = _Called(thing, use).double()
    inputs = {name: value.double() for name, value in use.inputs.items()}
    parameters = {name: value for name, value in called.named_parameters() if value.requires_grad}

    def penalty(points: Sequence[Tensor]) -> Tensor:
        varied = dict(zip(use.learns_from, points, strict=False))
        weights = dict(zip(parameters, points[len(use.learns_from) :], strict=True))

        def score(values: Mapping[str, Tensor]) -> Tensor:
            return weighted(torch.func.functional_call(called, weights, ({**inputs, **values},)))

        inner: Mapping[str, Tensor] = torch.func.grad(score)(varied)
        return torch.stack([part.square().sum() for part in inner.values()]).sum()

    points = [inputs[name] for name in use.learns_from] + [parameter.detach() for parameter in parameters.values()]
    zeros = [torch.zeros_like(inputs[name]) for name in use.learns_from] + points[len(use.learns_from) :]
    for at, where in ((points, ""), (zeros, " for inputs that are 0"))[: 1 + use.zeros]:
        roots = [point.clone().requires_grad_() for point in at]
        value = penalty(roots)
        finite({f"gradient penalty{where}": value.detach()}, "the")
        if value.requires_grad:
            found: Sequence[Tensor | None] = torch.autograd.grad(value, roots, allow_unused=True)
            names = [*use.learns_from, *parameters]
            finite(
                {n: g for n, g in zip(names, found, strict=True) if g is not None}, f"second-order gradient{where} of"
            )
    first = len(use.learns_from)
    for what, wrong in (
        ("inputs", derivative_is_wrong(lambda moved: penalty([*moved, *points[first:]]), points[:first])),
        ("weights", derivative_is_wrong(lambda moved: penalty([*points[:first], *moved]), points[first:])),
    ):
        expect(wrong is None, f"the derivative of a gradient penalty by {what} is wrong or missing: {wrong}")


def bfloat16(use: Use) -> None:
    """Under autocast all is finite and of the dtype that the interface says."""
    thing = use.fresh()
    with torch.no_grad():
        exact = use.call(thing, use.inputs)
    for name, value in exact.items():
        expect(
            value.dtype == torch.float32,
            f"given float32 it returns '{name}' in {_short(value.dtype)}",
            "return x.to(the dtype of what was given)",
        )
    thing = use.fresh()
    low = {n: v.bfloat16() if use.keeps_dtype and n in use.learns_from else v for n, v in use.inputs.items()}
    given = leaves(use, low)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = use.call(thing, given)
    for name, value in outputs.items():
        expected = torch.bfloat16 if use.keeps_dtype else torch.float32 if use.float32_anyhow else None
        expect(
            value.dtype == expected if expected else value.is_floating_point(),
            f"under bfloat16 autocast it returns '{name}' in {_short(value.dtype)}, "
            f"given {_short(next(low[n].dtype for n in (*use.learns_from, *low)))}",
            "end with .to(x.dtype), where x is what was given; under autocast float() widens and products narrow",
        )
        if use.keeps_dtype or use.float32_anyhow:
            off = far(exact[name], value, 0.2)
            expect(off is None, f"under bfloat16 autocast '{name}' is off by {off} of {float(exact[name].abs().max())}")
    finite(outputs, "under bfloat16 autocast, output")
    total = weighted({name: value.float() for name, value in outputs.items()})
    targets = {**{n: given[n] for n in use.learns_from}, **parameters_of(thing)}
    if total.requires_grad and targets:
        found: Sequence[Tensor | None] = torch.autograd.grad(total, list(targets.values()), allow_unused=True)
        gradients = {name: g for name, g in zip(targets, found, strict=True) if g is not None}
        finite(gradients, "under bfloat16 autocast, gradient of")


class _Called(nn.Module):
    """A use as a module, whose parameters can be replaced."""

    def __init__(self, thing: Any, use: Use) -> None:
        super().__init__()
        self.thing = thing
        self._call = use.call

    def forward(self, inputs: Tensors) -> Tensors:
        return self._call(self.thing, inputs)


def _zeros(use: Use) -> Tensors:
    return {n: torch.zeros_like(v) if n in use.learns_from else v for n, v in use.inputs.items()}


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
