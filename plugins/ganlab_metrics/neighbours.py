"""Improved precision and recall (Kynkaanniemi et al. 2019): which images lie among those of the other set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from ganlab.interfaces import FeatureExtractor

from .extraction import Features, feature_facts, features_of, network_name, real_features
from .images import ImageSource

Doubles = npt.NDArray[np.float64]

DISTANCES_AT_ONCE = 2**24


def squared_radii(features: Features, neighbours: int) -> Doubles:
    """`[n]`: the squared distance of each row of `[n, size]` from its `neighbours`-th nearest other row."""
    radii = np.empty(len(features))
    for rows, distances in _squared_distances(features, features):
        distances[np.arange(len(distances)), np.arange(rows.start, rows.start + len(distances))] = 0  # its own, exactly
        radii[rows] = np.partition(distances, neighbours, axis=1)[:, neighbours]
    return radii


def share_among(features: Features, centres: Features, radii: Doubles) -> float:
    """The share of rows of `features` that lie in a ball around a centre `[m, size]`, of squared radius `[m]`."""
    covered = sum(int((distances <= radii).any(axis=1).sum()) for _, distances in _squared_distances(features, centres))
    return covered / len(features)


def _squared_distances(a: Features, b: Features) -> Iterator[tuple[slice, Doubles]]:
    """Squared Euclidean distances `[rows, m]` from some rows of `a` `[n, size]` to all of `b`, a block at a time.

    The origin is moved into `b`, since differences of large squares lose digits.
    """
    origin = b.mean(axis=0, dtype=np.float64)
    others = b - origin
    norms = (others**2).sum(axis=1)
    at_once = max(1, DISTANCES_AT_ONCE // len(b))
    for start in range(0, len(a), at_once):
        block = a[start : start + at_once] - origin
        distances = (block**2).sum(axis=1)[:, None] + norms - 2 * block @ others.T
        yield slice(start, start + at_once), np.maximum(distances, 0)


@attrs.frozen
class PrecisionRecallMetric:
    """The built metric."""

    extractor: FeatureExtractor
    count: int
    neighbours: int

    def facts(self) -> Mapping[str, Any]:
        """What makes values comparable."""
        return feature_facts(self.extractor, self.count) | {"neighbours": self.neighbours}

    def __call__(self, reals: ImageSource, fakes: ImageSource, *, seed: int) -> Mapping[str, float]:
        """`precision/<network>` and `recall/<network>`; draws nothing.

        Raises `GanlabError` where there are no more reals than neighbours.
        """
        real = real_features(reals, self.count, self.extractor, at_least=self.neighbours + 1)
        fake = features_of(fakes, self.count, self.extractor)
        name = network_name(self.extractor)
        return {
            f"precision/{name}": share_among(fake, real, squared_radii(real, self.neighbours)),
            f"recall/{name}": share_among(real, fake, squared_radii(fake, self.neighbours)),
        }
