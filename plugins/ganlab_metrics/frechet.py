"""The Frechet distance of two Gaussians (Dowson & Landau 1982), between features as in FID.

The trace of the root of the product of the covariances A and B is that of the root of sqrt(A) B sqrt(A), which is
symmetric and has no negative eigenvalues but by rounding. So there is no non-symmetric matrix root, whose
imaginary parts or failures others have to catch, and fewer images than features are no special case.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import attrs
import numpy as np
import numpy.typing as npt
from scipy import linalg

from ganlab.interfaces import FeatureExtractor

from .extraction import Features, feature_facts, features_of, network_name, real_features
from .images import ImageSource

Doubles = npt.NDArray[np.float64]

ROWS_AT_ONCE = 4096


class Gaussian(NamedTuple):
    """What is compared."""

    mean: Doubles
    """`[size]`."""
    covariance: Doubles
    """`[size, size]`, over n - 1."""


def fitted(features: Features) -> Gaussian:
    """Mean and covariance of two or more rows, in float64."""
    mean = features.mean(axis=0, dtype=np.float64)
    covariance = np.zeros((len(mean), len(mean)))
    for start in range(0, len(features), ROWS_AT_ONCE):
        centred = features[start : start + ROWS_AT_ONCE] - mean
        covariance += centred.T @ centred
    return Gaussian(mean, covariance / (len(features) - 1))


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """The squared distance, as published under the name FID; 0 or more."""
    values, vectors = linalg.eigh(a.covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    product = root @ b.covariance @ root
    shared = np.sqrt(np.maximum(linalg.eigvalsh((product + product.T) / 2), 0)).sum()
    apart = ((a.mean - b.mean) ** 2).sum()
    return max(0.0, float(apart + np.trace(a.covariance) + np.trace(b.covariance) - 2 * shared))


@attrs.frozen
class FrechetMetric:
    """The built metric."""

    extractor: FeatureExtractor
    count: int

    def facts(self) -> Mapping[str, Any]:
        """What makes values comparable."""
        return feature_facts(self.extractor, self.count)

    def __call__(self, reals: ImageSource, fakes: ImageSource, *, seed: int) -> Mapping[str, float]:
        """`frechet-distance/<network>`; draws nothing. Raises `GanlabError` for fewer than two reals."""
        real = fitted(real_features(reals, self.count, self.extractor, at_least=2))
        fake = fitted(features_of(fakes, self.count, self.extractor))
        return {f"frechet-distance/{network_name(self.extractor)}": frechet_distance(real, fake)}
