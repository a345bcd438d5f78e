"""Adam with epsilon beside the uncorrected root, on top of PyTorch's fused kernel.

PyTorch computes rate * (m / c1) / (sqrt(v) / sqrt(c2) + eps) with c = 1 - beta^t. With t so large that both corrections
are exactly 1, and rate * sqrt(c2) / c1 for the rate, that is the authors' rate * sqrt(c2) / c1 * m / (sqrt(v) + eps).
All that changes from update to update is then one number, the rate.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ganlab.cells import Cell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FUSED_DEVICES = frozenset({"cpu", "cuda", "mps"})
TENSOR_RATE_DEVICES = frozenset({"cpu", "cuda"})
"""Where the kernel can read the rate from a tensor."""
LARGE = 100_000
"""Elements of a weight from which a copy takes longer than to see that it is not needed."""
ENDLESS = 1e9
"""Updates after which beta^t is 0 for every beta in use."""


def adam(
    parameters: Iterable[nn.Parameter],
    *,
    learning_rate: float,
    betas: tuple[float, float],
    epsilon: float,
    authors_epsilon: bool,
) -> torch.optim.Optimizer:
    """Adam over `parameters`, in one kernel a step where the device has it."""
    chosen = list(parameters)
    if authors_epsilon:
        return AuthorsAdam(chosen, learning_rate=learning_rate, betas=betas, epsilon=epsilon)
    fused = all(p.device.type in FUSED_DEVICES and p.is_floating_point() for p in chosen)
    return torch.optim.Adam(chosen, lr=learning_rate, betas=betas, eps=epsilon, fused=True if fused else None)


class AuthorsAdam(torch.optim.Optimizer):
    """w -= rate * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + eps).

    As in the authors' program all parameters share the count t of updates since the state was last cleared, and a
    parameter without a gradient counts as one with a zero gradient: it need have no state until it gets its first
    gradient, and starts at the common t then.
    """

    updates: int | None = None
    """t, or None where it is to be read from the state (at the start and after loading)."""
    _rates: list[Cell] | None = None
    """For each group its rate, where steps may be recorded."""

    def __init__(
        self, parameters: Iterable[nn.Parameter], *, learning_rate: float, betas: tuple[float, float], epsilon: float
    ) -> None:
        super().__init__(parameters, {"lr": learning_rate, "betas": betas, "eps": epsilon})

    def capturable(self) -> bool:
        """From now on `step` reads from tensors all that changes from update to update; `prepare` must precede it.

        False, and nothing is changed, where there is no kernel for that. Updates have the same bits either way.
        """
        devices = [group["params"][0].device for group in self.param_groups]
        if not all(device.type in TENSOR_RATE_DEVICES for device in devices):
            return False
        self._rates = [Cell(device) for device in devices]
        return True

    def prepare(self) -> None:
        """What the host does for a step of an optimizer that is `capturable`: count it, and fill in the rates."""
        assert self._rates is not None
        done = self._updates_done()
        for group, rate in zip(self.param_groups, self._rates, strict=True):
            rate.set(_rate(group, done))
        if self.state and not self._counts_in_step():
            torch._foreach_add_([entry["step"] for entry in self.state.values()], 1.0)
        self.updates = done + 1

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters once; `closure`, if given, computes the gradients and returns the loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if self._rates is not None:
            assert self.updates is not None, "prepare() comes first"
            counted = self.updates - 1 if self._counts_in_step() else self.updates
            for group, rate in zip(self.param_groups, self._rates, strict=True):
                steps = self._update(group, counted, rate.tensor)
                if steps and self._counts_in_step():
                    torch._foreach_add_(steps, 1.0)
            return loss
        done = self._updates_done()
        for group in self.param_groups:
            steps = self._update(group, done, _rate(group, done))
            if steps:
                torch._foreach_add_(steps, 1.0)
        self.updates = done + 1
        return loss

    def _update(self, group: dict[str, Any], counted: int, rate: float | Tensor) -> list[Tensor]:
        """Update a group and return its counts; state that is new has `counted`."""
        weights, gradients, means, squares, steps = [], [], [], [], []
        for p in group["params"]:
            gradient, state = p.grad, self.state.get(p)
            if state is None:
                if gradient is None:
                    continue
                state = self.state[p] = {
                    "step": torch.full((), float(counted)),
                    "exp_avg": torch.zeros_like(p),
                    "exp_avg_sq": torch.zeros_like(p),
                }
            given = torch.zeros_like(p) if gradient is None else gradient
            weight, given, mean, square = _as_stored(p, given, state["exp_avg"], state["exp_avg_sq"])
            weights.append(weight)
            gradients.append(given)
            means.append(mean)
            squares.append(square)
            steps.append(state["step"])
        if not weights:
            return steps
        beta1, beta2 = group["betas"]
        if weights[0].device.type in FUSED_DEVICES:
            endless = [torch.full((), ENDLESS, device=weights[0].device)] * len(weights)
            torch._fused_adam_(
                weights,
                gradients,
                means,
                squares,
                [],
                endless,
                lr=rate,
                beta1=beta1,
                beta2=beta2,
                weight_decay=0.0,
                eps=group["eps"],
                amsgrad=False,
                maximize=False,
            )
        else:
            torch._foreach_lerp_(means, gradients, 1 - beta1)
            torch._foreach_mul_(squares, beta2)
            torch._foreach_addcmul_(squares, gradients, gradients, 1 - beta2)
            roots = torch._foreach_sqrt(squares)
            torch._foreach_add_(roots, group["eps"])
            torch._foreach_addcdiv_(weights, means, roots, -rate)
        return steps

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.updates = None

    def _counts_in_step(self) -> bool:
        """Whether counts, which the host's memory has, are where a recorded step can count on."""
        assert self._rates is not None
        return self._rates[0].tensor.device.type == "cpu"

    def _updates_done(self) -> int:
        """The t of the update before this one."""
        if not self.state:
            return 0
        if self.updates is None:
            return int(next(iter(self.state.values()))["step"])
        return self.updates


def _as_stored(*tensors: Tensor) -> tuple[Tensor, ...]:
    """A weight and what goes with it, as their numbers lie in memory, if they are large and all laid out alike.

    The CPU's kernel goes through memory as it comes, but first copies each weight that is not contiguous, for nothing.
    """
    weight = tensors[0]
    if weight.numel() < LARGE or weight.device.type != "cpu" or weight.is_contiguous():
        return tensors
    extent = 1 + sum((count - 1) * step for count, step in zip(weight.shape, weight.stride(), strict=True))
    if extent != weight.numel() or any(tensor.stride() != weight.stride() for tensor in tensors):
        return tensors
    return tuple(tensor.as_strided((tensor.numel(),), (1,)) for tensor in tensors)


def _rate(group: dict[str, Any], done: int) -> float:
    """The rate with both bias corrections of the update after `done` others."""
    beta1, beta2 = group["betas"]
    rate: float = group["lr"] * math.sqrt(1 - beta2 ** (done + 1)) / (1 - beta1 ** (done + 1))
    return rate
