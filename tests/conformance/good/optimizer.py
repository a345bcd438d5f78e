"""An optimizer without faults."""

import attrs
import torch

import ganlab


@attrs.frozen
class Heavy:
    """Gradient descent with momentum."""

    learning_rate: float = ganlab.parameter(0.01, ge=0, help="step size")

    def build(self, parameters):
        return HeavyOptimizer(parameters, {"lr": self.learning_rate})


class HeavyOptimizer(torch.optim.Optimizer):
    def capturable(self):
        return True

    def prepare(self):
        pass

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                momentum = state.setdefault("momentum", torch.zeros_like(parameter))
                momentum.mul_(0.5).add_(parameter.grad)
                parameter.sub_(momentum * group["lr"])


@ganlab.hookimpl
def register_optimizers(register):
    register("heavy", Heavy, summary="descent with momentum")
