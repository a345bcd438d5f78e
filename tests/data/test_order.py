"""The order of samples: a permutation an epoch, and a pure function of seed and position."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganlab.data.order import Order, mirror_uniforms, sample_indices


@given(seed=st.integers(0, 2**40), count=st.integers(1, 50), epoch=st.integers(0, 5))
def test_each_epoch_shows_every_sample_once(seed: int, count: int, epoch: int) -> None:
    shown = sample_indices(seed, count, epoch * count, (epoch + 1) * count)
    assert shown.dtype == np.int64
    assert sorted(shown) == list(range(count))


@given(seed=st.integers(0, 9), count=st.integers(1, 30), cuts=st.lists(st.integers(0, 200), min_size=2, max_size=9))
def test_batch_boundaries_do_not_matter(seed: int, count: int, cuts: list[int]) -> None:
    cuts = sorted(cuts)
    order = Order(seed, count)
    parts = [order.indices(start, stop) for start, stop in pairwise(cuts)]
    np.testing.assert_array_equal(np.concatenate(parts), sample_indices(seed, count, cuts[0], cuts[-1]))


@given(cuts=st.lists(st.integers(0, 20_000), min_size=2, max_size=9))
def test_mirror_draws_do_not_depend_on_batch_boundaries(cuts: list[int]) -> None:
    cuts = sorted(cuts)
    order = Order(3, 10)
    parts = [order.mirror_uniforms(start, stop) for start, stop in pairwise(cuts)]
    whole = mirror_uniforms(3, cuts[0], cuts[-1])
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_going_back_gives_the_same_samples() -> None:
    order = Order(7, 11)
    first = order.indices(0, 22).copy()
    order.indices(500, 700)
    np.testing.assert_array_equal(order.indices(0, 22), first)


def test_epochs_and_seeds_differ() -> None:
    order = Order(1, 1000)
    assert (order.indices(0, 1000) != order.indices(1000, 2000)).any()
    assert (order.indices(0, 1000) != sample_indices(2, 1000, 0, 1000)).any()
    assert (mirror_uniforms(1, 0, 4096) != mirror_uniforms(1, 4096, 8192)).any()


def test_half_of_the_images_are_mirrored() -> None:
    draws = mirror_uniforms(0, 0, 100_000)
    assert draws.min() >= 0
    assert draws.max() < 1
    assert abs((draws >= 0.5).mean() - 0.5) < 0.01


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (5, 4)])
def test_impossible_spans_are_refused(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match="start"):
        sample_indices(0, 10, start, stop)
    with pytest.raises(ValueError, match="start"):
        mirror_uniforms(0, start, stop)


def test_an_empty_set_has_no_order() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Order(0, 0)
