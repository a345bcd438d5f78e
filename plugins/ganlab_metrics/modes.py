"""Counting the digits, or triples of digits, among generated images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from ganlab.errors import GanlabError

from .classifier import Classifier, trained_on
from .images import RGB, Images, ImageSource, at_resolution, batches, box_downscaled
from .mode_components import MnistModes


def mode_values(modes: npt.NDArray[np.int64], number: int) -> Mapping[str, float]:
    """How many of `number` modes are among those of the images `[N]`, and the divergence of their shares in nats."""
    shares = np.bincount(modes, minlength=number) / len(modes)
    there = shares[shares > 0]
    return {
        "mnist-modes/count": float(len(there)),
        "mnist-modes/kl": max(0.0, float((there * np.log(there * number)).sum())),
    }


@attrs.frozen
class MnistModesMetric:
    """The built metric."""

    settings: MnistModes
    classifier: Classifier

    @classmethod
    def trained(cls, settings: MnistModes) -> MnistModesMetric:
        """With the classifier of the labelled data."""
        return cls(settings, trained_on(settings.labelled.build(), settings.resolution, settings.epochs))

    @property
    def modes(self) -> int:
        """How many there can be."""
        return int(self.classifier.classes ** (RGB if self.settings.stacked else 1))

    def facts(self) -> Mapping[str, Any]:
        """What makes values comparable."""
        return {
            "count": self.settings.count,
            "modes": self.modes,
            "resolution": self.classifier.resolution,
            "resize_filter": "box",
            "classifier_accuracy": self.classifier.accuracy,
            "classifier_held_out": self.classifier.held_out,
            "classifier_data": self.classifier.data_digest,
        }

    def __call__(self, reals: ImageSource, fakes: ImageSource, *, seed: int) -> Mapping[str, float]:
        """`mnist-modes/count` and `mnist-modes/kl`; draws nothing, and does not look at the reals.

        Raises `GanlabError` for images that are not square and a power of two, or of other channels than expected.
        """
        source, size = at_resolution(fakes, None, 1)
        found = [self._modes(source(start, stop)) for start, stop in batches(self.settings.count, size)]
        return mode_values(np.concatenate(found), self.modes)

    def _modes(self, images: Images) -> npt.NDArray[np.int64]:
        """The mode of each image, `[N]`: with three digits, the first is worth most."""
        channels = RGB if self.settings.stacked else 1
        if images.shape[1] != channels:
            remedy = "set `stacked`" if images.shape[1] == RGB else "leave `stacked` off"
            raise GanlabError(
                f"mnist-modes: expected images of {channels} channels, got {images.shape[1]}"
                + (f"; {remedy} for digits in each channel" if {channels, images.shape[1]} == {1, RGB} else "")
            )
        sized = self._sized(images)
        modes = np.zeros(len(images), np.int64)
        for channel in range(channels):
            modes = modes * self.classifier.classes + self.classifier(np.ascontiguousarray(sized[:, channel]))
        return modes

    def _sized(self, images: Images) -> Images:
        """Larger images averaged over blocks; of smaller ones each pixel repeated, as training shows them."""
        resolution, size = self.classifier.resolution, images.shape[-1]
        if size > resolution:
            return box_downscaled(images, (size // resolution).bit_length() - 1)
        times = resolution // size
        return images.repeat(times, axis=2).repeat(times, axis=3)
