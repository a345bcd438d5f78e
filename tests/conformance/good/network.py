"""A discriminator without faults."""

import attrs
import torch
from torch import nn
from torch.nn import functional as F

import ganlab
from ganlab.interfaces import Critique


@attrs.frozen
class Small:
    """A convolution for each level, and one linear layer."""

    width: int = ganlab.parameter(4, ge=1, help="features")

    @property
    def role(self):
        return "discriminator"

    def build(self, images):
        return SmallModule(self.width, images)


class Convolution(nn.Module):
    def __init__(self, channels, width):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width, channels, 1, 1))
        self.held = None

    @torch.no_grad()
    def initialize(self, draw):
        self.weight.copy_(draw("weight", tuple(self.weight.shape)))

    def hold(self):
        self.held = self.weight * 0.5

    def release(self):
        self.held = None

    def forward(self, x):
        return torch.tanh(F.conv2d(x, self.weight * 0.5 if self.held is None else self.held))


class SmallModule(nn.Module):
    joins_passes = True

    def __init__(self, width, images):
        super().__init__()
        self.levels = nn.ModuleList(Convolution(images.channels, width) for _ in images.resolutions)
        self.linear = nn.Linear(width, 1 + images.label_size)
        self.label_size = images.label_size
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("updates", torch.zeros(()))

    def start_from(self, images):
        self.mean.copy_(images.mean())

    def before_update(self):
        self.updates.add_(1)

    def forward(self, images, *, fade=None, noise=(), noise_strength=None, passes=1):
        level = images.shape[-1].bit_length() - 3
        x = self.levels[level](images - self.mean).mean((2, 3))
        if fade is not None and level:
            below = self.levels[level - 1](F.avg_pool2d(images, 2) - self.mean).mean((2, 3))
            x = below + fade * (x - below)
        out = self.linear(x) + 0.01 * self.updates
        return Critique(out[:, 0], out[:, 1:] if self.label_size else None)

    def noise_channels(self, resolution):
        return ()


@ganlab.hookimpl
def register_networks(register):
    register("small", Small, summary="a convolution for each level")
