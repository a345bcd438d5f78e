"""The suite of data sets: what a training reads from several threads, and a metric a second time."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ganlab.interfaces import ImageSet
from ganlab.testing.contract import Broken, Contract, building, expect, while_doing
from ganlab.testing.randomness import no_draws

LARGEST = 64
"""Coarser images than these are read; finer ones say nothing more."""
THREADS = 4


def _sets(component: Any) -> list[tuple[str, ImageSet]]:
    """The image set, and those that it stands for, with words for messages."""
    with building():
        whole = component.build()
    domains: Sequence[ImageSet] = getattr(whole, "domains", ())
    return [("", whole), *((f"domain {number}", each) for number, each in enumerate(domains))]


def _numbers(images: ImageSet) -> npt.NDArray[np.int64]:
    """Some sample numbers: the ends, the middle, one twice."""
    last = images.count - 1
    return np.array([*sorted({0, last // 3, last // 2, last}), 0], np.int64)


def _read(images: ImageSet) -> list[int]:
    """Resolutions that are read here."""
    return [size for size in images.resolutions if size <= LARGEST] or [min(images.resolutions)]


def _shapes(component: Any) -> None:
    for what, images in _sets(component):
        with while_doing(what):
            _facts(images)
            numbers = _numbers(images)
            for size in _read(images):
                for asked, kind in ((numbers, "an array"), (numbers.tolist(), "a list"), (numbers[:0], "no numbers")):
                    found = images.images(size, asked)
                    _is_array(found, np.uint8, (len(asked), images.channels, size, size), f"images({size}, {kind})")
            labels = images.labels(numbers)
            _is_array(labels, np.float32, (len(numbers), images.label_size), "labels()")
            if images.label_size:
                one_hot = bool(np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all())
                expect(one_hot, "labels() are not one-hot", "return 1 in the column of the class and 0 elsewhere")


def _facts(images: ImageSet) -> None:
    wanted = {"name": str, "count": int, "channels": int, "label_size": int, "digest": str}
    for name, kind in wanted.items():
        value = getattr(images, name, None)
        expect(isinstance(value, kind) and value != "", f"`{name}` is {value!r}", f"let it be a {kind.__name__}")
    expect(images.count >= 1, "it has no images")
    sizes: list[Any] = list(images.resolutions)
    powers = all(isinstance(size, int) and size >= 4 and not size & (size - 1) for size in sizes)
    expect(
        bool(sizes) and powers and sizes == sorted(set(sizes)), f"`resolutions` are {sizes}, not ascending powers of 2"
    )


def _is_array(found: Any, dtype: Any, shape: tuple[int, ...], name: str) -> None:
    expect(isinstance(found, np.ndarray), f"{name} returns {type(found).__name__} and no array")
    expect(
        found.dtype == dtype and found.shape == shape,
        f"{name} returns {found.dtype} {list(found.shape)}, expected {np.dtype(dtype)} {list(shape)}",
    )


def _same(component: Any) -> None:
    for (what, images), (_, twin) in zip(_sets(component), _sets(component), strict=True):
        numbers = _numbers(images)
        with while_doing(what), no_draws("reading"):
            for size in _read(images):
                first = images.images(size, numbers).copy()
                one_by_one = np.concatenate([images.images(size, [number]) for number in numbers])
                again = images.images(size, numbers)
                expect(np.array_equal(first, again), f"read twice, images of {size}x{size} differ")
                expect(np.array_equal(first, one_by_one), f"read one by one, images of {size}x{size} differ")
                expect(
                    np.array_equal(first, twin.images(size, numbers)), f"opened anew, images of {size}x{size} differ"
                )
            expect(np.array_equal(images.labels(numbers), twin.labels(numbers)), "opened anew, labels differ")
        expect(images.digest == twin.digest, "opened anew, it has another digest", "make it from the content alone")


def _threads(component: Any) -> None:
    for what, images in _sets(component):
        size, count = _read(images)[0], images.count
        blocks = [[(start + step) % count for step in range(8)] for start in range(0, 160, 5)]
        with while_doing(what), ThreadPoolExecutor(THREADS) as pool:
            expected = [images.images(size, block).copy() for block in blocks]
            found = list(pool.map(partial(images.images, size), blocks))
            same = all(np.array_equal(one, other) for one, other in zip(expected, found, strict=True))
            expect(same, f"read by {THREADS} threads at once, images differ")


def _range(component: Any) -> None:
    for what, images in _sets(component):
        size = _read(images)[0]
        beyond = [[images.count], [-1]]
        wrong: list[tuple[str, Callable[[], object]]] = [
            *((f"images({size}, {each})", partial(images.images, size, each)) for each in beyond),
            ("images(5, [0])", partial(images.images, 5, [0])),
        ]
        if images.label_size:
            wrong += [(f"labels({each})", partial(images.labels, each)) for each in beyond]
        with while_doing(what):
            for call, ask in wrong:
                try:
                    ask()
                except Exception:
                    continue
                raise Broken(
                    f"of {images.count} samples and resolutions {list(images.resolutions)}, {call} returns some"
                )


def _description(component: Any) -> None:
    for what, images in _sets(component):
        with while_doing(what):
            described = images.describe()
            try:
                json.dumps(dict(described), allow_nan=False)
            except (TypeError, ValueError) as error:
                raise Broken("describe() is no plain data", error=error) from None
            expect(bool(described), "describe() is empty")


DATASET = (
    Contract(
        "shapes",
        "images are uint8 `[n, C, R, R]`, labels one-hot float32 `[n, label_size]`, for lists and arrays of any length",
        "return arrays of exactly this dtype and shape, and set name, count, channels, label_size, resolutions, digest",
        _shapes,
    ),
    Contract(
        "repeatable",
        "a sample number always means the same image and label, however it is read; so does the digest the set",
        "let images depend on the sample number alone; draw nothing, and order files by name",
        _same,
    ),
    Contract(
        "threads",
        "several threads may read at once",
        "keep no file position between calls, or guard it by a threading.Lock",
        _threads,
    ),
    Contract(
        "range",
        "sample numbers outside [0, count) and resolutions that are not there are refused",
        "raise ganlab.GanlabError for them; NumPy takes -1 for the last",
        _range,
    ),
    Contract(
        "description",
        "`describe` is plain data, as JSON has it",
        "return strings, numbers, lists and mappings of them",
        _description,
    ),
)
