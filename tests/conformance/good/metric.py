"""A metric without faults."""

from typing import ClassVar

import attrs
import numpy as np

import ganlab
from ganlab.cache import cached


@attrs.frozen
class Colour:
    """Distance of the mean colours of random reals and fakes."""

    better: ClassVar = {"colour": "lower"}
    count: int = ganlab.parameter(20, ge=1, unit="images", help="images of each")

    def build(self):
        return ColourMetric(self.count)


class ColourMetric:
    def __init__(self, count):
        self.count = count

    def facts(self):
        return {"count": self.count}

    def __call__(self, reals, fakes, *, seed):
        key = {"version": 1, "images": reals.key, "count": self.count}
        kept = cached(key, lambda: {"mean": reals(0, self.count).mean(axis=(2, 3))})
        chosen = np.random.default_rng(seed).integers(0, self.count, 10)
        difference = kept["mean"][chosen].mean() - fakes(0, self.count)[chosen].mean()
        return {"colour/mean": float(abs(difference))}


@ganlab.hookimpl
def register_metrics(register):
    register("colour", Colour, summary="distance of mean colours")
