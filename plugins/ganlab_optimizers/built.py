"""Adam with epsilon beside the uncorrected root, on top of PyTorch's kernels.

PyTorch computes m / (sqrt(v) / sqrt(1 - beta2^t) + eps); giving it eps = epsilon / sqrt(1 - beta2^t) at update t makes
that the authors' sqrt(1 - beta2^t) * m / (sqrt(v) + epsilon), with the fused kernel still doing the work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FUSED_DEVICES = frozenset({"cpu", "cuda", "mps"})


def adam(
    parameters: Iterable[nn.Parameter],
    *,
    learning_rate: float,
    betas: tuple[float, float],
    epsilon: float,
    authors_epsilon: bool,
) -> torch.optim.Adam:
    """Adam over `parameters`, in one kernel a step where the device has it."""
    chosen = list(parameters)
    fused = all(p.device.type in FUSED_DEVICES and p.is_floating_point() for p in chosen)
    kind = AuthorsAdam if authors_epsilon else torch.optim.Adam
    return kind(chosen, lr=learning_rate, betas=betas, eps=epsilon, fused=True if fused else None)


class AuthorsAdam(torch.optim.Adam):
    """Adam whose `eps` is added to the uncorrected root of the average of squared gradients.

    As in the authors' program all parameters share the count t of updates since the state was last cleared, and a
    parameter without a gradient counts as one with a zero gradient: it need have no state until it gets its first
    gradient, and starts at the common t then. `eps` in the parameter groups stays the epsilon that was asked for.
    """

    updates: int | None = None
    """t, or None where it is to be read from the state (at the start and after loading)."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters once; `closure`, if given, computes the gradients and returns the loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        done = self._updates_done()
        self._complete_state(done)
        asked = [group["eps"] for group in self.param_groups]
        try:
            for group in self.param_groups:
                group["eps"] /= (1 - group["betas"][1] ** (done + 1)) ** 0.5
            super().step()
        finally:
            for group, epsilon in zip(self.param_groups, asked, strict=True):
                group["eps"] = epsilon
        self.updates = done + 1
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.updates = None

    def _updates_done(self) -> int:
        """The t of the update before this one. Reading it from a device happens once, after loading."""
        if not self.state:
            return 0
        if self.updates is None:
            return int(next(iter(self.state.values()))["step"])
        return self.updates

    def _complete_state(self, done: int) -> None:
        """Bring parameters that had, or have, no gradient to the state that zero gradients would have given them."""
        if done == 0:
            return
        steps: dict[torch.device, Tensor] = {p.device: state["step"] for p, state in self.state.items()}
        for group in self.param_groups:
            for p in group["params"]:
                if p in self.state:
                    if p.grad is None:
                        p.grad = torch.zeros_like(p)
                elif p.grad is not None:
                    step = steps.get(p.device, next(iter(steps.values())))
                    self.state[p] = {
                        "step": step.clone(),
                        "exp_avg": torch.zeros_like(p),
                        "exp_avg_sq": torch.zeros_like(p),
                    }
