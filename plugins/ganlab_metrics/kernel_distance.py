"""The kernel distance (KID; Binkowski et al. 2018): an unbiased estimate of a squared maximum mean discrepancy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from ganlab.interfaces import FeatureExtractor
from ganlab.randomness import generator

from .extraction import Features, feature_facts, features_of, network_name, real_features
from .images import ImageSource

Doubles = npt.NDArray[np.float64]


def kernel(a: Doubles, b: Doubles) -> Doubles:
    """`[n, size]`, `[m, size]` -> `[n, m]`: (a.b / size + 1)^3."""
    values: Doubles = (a @ b.T / a.shape[1] + 1) ** 3
    return values


def squared_discrepancy(a: Features, b: Features) -> float:
    """The unbiased estimate for two sets `[n, size]` of two or more; negative for about half of all equal sets."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    return _mean_of_pairs(kernel(x, x)) + _mean_of_pairs(kernel(y, y)) - 2 * float(kernel(x, y).mean())


def _mean_of_pairs(values: Doubles) -> float:
    """The mean of a square matrix off its diagonal."""
    count = len(values)
    return float((values.sum() - np.trace(values)) / (count * (count - 1)))


@attrs.frozen
class KernelDistanceMetric:
    """The built metric."""

    extractor: FeatureExtractor
    count: int
    subsets: int
    subset_size: int

    def facts(self) -> Mapping[str, Any]:
        """What makes values comparable."""
        own = {"subsets": self.subsets, "subset_size": self.subset_size}
        return feature_facts(self.extractor, self.count) | own

    def __call__(self, reals: ImageSource, fakes: ImageSource, *, seed: int) -> Mapping[str, float]:
        """`kid/<network>` and `kid-std/<network>`, with subsets drawn from the seed, without repetition in one.

        Raises `GanlabError` for fewer reals than a subset has.
        """
        real = real_features(reals, self.count, self.extractor, at_least=self.subset_size)
        fake = features_of(fakes, self.count, self.extractor)
        values = []
        for number in range(self.subsets):
            chosen_reals = generator(seed, "kid/reals", number).choice(len(real), self.subset_size, replace=False)
            chosen_fakes = generator(seed, "kid/fakes", number).choice(len(fake), self.subset_size, replace=False)
            values.append(squared_discrepancy(real[chosen_reals], fake[chosen_fakes]))
        name = network_name(self.extractor)
        return {f"kid/{name}": float(np.mean(values)), f"kid-std/{name}": float(np.std(values))}
