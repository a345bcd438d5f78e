"""A layer without faults; tests change one line of it at a time."""

import attrs
import numpy as np
import torch
from torch import nn

import ganlab


@attrs.frozen
class Gate:
    """Appends a map of a learned sum over channels, the root mean square of each sample, and its minibatch's mean."""

    scale: float = ganlab.parameter(1.0, gt=0, help="times the maps")

    def build(self, channels):
        return GateModule(channels, self.scale)


class GateModule(nn.Module):
    exchange = None

    def __init__(self, channels, scale):
        super().__init__()
        self.out_channels = channels + 3
        self.scale = scale
        self.weight = nn.Parameter(torch.ones(channels))
        self.register_buffer("shift", torch.full((1,), 0.5))

    def sample_groups(self, count):
        return np.zeros(count, np.int64)

    def forward(self, x):
        wide = x if x.dtype == torch.float64 else x.float()
        flat = wide.flatten(2).mean(2) if wide.ndim > 2 else wide
        total = (flat * self.weight).sum(1, keepdim=True)
        size = (flat.square().mean(1, keepdim=True) + 1e-8).sqrt() + self.shift
        mean = flat.mean(1, keepdim=True).square().mean(0, keepdim=True).expand(len(x), 1)
        maps = self.scale * torch.cat([total, size, mean], dim=1)
        maps = maps.reshape(len(x), 3, *[1] * (x.ndim - 2)).expand(len(x), 3, *x.shape[2:])
        return torch.cat([x, maps.to(x.dtype)], dim=1)


@ganlab.hookimpl
def register_layers(register):
    register("gate", Gate, summary="appends three maps")
