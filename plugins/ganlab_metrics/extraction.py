"""Features of the reals and fakes of a metric, the reals' kept from one measurement to the next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ganlab.cache import cached
from ganlab.errors import GanlabError
from ganlab.interfaces import FeatureExtractor

from .images import ImageSource, batches

Features: TypeAlias = npt.NDArray[np.float32]

VERSION = 1
"""Part of the key of what is kept; to be raised when reading images or this file changes what features are."""


def feature_facts(extractor: FeatureExtractor, count: int) -> dict[str, Any]:
    """What makes values of a metric on features comparable."""
    network = extractor.facts()
    return {"count": count} | {f"network_{name}": value for name, value in network.items()}


def network_name(extractor: FeatureExtractor) -> str:
    """The network as it stands in the names of values."""
    return str(extractor.facts()["name"])


def features_of(source: ImageSource, count: int, extractor: FeatureExtractor) -> Features:
    """`[count, feature_size]` of images 0, ..., count - 1. Raises `GanlabError` for features that are not finite."""
    features = np.empty((count, extractor.feature_size), np.float32)
    resolution = source(0, 1).shape[-1]
    for start, stop in batches(count, resolution):
        features[start:stop] = extractor(source(start, stop)).features
    if not np.isfinite(features).all():
        raise GanlabError(f"{network_name(extractor)}: its features are not finite; are its weights damaged?")
    return features


def real_features(reals: ImageSource, count: int, extractor: FeatureExtractor, at_least: int) -> Features:
    """Features of `count` reals, or of all where there are fewer: an image that is shown twice has no neighbours.

    A source says how many there are by an attribute `count`, and by `key` what they are; without the latter nothing is
    kept. Raises `GanlabError` for fewer than `at_least`.
    """
    there = getattr(reals, "count", None)
    count = count if there is None else min(count, there)
    if count < at_least:
        raise GanlabError(f"this metric needs {at_least} real images, the data set has {count}")
    key: Mapping[str, Any] = {
        "what": "features of reals",
        "version": VERSION,
        "reals": getattr(reals, "key", None),
        "count": count,
        "network": extractor.digest,
        # The last digits depend on these, and a result must not depend on what was kept.
        **getattr(extractor, "computed_with", dict)(),
    }
    kept = cached(key, lambda: {"features": features_of(reals, count, extractor)})
    features: Features = kept["features"].astype(np.float32, copy=False)
    return features
