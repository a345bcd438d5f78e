"""The parameters of the metric that counts digits. What computes it is imported only when it is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from ganlab.interfaces import Dataset
from ganlab.parameters import component, parameter

if TYPE_CHECKING:
    from ganlab.interfaces import BuiltMetric


def check_resolution(value: int) -> None:
    """Raise `ValueError` unless `value` is a power of two from 8 to 64."""
    if value not in (8, 16, 32, 64):
        raise ValueError(f"expected 8, 16, 32 or 64, got {value!r}")


@attrs.frozen
class MnistModes:
    """How many modes of MNIST a generator covers, and how unevenly, as a small classifier sees its images.

    Modes are the classes of `labelled`, ten digits; with `stacked`, where each channel of an RGB image shows a digit,
    their triples, a thousand. Reports `mnist-modes/count`, the modes that at least one image is of (more is better),
    and `mnist-modes/kl`, the KL divergence of the modes' shares from equal shares, in nats, from 0 to the logarithm of
    the number of modes (less is better). Any grey, labelled data set works. Source: Metz et al. 2017, section 3.3.1.
    """

    better: ClassVar[Mapping[str, str]] = {"mnist-modes/count": "higher", "mnist-modes/kl": "lower"}
    examples: ClassVar[Sequence[Mapping[str, Any]]] = (
        {
            "labelled": {"name": "synthetic", "count": 60, "channels": 1, "classes": 4},
            "count": 8,
            "resolution": 8,
            "epochs": 1,
        },
    )

    labelled: Dataset = component(
        "dataset",
        help="Grey images with labels, such as MNIST packed with its labels, that the classifier learns from.",
    )
    count: int = parameter(25_600, ge=1, unit="images", help="Generated images that are classified.")
    stacked: bool = parameter(False, help="Each of the three channels shows a digit of its own.")
    resolution: int = parameter(
        32, check=check_resolution, unit="pixels", help="Size at which images are classified; others are resized to it."
    )
    epochs: int = parameter(2, ge=1, help="Times that the classifier sees each labelled image.")

    def build(self) -> BuiltMetric:
        """Trains the classifier, or takes the one that was kept; raises `GanlabError` for unsuitable data."""
        from .modes import MnistModesMetric

        return MnistModesMetric.trained(self)
