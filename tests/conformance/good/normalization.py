"""A normalization without faults."""

import attrs
import numpy as np
import torch
from torch import nn

import ganlab


@attrs.frozen
class Scaled:
    """Divides by a mean square: the minibatch's, or in evaluation a running one."""

    placement: str = ganlab.parameter(
        "before-activation", choices=("before-activation", "after-activation"), help="where it stands"
    )

    @property
    def replaces_bias(self):
        return False

    def build(self, channels, *, track_statistics):
        return ScaledModule(track_statistics)


class ScaledModule(nn.Module):
    exchange = None

    def __init__(self, track):
        super().__init__()
        self.changes_in_forward = track
        self.register_buffer("running", torch.ones(()))

    def sample_groups(self, count):
        return np.zeros(count, np.int64)

    def forward(self, x):
        mean = x.float().square().mean()
        if self.changes_in_forward and self.training:
            with torch.no_grad():
                self.running.lerp_(mean, 0.1)
        elif self.changes_in_forward:
            mean = self.running
        return x * (mean + 1e-6).rsqrt().to(x.dtype)


@ganlab.hookimpl
def register_normalizations(register):
    register("scaled", Scaled, summary="divides by a mean square")
