"""The discriminator that losses are tested with."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from ganlab.interfaces import Critique
from ganlab.testing.tensors import normal

CHANNELS, SIZE = 2, 4
"""Of its images."""


class SmallCritic(nn.Module):
    """A discriminator without kinks, so that its derivatives can be checked; no sample acts on another."""

    def __init__(self, label_size: int) -> None:
        super().__init__()
        self.features = nn.Parameter(0.5 * normal(5, CHANNELS * SIZE * SIZE, seed=11))
        self.head = nn.Parameter(0.5 * normal(1 + label_size, 5, seed=12))

    patches = 0
    """Patches that each image is judged by, all alike; 0 for one score an image."""
    enlarged = 1.0
    """Times all scores and logits; a discriminator that is far ahead has large ones."""
    low = False
    """Whether it computes in bfloat16; scores are float32 all the same, as training hands them on."""

    def forward(self, images: Tensor, draw: Literal["reals", "fakes", "mixed"] = "reals") -> Critique:
        if self.low:
            with torch.autocast(images.device.type, dtype=torch.bfloat16):
                return self._judged(images)
        return self._judged(images)

    def _judged(self, images: Tensor) -> Critique:
        out = torch.tanh(images.flatten(1) @ self.features.t().to(images)) @ self.head.t().to(images)
        out = self.enlarged * (out.float() if self.low else out)
        scores = out[:, :1].expand(-1, self.patches) if self.patches else out[:, 0]
        return Critique(scores, out[:, 1:] if out.shape[1] > 1 else None)
