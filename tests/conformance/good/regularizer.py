"""A regularizer without faults."""

import attrs

import ganlab
from ganlab.interfaces import LossValue


@attrs.frozen
class Drift:
    """Keeps scores near 0."""

    weight: float = ganlab.parameter(0.001, ge=0, help="times the squared scores")

    def build(self):
        return DriftTerm(self.weight)


class DriftTerm:
    def __init__(self, weight):
        self.weight = weight

    def discriminator(self, batch):
        return LossValue(self.weight * batch.real.scores.square())

    def generator(self, batch):
        return None


@ganlab.hookimpl
def register_regularizers(register):
    register("drift", Drift, summary="keeps scores near 0")
