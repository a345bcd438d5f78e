"""How far translations are from what they should be, for data whose true translation is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import attrs

from ganlab.errors import GanlabError
from ganlab.interfaces import Dataset, ImageSet, ImageSource
from ganlab.parameters import component, parameter

BATCH = 64


@attrs.frozen
class TranslationError:
    """Mean absolute difference, in levels of 255, of translated images and their true translations.

    Sample i of a run is made from image i of the first data set, so image i of `truth` has to be what that one should
    become. Critics and translators never see `truth`; images without counterparts are what they learn from.
    """

    better: ClassVar[Mapping[str, str]] = {"translation-error": "lower"}
    examples: ClassVar[Sequence[Mapping[str, Any]]] = ({"truth": "synthetic", "count": 8},)

    truth: Dataset = component("dataset", help="the true translations of the first data set's images, in their order")
    count: int = parameter(512, ge=1, unit="images", help="images compared; no more than there are")

    def build(self) -> Measurement:
        """Opens the true translations; raises `DataError` where they cannot be read."""
        return Measurement(self.truth.build(), self.count)


class Measurement:
    """The built metric."""

    def __init__(self, truth: ImageSet, count: int) -> None:
        self._truth = truth
        self._count = min(count, truth.count)

    def facts(self) -> Mapping[str, Any]:
        """What the fakes are compared with, and how many."""
        return {"count": self._count, "truth": self._truth.name, "truth_digest": self._truth.digest}

    def __call__(self, reals: ImageSource, fakes: ImageSource, *, seed: int) -> Mapping[str, float]:
        """`translation-error`. Raises `GanlabError` where the true translations have another shape."""
        import numpy as np

        total = 0.0
        for start in range(0, self._count, BATCH):
            stop = min(start + BATCH, self._count)
            images = fakes(start, stop)
            resolution = images.shape[-1]
            if resolution not in self._truth.resolutions or self._truth.channels != images.shape[1]:
                raise GanlabError(
                    f"translation-error: truth ({self._truth.name}) has no images of {images.shape[1]} channels at "
                    f"{resolution}x{resolution}, which is what the run makes"
                )
            true = self._truth.images(resolution, np.arange(start, stop))
            total += float(np.abs(images.astype(np.int64) - true).mean(axis=(1, 2, 3)).sum())
        return {"translation-error": total / self._count}
