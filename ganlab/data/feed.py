"""Hands training its images: any span of positions, decoded in time, the same for any number of workers.

A small set is kept decoded at the resolution in use, and at the next one where both fit; a larger one is decoded by
threads that work ahead of the reader, on the spans it says will follow. Neither has any influence on what is returned.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, Self

import attrs
import numpy as np
import torch
from torch import Tensor

from ganlab.data.levels import DecodedLevel, level_bytes
from ganlab.data.order import Order
from ganlab.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    import numpy.typing as npt

    from ganlab.interfaces import ImageSet

AHEAD_SPANS = 4
"""So many spans are decoded ahead in any case,"""
AHEAD_BYTES = 2**26
"""and more as long as they take no more than this."""
FILL_BYTES = 2**20
FILL_IMAGES = 32
"""Decoded at once at most while the next level is filled, so that what is needed sooner waits for little."""


class Span(NamedTuple):
    """What is asked for in one call: a stretch of the run's positions at one resolution, or some rows of it."""

    resolution: int
    start: int
    stop: int
    rows: tuple[int, ...] | None = None
    """Numbers in [0, stop - start), or None for all."""

    @property
    def size(self) -> int:
        """Images in it."""
        return self.stop - self.start if self.rows is None else len(self.rows)


class Batch(NamedTuple):
    """The samples at some positions of the run's order."""

    images: Tensor
    """uint8 `[n, C, R, R]`, channels-last, on the host."""
    labels: npt.NDArray[np.float32] | None
    """One-hot `[n, label_size]`, or None for a set without labels."""
    mirror: npt.NDArray[np.float32]
    """Uniform draws `[n]` in [0, 1); 0.5 and above means mirrored, where the recipe mirrors."""
    indices: npt.NDArray[np.int64]
    """Sample numbers `[n]`."""


@attrs.frozen
class _Work:
    """A span being decoded: into its level where that is kept, else into pixels of its own."""

    parts: Sequence[Future[None]]
    level: DecodedLevel | None
    pixels: Tensor | None


class Feed:
    """Images of a set in the order of `seed`.

    `workers` threads decode; 0 decodes in the caller's. Levels that together take at most `cache_bytes` when decoded
    are kept in memory. `pinned` hands images out in page-locked memory, from which CUDA copies without waiting.
    Not to be called from several threads. Use as a context manager, or call `close`.
    """

    def __init__(self, images: ImageSet, *, seed: int, workers: int, cache_bytes: int, pinned: bool = False) -> None:
        if images.count < 1:
            raise DataError(f"data set {images.name}: holds no images")
        self.source = images
        self._order = Order(seed, images.count)
        self._workers = workers
        self.cache_bytes = cache_bytes
        self._pinned = pinned
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="ganlab-feed") if workers > 0 else None
        self._pending: dict[Span, _Work] = {}
        self._levels: dict[int, DecodedLevel] = {}
        self._released: set[int] = set()
        self._filled: set[int] = set()
        self._present: int | None = None
        self._closed = False

    # -- what stands at some positions ---------------------------------------------------------------------------------

    def indices(self, span: Span) -> npt.NDArray[np.int64]:
        """Sample numbers int64 `[n]`."""
        indices = self._order.indices(span.start, span.stop)
        return indices if span.rows is None else indices[list(span.rows)]

    def mirror(self, span: Span) -> npt.NDArray[np.float32]:
        """Uniform draws `[n]` in [0, 1); 0.5 and above means mirrored."""
        draws = self._order.mirror_uniforms(span.start, span.stop)
        return draws if span.rows is None else draws[list(span.rows)]

    def images(self, span: Span) -> Tensor:
        """uint8 `[n, C, R, R]`, channels-last, on the host.

        Raises `DataError` naming file and key of what cannot be read, also where a worker met it.
        """
        indices = self.indices(span)
        level = self._level(span.resolution, needed_now=True)
        work = self._pending.pop(span, None)
        if level is None or not level.has(indices):
            work = work or self._start(span, indices)
            for part in work.parts:
                part.result()
            level = work.level
        if span.resolution != self._present:
            self._forget_levels(span)
        if level is not None:
            return level.get(torch.from_numpy(indices), pinned=self._pinned)
        assert work is not None
        assert work.pixels is not None, "what is not kept in a level has pixels of its own"
        return work.pixels

    def batch(self, resolution: int, start: int, stop: int, rows: npt.NDArray[np.int64] | None = None) -> Batch:
        """All there is to say about positions start, ..., stop - 1, or some `rows` of them. Raises as `images`."""
        span = Span(resolution, start, stop, None if rows is None else tuple(rows.tolist()))
        indices = self.indices(span)
        labels = self.source.labels(indices) if self.source.label_size else None
        return Batch(self.images(span), labels, self.mirror(span), indices)

    # -- working ahead -------------------------------------------------------------------------------------------------

    def prepare(self, spans: Sequence[Span]) -> int:
        """Start on the spans that will be asked for next, soonest first; whatever else was started is dropped.

        Returns how many of them this takes care of: all, or as many as are not too large together.
        """
        if self._pool is None:
            return len(spans)
        wanted: dict[Span, npt.NDArray[np.int64] | None] = {}
        total, taken = 0, len(spans)
        for number, span in enumerate(spans):
            total += span.size * self.source.channels * span.resolution * span.resolution
            if number >= AHEAD_SPANS and total > AHEAD_BYTES:
                taken = number
                break
            level = self._level(span.resolution, needed_now=False)
            if level is not None and level.missing == 0:
                continue
            if span in self._pending:
                wanted[span] = None
            elif level is None or not level.has(indices := self.indices(span)):
                wanted[span] = self.indices(span) if level is None else indices
        for stale in [span for span in self._pending if span not in wanted]:
            _cancel(self._pending.pop(stale))
        for span, indices_or_none in wanted.items():
            if indices_or_none is not None:
                self._pending[span] = self._start(span, indices_or_none)
        return taken

    def ready(self, span: Span) -> bool:
        """Whether `images(span)` would return at once, without an error."""
        if self.kept(span):
            return True
        work = self._pending.get(span)
        return work is not None and all(part.done() and part.exception() is None for part in work.parts)

    def kept(self, span: Span) -> bool:
        """Whether all its images are in memory to stay."""
        level = self._levels.get(span.resolution)
        return level is not None and (level.missing == 0 or level.has(self.indices(span)))

    def complete(self, resolution: int) -> bool:
        """Whether all images of this level are in memory."""
        level = self._levels.get(resolution)
        return level is not None and level.missing == 0

    def fill(self, resolution: int) -> None:
        """Decode the whole of the level that comes next, once the present one is complete and if both fit."""
        if self._pool is None or resolution in self._filled or self._present is None:
            return
        if self._present not in self._released and not self.complete(self._present):
            return
        level = self._level(resolution, needed_now=False)
        if level is not None:
            self._filled.add(resolution)
            self._pool.submit(self._fill, self._pool, level, resolution, 0)

    def release(self, resolution: int) -> None:
        """Keep this level no longer: the reader has all of it."""
        self._released.add(resolution)
        self._levels.pop(resolution, None)

    def close(self) -> None:
        """Stop the threads; unread work is dropped."""
        self._closed = True
        self.prepare(())
        self._levels.clear()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- levels that are kept ------------------------------------------------------------------------------------------

    def _level(self, resolution: int, *, needed_now: bool) -> DecodedLevel | None:
        """The level as it is kept, or None if it is not; one that is needed now goes before all others."""
        if resolution in self._levels or resolution in self._released:
            return self._levels.get(resolution)
        size = level_bytes(self.source, resolution)
        if size > self.cache_bytes or self._closed:
            return None
        if size + sum(level.nbytes for level in self._levels.values()) > self.cache_bytes:
            if not needed_now:
                return None
            self._levels.clear()
        self._levels[resolution] = DecodedLevel(self.source, resolution)
        return self._levels[resolution]

    def _forget_levels(self, now: Span) -> None:
        """A new resolution is in use: those before it are not needed any more."""
        self._present = now.resolution
        for passed in [span for span in self._pending if span.stop <= now.start]:
            _cancel(self._pending.pop(passed))  # as of spans that were asked for together
        keep = {now.resolution, *(span.resolution for span in self._pending)}
        self._levels = {resolution: level for resolution, level in self._levels.items() if resolution in keep}

    def _fill(self, pool: ThreadPoolExecutor, level: DecodedLevel, resolution: int, start: int) -> None:
        """On a worker: a piece, as long as the level is wanted; the rest queues behind what is needed sooner."""
        if self._closed or start >= self.source.count or self._levels.get(resolution) is not level:
            return
        piece = max(1, min(FILL_IMAGES, FILL_BYTES // (self.source.channels * resolution * resolution)))
        with contextlib.suppress(DataError):  # what cannot be read is reported when, and if, it is needed
            self._decode_into_level(level, resolution, np.arange(start, min(start + piece, self.source.count)))
        with contextlib.suppress(RuntimeError):  # the pool has been shut down meanwhile
            pool.submit(self._fill, pool, level, resolution, start + piece)

    # -- decoding ------------------------------------------------------------------------------------------------------

    def _start(self, span: Span, indices: npt.NDArray[np.int64]) -> _Work:
        """One piece of the span for each worker, or all of it here and now without any."""
        level = self._levels.get(span.resolution)
        pixels = None
        if level is None:
            shape = (len(indices), span.resolution, span.resolution, self.source.channels)
            pixels = torch.empty(shape, dtype=torch.uint8, pin_memory=self._pinned).permute(0, 3, 1, 2)
        work: list[Future[None]] = []
        pieces = max(1, min(self._workers, len(indices)))
        for piece in range(pieces):
            start, stop = (len(indices) * edge // pieces for edge in (piece, piece + 1))
            out = None if pixels is None else pixels[start:stop].numpy()
            if self._pool is not None:
                work.append(self._pool.submit(self._decode, span.resolution, indices[start:stop], level, out))
            else:
                self._decode(span.resolution, indices[start:stop], level, out)
        return _Work(work, level, pixels)

    def _decode(
        self,
        resolution: int,
        indices: npt.NDArray[np.int64],
        level: DecodedLevel | None,
        out: npt.NDArray[np.uint8] | None,
    ) -> None:
        if level is not None:
            self._decode_into_level(level, resolution, indices)
        elif out is not None:
            out[...] = self._read(resolution, indices)

    def _decode_into_level(self, level: DecodedLevel, resolution: int, indices: npt.NDArray[np.int64]) -> None:
        absent = level.absent(indices)
        if len(absent):
            level.put(absent, self._read(resolution, absent))

    def _read(self, resolution: int, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        images = self.source.images(resolution, indices)
        expected = (len(indices), self.source.channels, resolution, resolution)
        if images.shape != expected or images.dtype != np.uint8:
            raise DataError(
                f"data set {self.source.name}: gave {images.dtype} {list(images.shape)} for samples "
                f"{indices[:3].tolist()}..., expected uint8 {list(expected)}; its plugin needs to be corrected"
            )
        return images


def _cancel(work: _Work) -> None:
    for part in work.parts:
        part.cancel()
