"""What the feed returns depends on positions only: not on workers, prefetching or what is kept in memory."""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ganlab.data.feed import Feed
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
    ("workers", "cache_bytes", "prefetch"), list(itertools.product((0, 1, 4), (0, COUNT * 64, 10**9), (0, 3)))
)
def test_batches_do_not_depend_on_how_they_are_made(
    packed: Path, workers: int, cache_bytes: int, prefetch: int
) -> None:
    images = ShardSet(packed)
    with Feed(images, seed=5, workers=workers, cache_bytes=cache_bytes, prefetch_batches=prefetch) as feed:
        for resolution, start, stop in REQUESTS:
            batch = feed.batch(resolution, start, stop)
            expected = sample_indices(5, COUNT, start, stop)
            np.testing.assert_array_equal(batch.indices, expected)
            np.testing.assert_array_equal(batch.images, images.images(resolution, expected))
            assert batch.images.dtype == np.uint8
            assert batch.labels is not None
            np.testing.assert_array_equal(batch.labels, images.labels(expected))
            np.testing.assert_array_equal(batch.mirror, mirror_uniforms(5, start, stop))


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


def wait_until_read(images: CountingSet, expected: Any) -> None:
    """Return when the samples `expected` have been read, or fail after some seconds."""
    wanted = sorted((4, int(index)) for index in expected)
    end = time.monotonic() + 10
    while sorted(images.read) != wanted and time.monotonic() < end:
        time.sleep(0.01)
    assert sorted(images.read) == wanted


def test_following_batches_are_read_ahead_on_the_workers() -> None:
    images = CountingSet(12)
    with Feed(images, seed=0, workers=2, cache_bytes=0, prefetch_batches=2) as feed:
        feed.batch(4, 0, 2)
        wait_until_read(images, sample_indices(0, 12, 0, 6))
        feed.batch(4, 2, 4)
        wait_until_read(images, sample_indices(0, 12, 0, 8))
    assert all(name.startswith("ganlab-feed") for name in images.threads)


def test_the_stride_of_a_rank_is_followed() -> None:
    images = CountingSet(12)
    with Feed(images, seed=0, workers=2, cache_bytes=0, prefetch_batches=2) as feed:
        feed.batch(4, 0, 2)
        wait_until_read(images, sample_indices(0, 12, 0, 6))
        images.read.clear()
        feed.batch(4, 8, 10)
        # Itself, then 16 and 24: what was guessed before the stride was known is not read again.
        spans = [sample_indices(0, 12, start, start + 2) for start in (8, 16, 24)]
        wait_until_read(images, np.concatenate(spans))


@pytest.mark.parametrize("workers", [0, 3])
@pytest.mark.parametrize("cache_bytes", [0, 10**6])
def test_an_error_in_a_worker_reaches_the_reader_with_its_words(workers: int, cache_bytes: int) -> None:
    start = 4 * (int(np.flatnonzero(sample_indices(0, 20, 0, 20) == 13)[0]) // 4)
    with Feed(CountingSet(20), seed=0, workers=workers, cache_bytes=cache_bytes) as feed:
        for before in range(0, start, 4):
            feed.batch(4, before, before + 4)
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
    assert threading.active_count() > before
    feed.close()
    assert threading.active_count() == before


def test_a_set_without_labels_gives_none_and_an_empty_set_is_refused() -> None:
    with Feed(CountingSet(3), seed=0, workers=0, cache_bytes=0) as feed:
        assert feed.batch(4, 0, 2).labels is None
    with pytest.raises(DataError, match="holds no images"):
        Feed(CountingSet(0), seed=0, workers=0, cache_bytes=0)
