"""The suites of metrics and of the feature networks that they look through."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt

from ganlab.errors import GanlabError
from ganlab.testing.contract import Broken, Contract, NotApplicable, building, expect
from ganlab.testing.images import stage
from ganlab.testing.randomness import no_draws

IMAGES = 24
"""Different ones; then they come again."""
KINDS_OF_IMAGES = ((3, 16), (3, 32), (1, 32), (3, 64))
"""Channels and resolution, tried in turn."""


class MadeImages:
    """A `ganlab.interfaces.ImageSource` of coarse noise, with what was given out, to see whether it is changed."""

    def __init__(self, channels: int, resolution: int, seed: int, key: str | None) -> None:
        coarse = np.random.default_rng(seed).integers(0, 256, (IMAGES, channels, resolution // 4, resolution // 4))
        self._images = coarse.astype(np.uint8).repeat(4, axis=2).repeat(4, axis=3)
        self._given: list[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]] = []
        self.key = key
        self.count = IMAGES if key else None

    def __call__(self, start: int, stop: int) -> npt.NDArray[np.uint8]:
        images = self._images[np.arange(start, stop) % IMAGES]
        self._given.append((images, images.copy()))
        return images

    def unchanged(self) -> bool:
        """Whether all that was handed out is as it was."""
        return all(np.array_equal(given, kept) for given, kept in self._given)


@contextmanager
def own_cache() -> Iterator[None]:
    """A cache folder of this check's own: nothing is found in it, and nothing stays."""
    with (
        tempfile.TemporaryDirectory(prefix="ganlab-testing-") as folder,
        mock.patch.dict(os.environ, {"GANLAB_CACHE": folder}),
    ):
        yield


class Measured:
    """A built metric, and the images that it can measure."""

    def __init__(self, component: Any) -> None:
        with building():
            self.metric = component.build()
        refusals = []
        for channels, resolution in KINDS_OF_IMAGES:
            try:
                if hasattr(component, "check_run"):
                    component.check_run(resolution=resolution, stages=[stage(resolution)])
                self.channels, self.resolution = channels, resolution
                self.first = self.values()
            except (GanlabError, ValueError) as error:
                refusals.append(str(error))
            else:
                return
        raise NotApplicable(f"it measures none of the images that were tried: {refusals[0]}")

    def sources(self, key: str | None = None) -> tuple[MadeImages, MadeImages]:
        """Reals and fakes."""
        return (
            MadeImages(self.channels, self.resolution, 1, key),
            MadeImages(self.channels, self.resolution, 2, None),
        )

    def values(self, seed: int = 0, key: str | None = None) -> Mapping[str, float]:
        """What it measures."""
        reals, fakes = self.sources(key)
        found: Mapping[str, float] = self.metric(reals, fakes, seed=seed)
        expect(
            reals.unchanged() and fakes.unchanged(),
            "it changes the images that it is given in place",
            "work on a copy, such as images.astype(np.float32)",
        )
        return found


def _values(component: Any) -> None:
    with own_cache():
        measured = Measured(component)
        values: Mapping[Any, Any] = measured.first
        expect(bool(values), "it measures nothing")
        for name, value in values.items():
            expect(isinstance(name, str) and bool(name), f"a value is called {name!r}")
            expect(
                isinstance(value, float) and math.isfinite(value),
                f"'{name}' is {value!r}",
                "return a finite Python float for each name",
            )
        others = measured.values(seed=5)
        expect(
            set(values) == set(others),
            f"with another seed its values are called {sorted(others)}, not {sorted(values)}",
        )
        for name, direction in getattr(component, "better", {}).items():
            expect(
                direction in ("lower", "higher"), f"`better` says {direction!r} of '{name}'", 'say "lower" or "higher"'
            )
            known = any(value == name or value.startswith(f"{name}/") for value in values)
            expect(
                known, f"`better` names '{name}', but its values are {sorted(values)}", "name a value, or its beginning"
            )


def _repeatable(component: Any) -> None:
    with own_cache():
        measured = Measured(component)
        with no_draws("measuring"):
            again = measured.values()
        _equal(measured.first, again, "measured twice with the same seed")
        made, kept = measured.values(seed=3, key="made images"), measured.values(seed=3, key="made images")
        _equal(made, kept, "measured again with what ganlab.cache has kept of the reals")
        _equal(measured.first, Measured(component).first, "built anew")


def _equal(first: Mapping[str, float], second: Mapping[str, float], when: str) -> None:
    for name in first:
        same = first[name] == second.get(name)
        expect(same, f"{when}, '{name}' is {second.get(name)!r} after {first[name]!r}")


def _facts(component: Any) -> None:
    with own_cache():
        with building():
            metric = component.build()
        if not hasattr(metric, "facts"):
            raise NotApplicable("it has no facts()")
        _plain(metric.facts())


def _plain(facts: Any) -> None:
    try:
        json.dumps(dict(facts), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise Broken("facts() is no plain data", error=error) from None


METRIC = (
    Contract(
        "values",
        "each value is a finite float under a name that does not change; images are left as they are",
        "return the same names for every seed, and let `better` name some of them",
        _values,
    ),
    Contract(
        "repeatable",
        "the same seed gives the same values, also with what is kept of the reals",
        "draw from ganlab.randomness.generator(seed, ...) or numpy.random.default_rng(seed); key the cache fully",
        _repeatable,
    ),
    Contract(
        "facts",
        "`facts` is plain data, as JSON has it",
        "return strings, numbers, lists and mappings of them",
        _facts,
    ),
)


# ---------------------------------------------------------------------------------------------------------------------


def _extractor(component: Any) -> Any:
    with own_cache(), building():
        return component.build()


def _images(channels: int, height: int, width: int, count: int = 3, seed: int = 1) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, channels, height, width)).astype(np.uint8)


def _feature_shapes(component: Any) -> None:
    extractor = _extractor(component)
    size = extractor.feature_size
    expect(isinstance(size, int) and size > 0, f"`feature_size` is {size!r}", "let it be a whole number")
    expect(isinstance(extractor.digest, str) and bool(extractor.digest), f"`digest` is {extractor.digest!r}")
    expect(_extractor(component).digest == extractor.digest, "built anew, it has another digest")
    _plain(extractor.facts())
    for channels, height, width in ((3, 32, 32), (1, 32, 32), (3, 16, 16), (3, 20, 12)):
        images = _images(channels, height, width)
        kept = images.copy()
        with no_draws("a call"):
            features, logits = extractor(images)
        what = f"of images [3, {channels}, {height}, {width}]"
        expect(np.array_equal(images, kept), f"{what}: it changes them in place", "work on a copy")
        for name, value, shape in (("features", features, (3, size)), ("logits", logits, (3, None))):
            if name == "logits" and value is None:
                continue
            fits = value.dtype == np.float32 and value.shape[:1] == shape[:1] and value.ndim == 2
            expect(
                fits and shape[1] in (None, value.shape[1]),
                f"{what}: {name} are {value.dtype} {list(value.shape)}, expected float32 {list(shape)}",
            )
            expect(bool(np.isfinite(value).all()), f"{what}: {name} are not finite")


def _feature_samples(component: Any) -> None:
    extractor = _extractor(component)
    images = _images(3, 32, 32)
    whole = extractor(images).features
    for what, other in (
        ("asked twice", extractor(images).features[:1]),
        ("alone", extractor(images[:1]).features),
        ("among others", extractor(np.concatenate([images[:1], _images(3, 32, 32, seed=2)[1:]])).features[:1]),
    ):
        off = float(np.abs(whole[:1] - other).max())
        limit = 1e-3 * max(1e-3, float(np.abs(whole).max()))
        expect(off <= limit, f"{what}, the features of an image differ by {off}")


FEATURE_NETWORK = (
    Contract(
        "shapes",
        "images of 1 or 3 channels and any size give float32 features `[N, feature_size]`; digest and facts are plain",
        "resize images to what the network takes, and repeat a single channel three times",
        _feature_shapes,
    ),
    Contract(
        "samples",
        "an image has the same features whatever else is in the batch",
        "put the network into evaluation mode: network.eval()",
        _feature_samples,
    ),
)
