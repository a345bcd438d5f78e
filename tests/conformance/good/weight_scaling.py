"""A weight scaling without faults."""

import attrs
import torch
from torch import nn

import ganlab


@attrs.frozen
class Followed:
    """Divides by a running root mean square of the weight."""

    def build(self, shape, *, fan_in, gain):
        return FollowedModule(gain / fan_in**0.5)


class FollowedModule(nn.Module):
    def __init__(self, deviation):
        super().__init__()
        self.deviation = deviation
        self.register_buffer("size", torch.ones(()))

    def initial(self, normal):
        self.size.copy_(normal.square().mean().sqrt())
        return normal * self.deviation

    def refresh(self, weight):
        self.size.lerp_(weight.square().mean().sqrt(), 0.5)

    def forward(self, weight):
        return weight / self.size


@ganlab.hookimpl
def register_weight_scalings(register):
    register("followed", Followed, summary="divides by a running size")
