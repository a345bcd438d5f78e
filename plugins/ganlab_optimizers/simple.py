"""Parameters of the optimizers without bias correction: gradient descent and RMSProp."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

import ganlab

if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch
    from torch import nn


@attrs.frozen
class Sgd:
    """Gradient descent: m = momentum * m + gradient; w -= learning_rate * m.

    Source: Polyak 1964, in the form of Sutskever et al. 2013 that PyTorch has.
    """

    learning_rate: float = ganlab.parameter(0.01, ge=0, help="step size; a schedule may override it")
    momentum: float = ganlab.parameter(0.0, ge=0, lt=1, help="what the sum of gradients keeps at each update")

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """The optimizer. Raises `ValueError` for no parameters."""
        import torch

        return torch.optim.SGD(parameters, lr=self.learning_rate, momentum=self.momentum)


@attrs.frozen
class RmsProp:
    """RMSProp, which WGAN with weight clipping was published with: w -= learning_rate * g / (sqrt(v) + epsilon).

    v is a running average of the squared gradient, started at 0 and not corrected for it.

    Source: Tieleman & Hinton 2012, lecture 6.5; learning rate of Arjovsky et al. 2017, algorithm 1.
    """

    learning_rate: float = ganlab.parameter(0.00005, ge=0, help="step size; a schedule may override it")
    decay: float = ganlab.parameter(0.99, ge=0, lt=1, help="what the average of squared gradients keeps at each update")
    epsilon: float = ganlab.parameter(1e-8, gt=0, help="keeps the division finite where gradients vanish")

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """The optimizer. Raises `ValueError` for no parameters."""
        import torch

        return torch.optim.RMSprop(parameters, lr=self.learning_rate, alpha=self.decay, eps=self.epsilon)
