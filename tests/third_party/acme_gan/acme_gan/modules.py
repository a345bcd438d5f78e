"""What the components build; imported when a training begins."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

import ganlab
from ganlab.interfaces import DiscriminatorPass, Exchange, GeneratorPass, LossValue


class MarginLoss(ganlab.AdversarialLossBase):
    """See `acme_gan.components.Margin`."""

    def __init__(self, margin: float) -> None:
        super().__init__()
        self.margin = margin

    def discriminator(self, batch: DiscriminatorPass) -> LossValue:
        """Both sides of the margin."""
        real, fake = batch.real.scores.float(), batch.fake.scores.float()
        return LossValue(torch.relu(self.margin - real) + torch.relu(self.margin + fake), {"acme/real": real.detach()})

    def generator(self, batch: GeneratorPass) -> LossValue:
        """The other way round."""
        return LossValue(-batch.fake.scores.float())


class Range(nn.Module):
    """`[N, C, H, W]` -> `[N, C + 1, H, W]`; see `acme_gan.components.MinibatchRange`."""

    exchange: Exchange | None = None
    """Set where the samples are on several ranks."""

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.out_channels = channels + 1
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Append the map."""
        whole = x if self.exchange is None else self.exchange.gather(x)
        spread = (whole.amax(0) - whole.amin(0)).mean() * self.scale
        return torch.cat([x, spread.expand(x.shape[0], 1, *x.shape[2:])], 1)

    def sample_groups(self, count: int) -> npt.NDArray[np.int64]:
        """Each sample depends on all."""
        return np.zeros(count, np.int64)


class DivideByLargest(nn.Module):
    """See `acme_gan.blocks.Largest`."""

    def __init__(self, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        """Divide."""
        largest: Tensor = x.abs().amax(tuple(range(1, x.ndim)), keepdim=True)
        return x / (largest + self.epsilon)


class RowsOfLength(nn.Module):
    """See `acme_gan.blocks.UnitRows`."""

    def __init__(self, length: float) -> None:
        super().__init__()
        self.length = length

    def initial(self, normal: Tensor) -> Tensor:
        """The draws as they are."""
        return normal

    def forward(self, weight: Tensor) -> Tensor:
        """Scale."""
        squared = weight.square().sum(tuple(range(1, weight.ndim)), keepdim=True)
        return weight * (self.length * torch.rsqrt(squared + 1e-8))


class SignDescent(torch.optim.Optimizer):
    """See `acme_gan.blocks.Signs`."""

    def __init__(self, parameters: Iterable[nn.Parameter], learning_rate: float) -> None:
        super().__init__(parameters, {"lr": learning_rate})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:
        """Step; it takes no closure."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.sub_(group["lr"] * parameter.grad.sign())
