"""An augmentation without faults."""

import attrs
import torch
from torch import nn

import ganlab


@attrs.frozen
class Brighter:
    """Adds a number to each image, the larger the surer the discriminator is."""

    def build(self, images):
        return BrighterModule()


class BrighterModule(nn.Module):
    draws = 1

    def __init__(self):
        super().__init__()
        self.register_buffer("strength", torch.zeros(()))

    def forward(self, images, uniform):
        return images + self.strength * (uniform[:, :, None, None] - 0.5)

    def observe(self, report, minibatch):
        self.strength.lerp_(report["signs/real"], 0.1)

    def report(self):
        return {"augment/strength": self.strength}


@ganlab.hookimpl
def register_augmentations(register):
    register("brighter", Brighter, summary="adds a number to each image")
