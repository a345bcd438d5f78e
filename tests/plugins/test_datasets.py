"""Our data sets: the embedded faces are the original ones, synthetic images are functions of their number."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import numpy as np
import pytest

from ganlab.data.pack import pack
from ganlab.data.verify import problems
from ganlab.errors import DataError
from ganlab_datasets.pixel_faces import FOLDER, PixelFaces
from ganlab_datasets.shards import Shards
from ganlab_datasets.synthetic import Synthetic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ganlab.interfaces import ImageSet

SHA256_OF_THE_ORIGINAL_ARRAY = "e69f5806b6b5806561e987c18fa16db44aa79c440f75c8bf1e18beee50713da8"


@pytest.fixture(scope="module")
def faces() -> ImageSet:
    return PixelFaces().build()


def test_the_embedded_faces_are_the_original_ones(faces: ImageSet) -> None:
    assert (faces.count, faces.channels, faces.label_size) == (4000, 3, 5)
    images = faces.images(16, range(4000)).transpose(0, 2, 3, 1)
    assert hashlib.sha256(np.ascontiguousarray(images).tobytes()).hexdigest() == SHA256_OF_THE_ORIGINAL_ARRAY
    assert len(np.unique(images.reshape(4000, -1), axis=0)) == 4000


def test_the_embedded_faces_are_sound_small_and_say_their_licence(faces: ImageSet) -> None:
    assert list(problems(FOLDER)) == []
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 2_000_000
    facts = faces.describe()
    assert "CC0 1.0" in facts["licence"]
    assert "DiceBear" in facts["source"]
    assert facts["digest"] == faces.digest


def test_the_classes_of_the_faces_are_their_backgrounds(faces: ImageSet) -> None:
    labels = faces.labels(range(4000))
    assert labels.dtype == np.float32
    assert faces.label_names == ("sky", "violet", "lavender", "pink", "peach")  # type: ignore[attr-defined]  # optional
    assert labels.sum(axis=0).tolist() == [810, 787, 755, 788, 860]
    assert (labels.sum(axis=1) == 1).all()
    corners = faces.images(64, range(50))[:, :, 0, 63]
    for one, other in ((corners[i], corners[j]) for i in range(50) for j in range(i)):
        i, j = ((corners == each).all(axis=1).argmax() for each in (one, other))
        assert np.array_equal(labels[i], labels[j]) == np.array_equal(one, other)


def test_faces_come_at_every_resolution_to_64(faces: ImageSet) -> None:
    assert list(faces.resolutions) == [4, 8, 16, 32, 64]
    some = [5, 3999, 0]
    native = faces.images(16, some)
    for times in (2, 4):
        np.testing.assert_array_equal(faces.images(16 * times, some), native.repeat(times, 2).repeat(times, 3))
    means = native.reshape(3, 3, 8, 2, 8, 2).mean((3, 5), dtype=np.float64)
    np.testing.assert_array_equal(faces.images(8, some), np.rint(means))
    with pytest.raises(DataError, match="has no images of 128x128"):
        faces.images(128, [0])


def test_shards_opens_a_packed_set(tmp_path: Path) -> None:
    array = np.arange(3 * 64, dtype=np.uint8).reshape(3, 8, 8)
    np.savez(tmp_path / "a.npz", array)
    pack(tmp_path / "a.npz", tmp_path / "set", resolution=8)
    images = Shards(path=tmp_path / "set").build()
    np.testing.assert_array_equal(images.images(8, [2, 0])[:, 0], array[[2, 0]])
    with pytest.raises(DataError, match="no data set here"):
        Shards(path=tmp_path).build()


def test_the_path_of_shards_is_known_as_a_path() -> None:
    # The recipe loader reads the annotation to make the path relative to the recipe.
    assert get_type_hints(Shards)["path"] is Path


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("classes", [0, 4])
def test_synthetic_images_are_functions_of_their_number(channels: int, classes: int) -> None:
    images = Synthetic(count=50, channels=channels, classes=classes).build()
    other = Synthetic(count=50, channels=channels, classes=classes).build()
    every = images.images(16, range(50))
    assert every.shape == (50, channels, 16, 16)
    assert every.dtype == np.uint8
    assert len(np.unique(every.reshape(50, -1), axis=0)) == 50
    some = np.array([40, 3, 3])
    np.testing.assert_array_equal(other.images(16, some), every[some])
    assert images.digest == other.digest != Synthetic(count=51, channels=channels, classes=classes).build().digest
    labels = images.labels(some)
    assert labels.shape == (3, classes)
    if classes:
        assert labels.argmax(axis=1).tolist() == [0, 3, 3]


def test_synthetic_images_show_the_same_at_every_resolution() -> None:
    images = Synthetic(count=20).build()
    assert list(images.resolutions) == [4, 8, 16, 32, 64, 128, 256, 512, 1024]
    for coarse, fine in ((4, 8), (16, 64), (64, 512)):
        small = images.images(coarse, range(5)).astype(float)
        large = images.images(fine, range(5)).astype(float)
        averaged = large.reshape(5, 3, coarse, fine // coarse, coarse, fine // coarse).mean((3, 5))
        assert np.abs(averaged - small).mean() < 4
    assert images.images(1024, [0]).shape == (1, 3, 1024, 1024)


@pytest.mark.parametrize(("resolution", "indices"), [(2048, [0]), (6, [0]), (8, [20]), (8, [-1])])
def test_synthetic_refuses_what_it_has_not(resolution: int, indices: Sequence[int]) -> None:
    with pytest.raises(DataError, match="synthetic: has"):
        Synthetic(count=20).build().images(resolution, indices)


@pytest.mark.parametrize("parameters", [{"count": 0}, {"channels": 2}, {"classes": -1}])
def test_parameters_out_of_range_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"expected|not one of"):
        Synthetic(**parameters)


def test_listing_data_sets_imports_nothing_heavy() -> None:
    program = (
        "import sys, ganlab_datasets.shards, ganlab_datasets.pixel_faces, ganlab_datasets.synthetic; "
        "print([name for name in ('torch', 'webdataset', 'PIL') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
