"""A feature network for tests: some fixed projections of pixels, quick and without weights to fetch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from ganlab.interfaces import Features

Images = npt.NDArray[np.uint8]


class Source:
    """Images of an array as a metric is given them; as in training, numbers go round and round."""

    def __init__(self, images: Images, key: str | None = None, *, known: bool = True) -> None:
        self.images = images
        self.key = key
        self.asked = 0
        if known:
            self.count = len(images)

    def __call__(self, start: int, stop: int) -> Images:
        self.asked += stop - start
        return self.images[np.arange(start, stop) % len(self.images)]


@attrs.frozen
class Projections:
    """`size` features, the first `classes` of which are the logits, too (None: no classes)."""

    size: int = 6
    classes: int | None = 4
    broken: bool = False

    def build(self) -> Extractor:
        return Extractor(self)


class Extractor:
    def __init__(self, settings: Projections) -> None:
        self.settings = settings
        self.feature_size = settings.size
        self.digest = hashlib.sha256(repr(settings).encode()).hexdigest()

    def facts(self) -> Mapping[str, Any]:
        return {"name": "projections", "input_size": 4, "resize_filter": "box", "digest": self.digest}

    def __call__(self, images: Images) -> Features:
        n, channels, height, width = images.shape
        small = images.reshape(n, channels, 4, height // 4, 4, width // 4).mean(axis=(1, 3, 5)).reshape(n, 16)
        weights = np.random.default_rng(0).normal(size=(16, self.settings.size))
        features = (small / 64 @ weights).astype(np.float32)
        if self.settings.broken:
            features[-1, 0] = np.nan
        return Features(features, None if self.settings.classes is None else features[:, : self.settings.classes])


def noise_images(seed: int, count: int, *, mean: float = 128, spread: float = 40, size: int = 16) -> Images:
    """RGB images whose blocks of a quarter differ."""
    coarse = np.random.default_rng(seed).normal(mean, spread, size=(count, 3, 4, 4))
    return np.clip(coarse.repeat(size // 4, axis=2).repeat(size // 4, axis=3), 0, 255).astype(np.uint8)
