"""The inception score (Salimans et al. 2016) from the classes that a feature network sees in generated images."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
from scipy.special import log_softmax

from ganlab.errors import GanlabError
from ganlab.interfaces import FeatureExtractor

from .extraction import feature_facts, network_name
from .images import ImageSource, batches


def scores(logits: npt.NDArray[np.float32], splits: int) -> npt.NDArray[np.float64]:
    """`[splits]`: the score of each of so many parts of logits `[N, classes]`, in order, as equal as can be."""
    logarithms = log_softmax(logits.astype(np.float64), axis=1)
    edges = [part * len(logits) // splits for part in range(splits + 1)]
    found = []
    for start, stop in pairwise(edges):
        part = logarithms[start:stop]
        probabilities = np.exp(part)
        # Where a class has probability 0 in every image of the part, it adds nothing.
        marginal = np.log(np.maximum(probabilities.mean(axis=0), np.finfo(np.float64).tiny))
        found.append(np.exp((probabilities * (part - marginal)).sum(axis=1).mean()))
    return np.array(found)


@attrs.frozen
class InceptionScoreMetric:
    """The built metric."""

    extractor: FeatureExtractor
    count: int
    splits: int

    def facts(self) -> Mapping[str, Any]:
        """What makes values comparable."""
        return feature_facts(self.extractor, self.count) | {"splits": self.splits}

    def __call__(self, reals: ImageSource, fakes: ImageSource, *, seed: int) -> Mapping[str, float]:
        """`inception-score/<network>` and `inception-score-std/<network>`; draws nothing.

        Raises `GanlabError` for a network without classes, or one that does not give finite logits.
        """
        name = network_name(self.extractor)
        parts = []
        for start, stop in batches(self.count, fakes(0, 1).shape[-1]):
            logits = self.extractor(fakes(start, stop)).logits
            if logits is None:
                raise GanlabError(f"{name} has no classes, which the inception score is made of")
            parts.append(logits)
        whole = np.concatenate(parts)
        if not np.isfinite(whole).all():
            raise GanlabError(f"{name}: its logits are not finite; are its weights damaged?")
        found = scores(whole, self.splits)
        return {f"inception-score/{name}": float(found.mean()), f"inception-score-std/{name}": float(found.std())}
