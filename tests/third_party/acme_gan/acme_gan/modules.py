"""What the components build; imported when a training begins."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import ganlab
from ganlab.interfaces import DiscriminatorPass, GeneratorPass, LossValue


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

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.out_channels = channels + 1
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """Append the map."""
        spread = (x.amax(0) - x.amin(0)).mean() * self.scale
        return torch.cat([x, spread.expand(x.shape[0], 1, *x.shape[2:])], 1)
