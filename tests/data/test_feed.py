"""What the feed returns depends on positions only: not on workers, prefetching or what is kept in memory."""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from ganlab.data.feed import AHEAD_SPANS, Feed, Span
from ganlab.data.order import mirror_uniforms, sample_indices
from ganlab.data.pack import pack
from ganlab.data.shards import ShardSet
from ganlab.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

COUNT = 37
REQUESTS = [
    (4, 0, 8),
    (4, 8, 16),
    (4, 16, 24),
    (8, 24, 29),
    (8, 29, 34),
    (8, 34, 99),
    (4, 99, 104),
    (16, 104, 105),
    (16, 120, 121),
    (16, 136, 137),
    (16, 3, 3),
    (16, 0, 50),
]
"""Resolution, start, stop: growing, epochs crossed, a stride as with several ranks, going back, nothing at all."""


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("feed")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (COUNT, 16, 16), dtype=np.uint8)
    np.savez(folder / "source.npz", x=images, y=rng.integers(0, 4, COUNT))
    pack(folder / "source.npz", folder / "set", resolution=16)
    return folder / "set"


@pytest.mark.parametrize(
    ("workers", "cache_bytes", "foreseen"), list(itertools.product((0, 1, 4), (0, COUNT * 64, 10**9), (0, 3)))
)
def test_batches_do_not_depend_on_how_they_are_made(
    packed: Path, workers: int, cache_bytes: int, foreseen: int
) -> None:
    images = ShardSet(packed)
    with Feed(images, seed=5, workers=workers, cache_bytes=cache_bytes) as feed:
        for number, (resolution, start, stop) in enumerate(REQUESTS):
            batch = feed.batch(resolution, start, stop)
            expected = sample_indices(5, COUNT, start, stop)
            np.testing.assert_array_equal(batch.indices, expected)
            np.testing.assert_array_equal(batch.images, images.images(resolution, expected))
            assert batch.images.dtype == torch.uint8
            assert batch.images.is_contiguous(memory_format=torch.channels_last)
            assert batch.labels is not None
            np.testing.assert_array_equal(batch.labels, images.labels(expected))
            np.testing.assert_array_equal(batch.mirror, mirror_uniforms(5, start, stop))
            feed.prepare([Span(*request) for request in REQUESTS[number + 1 :][:foreseen]])
            feed.fill(16)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("cache_bytes", [0, 10**9])
def test_rows_of_a_minibatch_are_those_of_the_whole_one(packed: Path, workers: int, cache_bytes: int) -> None:
    rows = np.array([1, 3, 5, 0])
    with Feed(ShardSet(packed), seed=5, workers=workers, cache_bytes=cache_bytes) as feed:
        for start in (0, 30, 60):  # 30 crosses an epoch
            feed.prepare([Span(8, start, start + 8, (1, 3, 5, 0))])
            some, whole = feed.batch(8, start, start + 8, rows), feed.batch(8, start, start + 8)
            for name in ("images", "labels", "mirror", "indices"):
                np.testing.assert_array_equal(getattr(some, name), getattr(whole, name)[rows], name)


class CountingSet:
    """Eight-bit counters as images; remembers what was read, and on which thread."""

    name, channels, label_size, digest = "counting", 1, 0, "none"
    resolutions: Sequence[int] = (4, 8, 16)

    def __init__(self, count: int) -> None:
        self.count = count
        self.read: list[tuple[int, int]] = []
        self.threads: set[str] = set()

    def images(self, resolution: int, indices: Any) -> np.ndarray:
        self.threads.add(threading.current_thread().name)
        self.read.extend((resolution, int(index)) for index in indices)
        if 13 in indices:
            raise DataError("shard 00007.tar: key 13: damaged")
        return np.broadcast_to(
            np.asarray(indices, np.uint8)[:, None, None, None], (len(indices), 1, resolution, resolution)
        )

    def labels(self, indices: Any) -> np.ndarray:
        return np.zeros((len(indices), 0), np.float32)

    def describe(self) -> dict[str, Any]:
        return {}


def test_a_small_set_is_decoded_once_per_resolution() -> None:
    images = CountingSet(10)
    with Feed(images, seed=0, workers=0, cache_bytes=10 * 64) as feed:
        for start in range(0, 40, 5):
            feed.batch(8, start, start + 5)
        assert sorted(images.read) == [(8, index) for index in range(10)]
        for start in range(40, 80, 5):
            feed.batch(16, start, start + 5)
    assert len(images.read) == 10 + 40  # 16x16 no longer fits


def test_a_new_resolution_reads_no_more_than_it_is_asked_for() -> None:
    images = CountingSet(10)
    with Feed(images, seed=0, workers=0, cache_bytes=10**6) as feed:
        feed.batch(4, 0, 3)
        feed.batch(8, 3, 6)
    assert len(images.read) == 6


def test_only_the_rows_that_are_asked_for_are_read() -> None:
    images = CountingSet(12)
    with Feed(images, seed=0, workers=0, cache_bytes=0) as feed:
        feed.batch(4, 0, 8, np.array([2, 5]))
    assert sorted(images.read) == sorted((4, int(index)) for index in sample_indices(0, 12, 0, 8)[[2, 5]])


def wait_until_read(images: CountingSet, expected: Any, resolution: int = 4) -> None:
    """Return when the samples `expected` and no others have been read, or fail after a minute."""
    wanted = sorted((resolution, int(index)) for index in expected)
    end = time.monotonic() + 60
    while sorted(images.read) != wanted and time.monotonic() < end:
        time.sleep(0.01)
    assert sorted(images.read) == wanted


def test_what_will_be_asked_for_is_read_ahead_on_the_workers_and_only_once() -> None:
    images = CountingSet(12)
    with Feed(images, seed=0, workers=2, cache_bytes=0) as feed:
        feed.prepare([Span(4, 0, 2), Span(4, 2, 4)])
        wait_until_read(images, sample_indices(0, 12, 0, 4))
        assert feed.ready(Span(4, 0, 2))
        feed.batch(4, 0, 2)
        feed.prepare([Span(4, 2, 4), Span(4, 4, 6)])
        wait_until_read(images, sample_indices(0, 12, 0, 6))
        feed.batch(4, 2, 4)
        assert len(images.read) == 6
    assert all(name.startswith("ganlab-feed") for name in images.threads)


@pytest.mark.parametrize(("size", "spans"), [(1, 6), (2, AHEAD_SPANS)])
def test_large_spans_are_not_all_read_ahead(monkeypatch: pytest.MonkeyPatch, size: int, spans: int) -> None:
    monkeypatch.setattr("ganlab.data.feed.AHEAD_BYTES", 6 * 4 * 4)
    images = CountingSet(12)
    with Feed(images, seed=0, workers=1, cache_bytes=0) as feed:
        taken = feed.prepare([Span(4, start, start + size) for start in range(0, 8 * size, size)])
        assert taken == spans
        wait_until_read(images, sample_indices(0, 12, 0, spans * size))


def test_the_next_level_is_filled_beside_the_present_one_once_that_is_complete() -> None:
    images = CountingSet(10)
    with Feed(images, seed=0, workers=1, cache_bytes=10 * (16 + 64)) as feed:
        feed.batch(4, 0, 6)
        feed.fill(8)
        wait_until_read(images, feed.indices(Span(4, 0, 6)))
        feed.batch(4, 6, 10)
        images.read.clear()
        feed.fill(8)
        wait_until_read(images, range(10), resolution=8)
        feed.batch(8, 10, 20)
        assert len(images.read) == 10
        feed.fill(16)  # has no room
        feed.batch(4, 20, 23)  # back again: 8 is in use, 4 was given up
        assert sorted(images.read[10:]) == sorted((4, int(index)) for index in feed.indices(Span(4, 20, 23)))


def test_what_was_prepared_one_by_one_and_read_together_keeps_no_level() -> None:
    images = CountingSet(10)
    with Feed(images, seed=0, workers=1, cache_bytes=10 * (64 + 256)) as feed:
        feed.prepare([Span(4, start, start + 5) for start in (0, 5)])
        feed.batch(4, 0, 10)
        feed.batch(8, 10, 20)
        images.read.clear()
        feed.fill(16)  # which has room beside 8 alone
        wait_until_read(images, range(10), resolution=16)


def test_a_level_without_room_beside_the_present_one_is_kept_when_it_is_in_use() -> None:
    images = CountingSet(10)
    with Feed(images, seed=0, workers=1, cache_bytes=10 * 64) as feed:
        feed.batch(4, 0, 10)
        feed.prepare([Span(8, 10, 15)])
        wait = Span(8, 10, 15)
        while not feed.ready(wait):
            time.sleep(0.01)
        feed.batch(8, 10, 15)
        feed.batch(8, 20, 30)
        images.read.clear()
        feed.batch(8, 30, 40)
        assert images.read == []


def test_a_level_that_the_reader_keeps_itself_takes_no_memory_any_more() -> None:
    images = CountingSet(10)
    with Feed(images, seed=0, workers=1, cache_bytes=10 * 256) as feed:
        feed.batch(8, 0, 10)
        feed.release(8)
        images.read.clear()
        feed.fill(16)
        wait_until_read(images, range(10), resolution=16)
        assert feed.complete(16)
        assert not feed.complete(8)
        assert np.array_equal(feed.batch(8, 0, 10).images, images.images(8, feed.indices(Span(8, 0, 10))))


@pytest.mark.parametrize("workers", [0, 3])
@pytest.mark.parametrize("cache_bytes", [0, 10**6])
def test_an_error_in_a_worker_reaches_the_reader_with_its_words(workers: int, cache_bytes: int) -> None:
    start = 4 * (int(np.flatnonzero(sample_indices(0, 20, 0, 20) == 13)[0]) // 4)
    with Feed(CountingSet(20), seed=0, workers=workers, cache_bytes=cache_bytes) as feed:
        for before in range(0, start, 4):
            feed.batch(4, before, before + 4)
        feed.prepare([Span(4, start, start + 4)])
        with pytest.raises(DataError, match=r"shard 00007\.tar: key 13: damaged"):
            feed.batch(4, start, start + 4)


def test_a_data_set_of_a_plugin_that_gives_other_shapes_is_named() -> None:
    class Wrong(CountingSet):
        def images(self, resolution: int, indices: Any) -> np.ndarray:
            return super().images(resolution, indices).astype(np.float32)

    with (
        Feed(Wrong(5), seed=0, workers=0, cache_bytes=0) as feed,
        pytest.raises(DataError, match="counting: gave float32"),
    ):
        feed.batch(4, 0, 2)


def test_closing_ends_the_threads() -> None:
    before = threading.active_count()
    feed = Feed(CountingSet(12), seed=0, workers=4, cache_bytes=0)
    feed.batch(4, 0, 8)
    feed.prepare([Span(4, 8, 12)])
    assert threading.active_count() > before
    feed.close()
    assert threading.active_count() == before


def test_a_set_without_labels_gives_none_and_an_empty_set_is_refused() -> None:
    with Feed(CountingSet(3), seed=0, workers=0, cache_bytes=0) as feed:
        assert feed.batch(4, 0, 2).labels is None
    with pytest.raises(DataError, match="holds no images"):
        Feed(CountingSet(0), seed=0, workers=0, cache_bytes=0)
