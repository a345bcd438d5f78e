"""The suite of weight scalings, which are asked for the initial weight first, as the layer that has one does."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.testing.blocks import has_shape
from ganlab.testing.contract import Broken, Contract, building, expect, while_doing
from ganlab.testing.modules import contracts_of
from ganlab.testing.tensors import normal
from ganlab.testing.use import Use

WEIGHTS: Mapping[str, tuple[int, ...]] = {"for a convolution": (6, 4, 3, 3), "for a linear layer": (6, 4)}


def _scaling_uses(component: Any) -> Sequence[Use]:
    def use(what: str, shape: tuple[int, ...]) -> Use:
        def make() -> Any:
            with building():
                scaling = component.build(shape, fan_in=math.prod(shape[1:]), gain=math.sqrt(2))
            return _Started(scaling, shape)

        return Use(
            what=what,
            make=make,
            inputs={"weight": normal(*shape, seed=3)},
            call=lambda started, inputs: {"weight": started.scaling(inputs["weight"])},
            learns_from=("weight",),
            zeros=False,
            again="linear" in what,
            float32_anyhow=True,
            advance=lambda started, inputs: started.refresh(inputs["weight"]),
        )

    return [use(what, shape) for what, shape in WEIGHTS.items()]


class _Started(nn.Module):
    """A weight scaling with the part of the layer that has it: it is asked for the initial weight first."""

    def __init__(self, scaling: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.scaling: Any = scaling
        self.shape = shape

    @torch.no_grad()
    def initialize(self, draw: Callable[[str, tuple[int, ...]], Tensor]) -> None:
        self.scaling.initial(draw("weight", self.shape))

    @torch.no_grad()
    def refresh(self, weight: Tensor) -> None:
        if hasattr(self.scaling, "refresh"):
            self.scaling.refresh(weight)


def _scaling_shapes(component: Any) -> None:
    for use in _scaling_uses(component):
        with while_doing(use.what):
            started, weight = use.fresh(), use.inputs["weight"]
            has_shape(use.call(started, use.inputs)["weight"], tuple(weight.shape))
            draws = normal(*weight.shape, seed=4)
            kept = draws.clone()
            try:
                initial = started.scaling.initial(draws)
            except AttributeError as error:
                raise Broken("initial(normal) fails", "add initial(normal) -> the stored weight", error) from None
            has_shape(initial, tuple(weight.shape), "initial(normal)")
            expect(torch.equal(draws, kept), "initial(normal) changes the draws in place")
            expect(bool(torch.isfinite(initial).all()), "initial(normal) is not finite")
            kept = weight.clone()
            started.refresh(weight)
            expect(torch.equal(weight, kept), "refresh(weight) changes the weight in place")


WEIGHT_SCALING = (
    Contract(
        "shapes",
        "the used weight, and the initial one, have the shape of the stored one; `refresh` leaves the weight alone",
        "return one number for each number of the weight, from the call and from initial(normal)",
        _scaling_shapes,
    ),
    *contracts_of(
        _scaling_uses,
        "inputs unchanged",
        "repeatable",
        "second-order gradients",
        "state",
        "bfloat16",
        "compiles",
        "devices",
    ),
)
