"""The first images of a set: training sees those alone, metrics may compare with all."""

from __future__ import annotations

import numpy as np
import pytest

from ganlab.errors import DataError
from ganlab_datasets.first import First
from ganlab_datasets.synthetic import Synthetic


def test_training_sees_the_first_images_and_metrics_the_whole_set() -> None:
    whole = Synthetic(count=40, classes=3).build()
    first = First(of=Synthetic(count=40, classes=3), count=10).build()
    (shown,) = first.domains  # type: ignore[attr-defined]  # a set that stands for others has them
    assert (shown.count, first.count) == (10, 40)
    np.testing.assert_array_equal(shown.images(8, range(10)), whole.images(8, range(10)))
    np.testing.assert_array_equal(shown.labels([9, 0]), whole.labels([9, 0]))
    np.testing.assert_array_equal(first.images(8, [39]), whole.images(8, [39]))
    np.testing.assert_array_equal(first.labels([39]), whole.labels([39]))
    assert first.describe()["trained_count"] == 10
    assert first.describe()["count"] == 40


def test_the_part_alone_is_a_set_of_its_own() -> None:
    part = First(of=Synthetic(count=40), count=10, reference="part").build()
    assert not hasattr(part, "domains")
    assert part.describe()["count"] == part.count == 10
    assert part.describe()["of_count"] == 40
    for wrong in (10, -1):
        with pytest.raises(DataError, match="synthetic-first-10: has samples 0 to 9"):
            part.images(8, [wrong])
        with pytest.raises(DataError, match="has samples 0 to 9"):
            part.labels([wrong])


def test_the_digest_tells_parts_and_what_they_are_compared_with_apart() -> None:
    sets = [
        First(of=Synthetic(count=total), count=count, reference=reference).build()
        for total in (40, 41)
        for count in (10, 11)
        for reference in ("whole", "part")
    ]
    assert len({each.digest for each in sets} | {Synthetic(count=40).build().digest}) == 9
    assert sets[0].digest == First(of=Synthetic(count=40), count=10).build().digest


def test_more_images_than_there_are_are_refused() -> None:
    with pytest.raises(DataError, match="count: synthetic has 40 images"):
        First(of=Synthetic(count=40), count=41).build()
    with pytest.raises(ValueError, match="at least 1"):
        First(of=Synthetic(count=40), count=0)


def test_sets_side_by_side_are_refused() -> None:
    class Both:
        def build(self) -> object:
            return First(of=Synthetic(count=40), count=20).build()

    with pytest.raises(DataError, match="stands for several sets"):
        First(of=Both(), count=10).build()  # type: ignore[arg-type]  # all that is asked of a data set
