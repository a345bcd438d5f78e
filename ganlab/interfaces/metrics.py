"""Metrics and the feature networks that they compare images by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class ImageSource(Protocol):
    """Images for a metric: uint8 `[stop - start, C, H, W]` by `source(start, stop)`, always the same for a number."""

    key: str | None
    """Names the images for as long as they are the same (data set's digest, resolution), so that what is worked out
    from them may be kept with `ganlab.cache`; None for images that change, such as fakes."""
    count: int | None
    """How many different images there are, after which they come again; None where there is no end of them."""

    def __call__(self, start: int, stop: int) -> npt.NDArray[np.uint8]: ...


class Metric(Protocol):
    """Kind `metric`: compares generated images with real ones.

    The component's class may have `better`, a mapping of a value's name, or of its beginning up to a slash, to "lower"
    or "higher": the best so far is then logged beside the last. A name that is not in it has no best.
    """

    def build(self) -> BuiltMetric: ...


class BuiltMetric(Protocol):
    """Measures. It may have `facts()`, a mapping of plain data with what makes its values comparable: how many images,
    which resize filter, which feature network by which digest. The reference images are added to it by the core.
    """

    def __call__(self, reals: ImageSource, fakes: ImageSource, *, seed: int) -> Mapping[str, float]:
        """Name such as `swd/mean` to value; draws nothing but from `seed`. Raises `GanlabError` where it cannot."""
        ...


class FeatureNetwork(Protocol):
    """Kind `feature-network`: what turns images into features that metrics compare."""

    def build(self) -> FeatureExtractor:
        """Loads the weights; raises `GanlabError` saying which file or package is missing and how to get it."""
        ...


class Features(NamedTuple):
    """What a feature network says of a batch of images."""

    features: npt.NDArray[np.float32]
    """`[N, feature_size]`."""
    logits: npt.NDArray[np.float32] | None
    """`[N, classes]`, unnormalized; None where it has no classes."""


class FeatureExtractor(Protocol):
    """A built feature network."""

    digest: str
    """Of its weights, and of everything else that decides its features."""
    feature_size: int

    def facts(self) -> Mapping[str, Any]:
        """Plain data for people: name, input size, resize filter, digest."""
        ...

    def __call__(self, images: npt.NDArray[np.uint8]) -> Features:
        """Of uint8 `[N, 1 or 3, H, W]` of any size; the same for an image whatever else is in the batch."""
        ...
