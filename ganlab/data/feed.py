"""Hands training its batches: any span of positions, decoded in time, the same for any number of workers.

A small set is kept decoded at the resolution in use; a larger one is decoded by threads that work ahead of the
reader. Neither has any influence on what is returned.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, Self

import attrs
import numpy as np

from ganlab.data.order import Order
from ganlab.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    import numpy.typing as npt

    from ganlab.interfaces import ImageSet


class Batch(NamedTuple):
    """The samples at some positions of the run's order."""

    images: npt.NDArray[np.uint8]
    """`[n, C, R, R]`."""
    labels: npt.NDArray[np.float32] | None
    """One-hot `[n, label_size]`, or None for a set without labels."""
    mirror: npt.NDArray[np.float32]
    """Uniform draws `[n]` in [0, 1); 0.5 and above means mirrored, where the recipe mirrors."""
    indices: npt.NDArray[np.int64]
    """Sample numbers `[n]`."""


class _Cache:
    """Decoded images of one resolution, filled as they are first needed, from any thread."""

    def __init__(self, images: ImageSet, resolution: int) -> None:
        self._pixels = np.empty((images.count, images.channels, resolution, resolution), np.uint8)
        self._present = np.zeros(images.count, np.bool_)
        self._lock = threading.Lock()
        self.missing = images.count

    def has(self, indices: npt.NDArray[np.int64]) -> bool:
        return self.missing == 0 or bool(self._present[indices].all())

    def absent(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Those of `indices` that are not here yet."""
        return np.unique(indices[~self._present[indices]])

    def put(self, indices: npt.NDArray[np.int64], pixels: npt.NDArray[np.uint8]) -> None:
        # Two threads may put the same sample; they put the same bytes. Pixels come before the mark that they are here.
        self._pixels[indices] = pixels
        with self._lock:
            self.missing -= int((~self._present[indices]).sum())
            self._present[indices] = True

    def get(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        return self._pixels[indices]


@attrs.frozen
class _Span:
    """What is asked for in one call, or will be in a later one."""

    resolution: int
    start: int
    stop: int


class Feed:
    """Batches of `images` in the order of `seed`.

    `workers` threads decode; 0 decodes in the caller's. A resolution whose images take at most `cache_bytes` when
    decoded is kept in memory from their first use on. `prefetch_batches` spans of the same length are decoded ahead.
    Not to be called from several threads. Use as a context manager, or call `close`.
    """

    def __init__(
        self, images: ImageSet, *, seed: int, workers: int, cache_bytes: int, prefetch_batches: int = 4
    ) -> None:
        if images.count < 1:
            raise DataError(f"data set {images.name}: holds no images")
        self._set = images
        self._order = Order(seed, images.count)
        self._workers = workers
        self._cache_bytes = cache_bytes
        self._ahead = prefetch_batches
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="ganlab-feed") if workers > 0 else None
        self._pending: dict[_Span, Sequence[Future[npt.NDArray[np.uint8]]]] = {}
        self._cache: _Cache | None = None
        self._last: _Span | None = None

    def batch(self, resolution: int, start: int, stop: int) -> Batch:
        """The samples at positions start, ..., stop - 1, at `resolution`.

        Raises `DataError` naming file and key of what cannot be read, also where a worker met it.
        """
        span = _Span(resolution, start, stop)
        if self._last is None or self._last.resolution != resolution:
            self._change_resolution(resolution)
        indices = self._order.indices(start, stop)
        if self._cache is not None and self._cache.has(indices):
            images = self._cache.get(indices)
        elif self._pool is None:
            images = self._fetch(self._cache, resolution, indices)
        else:
            parts = self._pending.pop(span, None) or self._submit(self._pool, span)
            self._prefetch(self._pool, span)
            images = np.concatenate([part.result() for part in parts])
        self._last = span
        labels = self._set.labels(indices) if self._set.label_size else None
        return Batch(images, labels, self._order.mirror_uniforms(start, stop), indices)

    def close(self) -> None:
        """Stop the threads; unread work is dropped."""
        self._drop_pending()
        self._cache = None
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _change_resolution(self, resolution: int) -> None:
        """Forget the old resolution. The new one is decoded as it is asked for, so nothing waits for a whole set."""
        self._drop_pending()
        self._cache = None
        needed = self._set.count * self._set.channels * resolution * resolution
        if needed <= self._cache_bytes:
            self._cache = _Cache(self._set, resolution)

    def _drop_pending(self) -> None:
        for parts in self._pending.values():
            for part in parts:
                part.cancel()
        self._pending.clear()

    def _prefetch(self, pool: ThreadPoolExecutor, span: _Span) -> None:
        """Start on the spans that follow at the same stride, and drop those that turned out not to follow."""
        length = span.stop - span.start
        step = length
        if self._last is not None and self._last.stop - self._last.start == length and self._last.start < span.start:
            step = span.start - self._last.start  # with several ranks, each reads its slice of every global batch
        starts = [span.start + ahead * step for ahead in range(1, self._ahead + 1)]
        following = [_Span(span.resolution, start, start + length) for start in starts]
        for stale in self._pending.keys() - set(following):
            for part in self._pending.pop(stale):
                part.cancel()
        for ahead in following:
            if ahead not in self._pending:
                self._pending[ahead] = self._submit(pool, ahead)

    def _submit(self, pool: ThreadPoolExecutor, span: _Span) -> Sequence[Future[npt.NDArray[np.uint8]]]:
        """One piece of the span for each worker."""
        indices = self._order.indices(span.start, span.stop)
        pieces = np.array_split(indices, max(1, min(self._workers, len(indices))))
        return [pool.submit(self._fetch, self._cache, span.resolution, piece) for piece in pieces]

    def _fetch(self, cache: _Cache | None, resolution: int, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        if cache is None:
            return self._read(resolution, indices)
        absent = cache.absent(indices)
        if len(absent):
            cache.put(absent, self._read(resolution, absent))
        return cache.get(indices)

    def _read(self, resolution: int, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        images = self._set.images(resolution, indices)
        expected = (len(indices), self._set.channels, resolution, resolution)
        if images.shape != expected or images.dtype != np.uint8:
            raise DataError(
                f"data set {self._set.name}: gave {images.dtype} {list(images.shape)} for samples "
                f"{indices[:3].tolist()}..., expected uint8 {list(expected)}; its plugin needs to be corrected"
            )
        return images
