"""The contracts of everything that computes in a training step, whatever its kind, by their titles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ganlab.testing import forwards, gradients
from ganlab.testing.contract import Contract, while_doing
from ganlab.testing.use import Use

Uses = Callable[[Any], Sequence[Use]]


def contracts_of(uses: Uses, *names: str) -> tuple[Contract, ...]:
    """The contracts of these titles for a kind whose components are used as `uses(component)` says."""

    def check_each(check: Callable[[Use], None]) -> Callable[[Any], None]:
        def run(component: Any) -> None:
            for use in uses(component):
                if use.again and check is forwards.compiles:
                    continue
                with while_doing(use.what):
                    check(use)

        return run

    return tuple(
        Contract(title, promise, remedy, check_each(check)) for title, promise, remedy, check in _ALL if title in names
    )


_ALL: tuple[tuple[str, str, str, Callable[[Use], None]], ...] = (
    (
        "inputs unchanged",
        "a forward changes neither its inputs nor its own state (unless `changes_in_forward` says so)",
        "compute into new tensors: x = x * 2 instead of x.mul_(2) or x *= 2",
        forwards.unchanged,
    ),
    (
        "repeatable",
        "the same seed gives the same weights, the same inputs the same outputs; no global generator is drawn from",
        "draw nothing in a forward and keep no count of calls; noise and seeds are handed in",
        forwards.repeatable,
    ),
    (
        "finite gradients",
        "outputs and gradients are finite, for inputs that are all 0 too, and reach every input",
        "mind roots, logarithms and divisions at 0: add an epsilon inside, or choose by torch.where on both sides",
        gradients.finite_gradients,
    ),
    (
        "second-order gradients",
        "gradients can be differentiated again by `torch.func.grad` and autograd, and are right then: for penalties",
        "use differentiable torch operations; no detach(), .data or once_differentiable in it or in its backward",
        gradients.second_order,
    ),
    (
        "state",
        "its `state_dict`, loaded into a new one, gives the same, in evaluation too; updates change it in place",
        "keep what changes in buffers (register_buffer) or parameters of a module, not in Python attributes",
        forwards.state,
    ),
    (
        "bfloat16",
        "under bfloat16 autocast all is finite, and the dtype is the one that the interface says",
        "do sums of squares and statistics in float32 (x.float()) and end with .to(x.dtype)",
        gradients.bfloat16,
    ),
    (
        "channels last",
        "inputs whose channels come last in memory give the same",
        "use reshape() or flatten() instead of view(), and no strides of your own",
        forwards.channels_last,
    ),
    (
        "compiles",
        "torch.compile makes one graph of it, which gives the same",
        "no .item(), print, NumPy or data-dependent `if` in a forward; inner gradients by torch.func.grad",
        forwards.compiles,
    ),
    (
        "devices",
        "moved to another device it works there: tensors without content show it",
        forwards.DEVICES,
        forwards.devices,
    ),
    (
        "samples",
        "what one sample gives depends on others only as `sample_groups` says, so that minibatches can be divided",
        "give the module sample_groups(count) and `exchange`; see ganlab.interfaces.Layer",
        forwards.samples,
    ),
)

EVERY_USE = tuple(title for title, *_ in _ALL)
"""The titles of all of these contracts, in their order."""
