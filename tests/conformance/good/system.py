"""A system without faults."""

import attrs
import torch

import ganlab
from ganlab.interfaces import Match, Play


@attrs.frozen
class Remembering:
    """One pair, whose discriminator sees the fakes of the minibatch before half of the time."""

    @property
    def generator_role(self):
        return "generator"

    @property
    def domains(self):
        return 1

    def build(self, images):
        return RememberingSystem(images)


class RememberingSystem(ganlab.SystemBase):
    pairs = ("only",)
    chances = 1

    def __init__(self, images):
        super().__init__(images)
        self.register_buffer("fakes", torch.zeros(1, images.channels, images.resolution, images.resolution))

    def play(self, generators, latents, labels, reals, *, resolution, fade, learning):
        fakes = generators(latents, labels, resolution=resolution, fade=fade)
        return Play({"only": Match(reals, fakes)})

    def remember(self, matches, uniform):
        match = matches["only"]
        fakes = torch.where(uniform[:, :, None, None] < 0.5, self.fakes, match.fakes)
        self.fakes.copy_(match.fakes.mean(0, keepdim=True))
        return {"only": Match(match.reals, fakes)}


@ganlab.hookimpl
def register_systems(register):
    register("remembering", Remembering, summary="one pair with a memory")
