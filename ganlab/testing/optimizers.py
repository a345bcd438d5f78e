"""The suite of optimizers, which descend a small quadratic whose gradients are known."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.testing.contract import Broken, Contract, NotApplicable, building, expect
from ganlab.testing.randomness import no_draws
from ganlab.testing.tensors import normal

SHAPES = ((3, 4), (5,), ())


class Descent:
    """Parameters and the optimizer of them; the loss is half the sum of their squares."""

    def __init__(self, component: Any) -> None:
        self.recorded = False
        self.parameters = [nn.Parameter(1 + normal(*shape, seed=n)) for n, shape in enumerate(SHAPES)]
        with building():
            self.optimizer: Any = component.build(self.parameters)

    def steps(self, count: int, *, without: Sequence[int] = ()) -> Descent:
        """Updates by the present gradients, some parameters going without."""
        for _ in range(count):
            for number, parameter in enumerate(self.parameters):
                parameter.grad = None if number in without else parameter.detach().clone()
            if self.recorded:
                self.optimizer.prepare()
            self.optimizer.step()
        return self

    def loss(self) -> float:
        """Half the sum of squares."""
        return float(sum(parameter.detach().square().sum() for parameter in self.parameters)) / 2

    def values(self) -> list[Tensor]:
        """A copy of the parameters."""
        return [parameter.detach().clone() for parameter in self.parameters]


def equal(one: Sequence[Tensor], other: Sequence[Tensor]) -> bool:
    """Bit for bit."""
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def _descends(component: Any) -> None:
    descent = Descent(component)
    groups = descent.optimizer.param_groups
    rates = [float(group["lr"]) for group in groups]
    expect(
        all(rate == component.learning_rate for rate in rates),
        f"its groups have lr {rates}, its parameter `learning_rate` is {component.learning_rate}",
        "give the optimizer lr=self.learning_rate",
    )
    before = descent.loss()
    descent.steps(40)
    expect(
        descent.loss() < before, f"after 40 steps down a quadratic the loss is {descent.loss():.6g}, from {before:.6g}"
    )
    expect(all(bool(torch.isfinite(value).all()) for value in descent.values()), "parameters are no longer finite")
    for group in groups:
        group["lr"] = 0.0
    kept = descent.values()
    descent.steps(1)
    expect(
        equal(kept, descent.values()),
        "with lr = 0 in its groups it still moves",
        'read the rate from group["lr"] at each step: the schedule sets it there',
    )


def _repeatable(component: Any) -> None:
    with no_draws("a step"):
        one, other = Descent(component).steps(5), Descent(component).steps(5)
    expect(equal(one.values(), other.values()), "the same steps from the same start end elsewhere")


def _state(component: Any) -> None:
    descent = Descent(component).steps(4)
    restored = Descent(component)
    with torch.no_grad():
        for parameter, value in zip(restored.parameters, descent.values(), strict=True):
            parameter.copy_(value)
    try:
        restored.optimizer.load_state_dict(copy.deepcopy(descent.optimizer.state_dict()))
    except (RuntimeError, ValueError, KeyError) as error:
        raise Broken("its state does not load into a new one", error=error) from None
    descent.steps(4)
    restored.steps(4)
    expect(equal(descent.values(), restored.values()), "its state saved and restored, it goes on differently")


def _cleared(component: Any) -> None:
    descent = Descent(component).steps(4)
    fresh = Descent(component)
    with torch.no_grad():
        for parameter, value in zip(fresh.parameters, descent.values(), strict=True):
            parameter.copy_(value)
    descent.optimizer.state.clear()
    expect(
        equal(descent.steps(4).values(), fresh.steps(4).values()),
        "after state.clear() it does not go on as a new one would",
    )


def _without_gradient(component: Any) -> None:
    descent = Descent(component)
    kept = descent.values()
    descent.steps(2, without=(1,))
    expect(torch.equal(kept[1], descent.values()[1]), "a parameter that never had a gradient is moved")
    descent.steps(2)
    expect(not torch.equal(kept[1], descent.values()[1]), "a parameter whose first gradient comes late is not moved")


def _recorded(component: Any) -> None:
    recorded = Descent(component)
    if not hasattr(recorded.optimizer, "capturable") or not recorded.optimizer.capturable():
        raise NotApplicable("it has no capturable(), or says no")
    recorded.recorded = True
    expect(equal(recorded.steps(6).values(), Descent(component).steps(6).values()), "recorded steps have other values")


OPTIMIZER = (
    Contract(
        "descends",
        "it goes down, at the rate in its groups, which schedules set",
        "subtract the gradient, scaled, from the parameters",
        _descends,
    ),
    Contract(
        "repeatable",
        "the same gradients give the same parameters",
        "draw no random numbers in a step",
        _repeatable,
    ),
    Contract(
        "state",
        "its `state_dict`, loaded into a new one, goes on bit for bit",
        "keep moments and counts in self.state[parameter], not in attributes of the optimizer",
        _state,
    ),
    Contract(
        "cleared",
        "after `state.clear()`, as when a level is added, it goes on as a new one",
        "make a parameter's state at its first gradient, and keep none elsewhere",
        _cleared,
    ),
    Contract(
        "missing gradients",
        "parameters of levels to come have no gradient: they stay, and join in with their first one",
        "pass over parameters whose grad is None",
        _without_gradient,
    ),
    Contract(
        "recorded steps",
        "with `capturable`, `prepare` and `step` do what `step` alone does",
        "read from tensors, which prepare() fills in, all that changes from step to step",
        _recorded,
    ),
)
