"""A loss without faults."""

import attrs
import torch
from torch.nn import functional as F

import ganlab
from ganlab.interfaces import LossValue


@attrs.frozen
class Margin:
    """Hinge with a gradient penalty; its margin follows the loss."""

    margin: float = ganlab.parameter(1.0, gt=0, help="scores beyond it count no more")

    def build(self):
        return MarginLoss(self.margin)


def per_image(scores):
    return scores.reshape(len(scores), -1).mean(1)


class MarginLoss(ganlab.AdversarialLossBase):
    def __init__(self, margin):
        super().__init__()
        self.register_buffer("margin", torch.tensor(margin))

    def discriminator(self, batch):
        scores = per_image(F.relu(self.margin - batch.real.scores) + F.relu(self.margin + batch.fake.scores))
        gradient = torch.func.grad(lambda images: per_image(batch.critic(images, "reals").scores).sum())(batch.reals)
        penalty = gradient.square().sum((1, 2, 3))
        return LossValue(scores + penalty, {"scores/real": batch.real.scores.detach()})

    def generator(self, batch):
        return LossValue(-batch.fake.scores)

    def observe(self, loss, report):
        self.margin.lerp_(loss, 0.1)

    def constrain(self, discriminator):
        for parameter in discriminator.parameters():
            parameter.clamp_(-5, 5)


@ganlab.hookimpl
def register_losses(register):
    register("margin", Margin, summary="hinge with a margin that follows")
